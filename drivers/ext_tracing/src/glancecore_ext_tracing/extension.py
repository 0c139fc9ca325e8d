"""The ``tracing`` extension. Nothing of OpenTelemetry is imported before it starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glancecore.domain.errors import ConfigError
from glancecore.ports.extension import Extension
from glancecore.ports.options import Section
from glancecore.ports.tracer import Tracer
from glancecore_ext_tracing.options import OPTIONS

_HEADER = re.compile(r"[A-Za-z0-9!#\$%&'*+.^_`|~-]+")

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

        endpoint = _endpoint(self.conf.endpoint)
        _check(self.conf)
        sending = Sending(endpoint, self.conf)
        self._made = OtelTracer(sending, self.conf)

    def tracer(self) -> Tracer | None:
        return self._made


def _endpoint(url: str | None) -> str:
    """Raises ConfigError. Messages don't show it: it may have a token in it."""
    if not url:
        raise ConfigError(
            "[ext_tracing] endpoint: not set; give the URL of a collector that takes OTLP over HTTP, such as"
            " http://127.0.0.1:4318/v1/traces"
        )
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        good = False
    if not good or "@" in parts.netloc:
        raise ConfigError(
            "[ext_tracing] endpoint: it is no http or https URL without user and password; write it as"
            " http://127.0.0.1:4318/v1/traces, and put what proves who sends into headers"
        )
    return url


def _check(conf: Section) -> None:
    """Raises ConfigError, without the headers' values."""
    for name, value in conf.headers.items():
        if not _HEADER.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ConfigError(
                "[ext_tracing] headers: one of them can't be sent; write name:value with names as HTTP has them and"
                " values of printable ASCII"
            )
    if conf.ca_file and not Path(conf.ca_file).is_file():
        raise ConfigError(f"[ext_tracing] ca_file = {conf.ca_file}: no such file; name one that the service may read")
