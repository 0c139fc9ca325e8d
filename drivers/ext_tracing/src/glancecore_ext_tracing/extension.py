"""The ``tracing`` extension. Nothing of OpenTelemetry is imported before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glancecore.domain.errors import ConfigError
from glancecore.ports.extension import Extension
from glancecore.ports.tracer import Tracer
from glancecore_ext_tracing.options import OPTIONS

if TYPE_CHECKING:
    from glancecore_ext_tracing.otel import OtelTracer


class Tracing(Extension):
    """Where requests and imports take their time."""

    plugin_api = "1.0"
    title = "OpenTelemetry traces"
    options = OPTIONS
    _made: OtelTracer | None = None

    def start(self) -> None:
        from glancecore_ext_tracing.otel import OtelTracer  # half a second, and memory, that only those pay who want it
        from glancecore_ext_tracing.sending import Sending

        sending = Sending(_endpoint(self.conf.endpoint), self.conf)
        self._made = OtelTracer(sending, self.conf)

    def tracer(self) -> Tracer | None:
        return self._made


def _endpoint(url: str | None) -> str:
    """Raises ConfigError. Messages don't show it: it may have a token in it."""
    if not url:
        raise ConfigError("[ext_tracing] endpoint: not set; give the URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good or "@" in parts.netloc:
        raise ConfigError("[ext_tracing] endpoint: it is no http or https URL without user and password; write it as http://127.0.0.1:4318/v1/traces, and put what "
                          "proves who sends into headers")
    return url
