"""Requests with a trace, and what has come of them."""

from __future__ import annotations

import os

import lab
from client import HEADERS_AUTH
from collector import Collector, Seen

DATA = os.urandom(300_000)
SERVER, CLIENT = 2, 3


#: Of W3C's recommendation.
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def traced(collector: Collector, **options: object) -> lab.Config:
    return lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"enabled_extensions": "tracing"},
            "ext_tracing": {"endpoint": collector.url, "interval": 0.05, "headers": "x-secret:sesame", **options},
        },
    )


def new_trace() -> tuple[str, dict[str, str]]:
    trace = os.urandom(16).hex()
    return trace, {"traceparent": f"00-{trace}-{PARENT}-01"}


def below(spans: list[Seen], top: Seen) -> list[Seen]:
    """Those that are part of it, at any depth."""
    inner = [x for x in spans if x.parent == top.id]
    return [y for x in inner for y in (x, *below(spans, x))]
