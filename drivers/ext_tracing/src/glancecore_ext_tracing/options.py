"""Options of [ext_tracing]."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import DictOpt

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "endpoint",
        secret=True,
        help=(
            "Where spans go: the URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces."
            " Required."
        ),
    ),
    DictOpt(
        "headers",
        default={},
        secret=True,
        help="Headers of each request to the collector, such as authorization:Bearer …",
    ),
    cfg.StrOpt(
        "ca_file",
        help=(
            "Certificates (PEM) of the authorities that the collector's may be signed by. Default: those that requests"
            " trusts."
        ),
    ),
    cfg.FloatOpt(
        "sampling_ratio",
        default=1.0,
        min=0.0,
        max=1.0,
        help=(
            "Of the traces that begin here, the part that is sent: 1 for all, 0.01 for one in a hundred, 0 for none. A"
            " trace that somebody else has begun is sent when he sends it."
        ),
    ),
    cfg.BoolOpt(
        "follow_clients",
        default=True,
        help=(
            "Go on in the trace that a request names by traceparent. Off: each request begins one of its own, so that"
            " clients decide neither its id nor whether it is sent."
        ),
    ),
    cfg.StrOpt("service_name", default="glancecore", help="What the service is called in traces (service.name)."),
    cfg.IntOpt(
        "queue_size",
        default=2048,
        min=1,
        help="Most spans of one process that wait while the collector is slow or away; more are dropped and counted.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=5.0,
        min=0.1,
        help="Seconds that one delivery to the collector may take, its repeats included.",
    ),
    cfg.FloatOpt(
        "interval",
        default=1.0,
        min=0.05,
        help="Seconds between two deliveries. What a killed process has not delivered is lost.",
    ),
    cfg.FloatOpt(
        "drain_seconds",
        default=2.0,
        min=0.0,
        help=(
            "Seconds that a process which ends waits for its last spans to be delivered. Keep it below [server]"
            " graceful_timeout."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_tracing", OPTIONS)]
