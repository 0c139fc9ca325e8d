"""For operators and probes: health, readiness, metrics. No identity; details only for listed networks."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.http.health import Health
from glancecore.ports.http import Handler, Lane, Route
from glancecore.sdk.responses import empty, json_response


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    disable_file: str | None = None
    ready_seconds: float = 2.0
    metrics: bool = True
    networks: Sequence[str] = ("127.0.0.0/8", "::1/128")


class OperatorApi:
    def __init__(self, health: Health, settings: OperatorSettings, registry: CollectorRegistry = REGISTRY) -> None:
        self._health = health
        self._settings = settings
        self._registry = registry
        self._networks = [ipaddress.ip_network(x, strict=False) for x in settings.networks]
        self._lock = threading.Lock()
        self._report: tuple[float, dict[str, str]] | None = None

    def routes(self) -> list[Route]:
        text = {200: "text/plain"}
        found = [
            Route(
                "GET",
                "/healthcheck",
                self.live,
                "Whether the process answers",
                text,
                public=True,
                tag="operations",
                lane=Lane.PROBE,
            ),
            Route(
                "GET",
                "/healthcheck/ready",
                self.ready,
                "Whether database and stores answer",
                {200: {"type": "object"}, 503: {"type": "object"}},
                public=True,
                tag="operations",
                lane=Lane.PROBE,
            ),
        ]
        if self._settings.metrics:
            found.append(
                Route(
                    "GET",
                    "/metrics",
                    self.metrics,
                    "Prometheus metrics",
                    text,
                    public=True,
                    tag="operations",
                    lane=Lane.PROBE,
                )
            )
        return found

    def live(self, request: Request, _ctx: Context) -> Response:
        if self._settings.disable_file and Path(self._settings.disable_file).exists():
            return Response("DISABLED BY FILE", 503, content_type="text/plain; charset=UTF-8")
        if request.method == "HEAD":
            return empty()
        return Response("OK", content_type="text/plain; charset=UTF-8")

    def ready(self, request: Request, _ctx: Context) -> Response:
        report = self._checked()
        status = 200 if report["database"] == "ok" and report["default store"] == "ok" else 503
        if not self._trusted(request):
            report = {"status": "ready" if status == 200 else "not ready"}
        return json_response(report, status)

    def metrics(self, request: Request, _ctx: Context) -> Response:
        if not self._trusted(request):
            raise errors.Forbidden("metrics are for the networks of [metrics] allowed_networks")
        return Response(generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)

    def json(self, value: dict[str, Any]) -> Handler:
        """A handler that always answers ``value``."""

        def run(_request: Request, _ctx: Context) -> Response:
            return json_response(value)

        return run

    def _checked(self) -> dict[str, str]:
        with self._lock:
            if self._report is None or time.monotonic() - self._report[0] > self._settings.ready_seconds:
                self._report = (time.monotonic(), self._health.report())
            return dict(self._report[1])

    def _trusted(self, request: Request) -> bool:
        if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
            return False  # a proxy near us asks for somebody who may be far away
        if not request.remote_addr:
            return True  # a Unix socket
        try:
            address = ipaddress.ip_address(request.remote_addr)
        except ValueError:
            return False
        return any(address in x for x in self._networks)
