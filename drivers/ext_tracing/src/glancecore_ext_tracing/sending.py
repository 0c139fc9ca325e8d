"""Spans on their way to the collector: a queue with an end, one thread, and a count of what became of them."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from glancecore.ports.options import Section
from glancecore.sdk.measures import TRACING_SPANS

LOG = logging.getLogger(__name__)
#: Spans of one delivery.
_BATCH = 512
#: Seconds between two words of the exporter about what is wrong.
_QUIET = 60.0
#: The collector's, as libraries write it into their errors.
_URL = re.compile(r"(?<=with url: )\S+|https?://\S+")


class _Seldom(logging.Filter):
    """One line a minute: the exporter says each repeat. Without the endpoint's path: it may have a token in it."""

    def __init__(self) -> None:
        super().__init__()
        self._said = -_QUIET

    def filter(self, record: logging.LogRecord) -> bool:
        if time.monotonic() - self._said < _QUIET:
            return False
        self._said = time.monotonic()
        record.msg, record.args = _URL.sub("…", record.getMessage()), ()
        return True


_SELDOM = _Seldom()
_WORDY = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")


class Sending:
    def __init__(self, endpoint: str, conf: Section) -> None:
        """The options of the extension."""
        self._endpoint = endpoint
        self._conf = conf

    @property
    def service(self) -> str:
        return str(self._conf.service_name)

    def processor(self) -> BoundedProcessor:
        """Starts its thread."""
        for name in _WORDY:
            logging.getLogger(name).addFilter(_SELDOM)
        exporter = OTLPSpanExporter(
            self._endpoint,
            self._conf.ca_file,
            headers=dict(self._conf.headers),
            timeout=self._conf.timeout,
            compression=Compression.Gzip,
        )
        return BoundedProcessor(exporter, self._conf.queue_size, self._conf.interval)


class BoundedProcessor(BatchSpanProcessor):
    """What does not fit is dropped here, where it is counted. Nobody waits for anything."""

    def __init__(self, exporter: SpanExporter, most: int, interval: float) -> None:
        self._most = most
        self._waiting = 0
        self._counting = threading.Lock()
        super().__init__(_Counted(exporter, self), most, interval * 1000, min(most, _BATCH))

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._counting:
            full = self._waiting >= self._most
            if not full:
                self._waiting += 1
        if full:
            TRACING_SPANS.labels("dropped").inc()
        else:
            super().on_end(span)

    def left(self, count: int) -> None:
        """So many are on their way."""
        with self._counting:
            self._waiting -= count


class _Counted(SpanExporter):
    def __init__(self, inner: SpanExporter, line: BoundedProcessor) -> None:
        self._inner = inner
        self._line = line

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._line.left(len(spans))
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        except Exception:
            LOG.exception("spans could not be sent")
        TRACING_SPANS.labels("sent" if result is SpanExportResult.SUCCESS else "failed").inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()
