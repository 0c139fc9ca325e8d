"""For operators and probes of the metadata service: alive, ready, metrics. No secret; metrics only for listed
networks."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from glancecore.domain.errors import GlanceError
from glancecore.ports.repository import Database
from glancecore.sdk.registry import codec as wire

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

Answer = tuple[HTTPStatus, str, bytes]
_TEXT = "text/plain; charset=UTF-8"


class Probes:
    """``ready_seconds``: how long an answer about the database is kept. ``networks``: whose hosts may read metrics;
    None: nobody."""

    def __init__(
        self, database: Database, registry: CollectorRegistry, ready_seconds: float, networks: Sequence[str] | None
    ) -> None:
        self._database = database
        self._registry = registry
        self._ready_seconds = ready_seconds
        self._networks = None if networks is None else [ipaddress.ip_network(x, strict=False) for x in networks]
        self._lock = threading.Lock()
        self._report: tuple[float, str | None] | None = None

    def answer(self, environ: WSGIEnvironment) -> Answer | None:
        """None: it is no probe."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return None
        path = environ["PATH_INFO"]
        if path == "/healthcheck":
            return HTTPStatus.OK, _TEXT, b"OK"
        if path == "/healthcheck/ready":
            fault = self._fault()
            status = HTTPStatus.OK if fault is None else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", wire.dumps({"database": fault or "ok"})
        if path == "/metrics" and self._networks is not None:
            if not self._trusted(environ):
                return HTTPStatus.FORBIDDEN, _TEXT, b"metrics are for the networks of [metrics] allowed_networks"
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        return None

    def _fault(self) -> str | None:
        with self._lock:
            if self._report is None or time.monotonic() - self._report[0] > self._ready_seconds:
                try:
                    self._database.ping()
                    fault = None
                except GlanceError as exc:
                    fault = str(exc)
                self._report = time.monotonic(), fault
            return self._report[1]

    def _trusted(self, environ: WSGIEnvironment) -> bool:
        if "HTTP_X_FORWARDED_FOR" in environ or "HTTP_FORWARDED" in environ:
            return False  # a proxy near us asks for somebody who may be far away
        try:
            address = ipaddress.ip_address(environ.get("REMOTE_ADDR") or "")
        except ValueError:
            return not environ.get("REMOTE_ADDR")  # a Unix socket
        return any(address in x for x in self._networks or ())
