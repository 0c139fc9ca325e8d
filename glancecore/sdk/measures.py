"""What drivers tell Prometheus. What all drivers of a kind do is measured by the service, around them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

DATABASE_CONNECTIONS = Gauge(
    "glance_database_connections",
    "Connections to the database: open, and those of them that are busy with a request or a job.",
    ["state"],
    multiprocess_mode="livesum",
)
DATABASE_CONNECTIONS_LIMIT = Gauge(
    "glance_database_connections_limit",
    "How many connections may be open: max_pool_size and max_overflow of each process together.",
    multiprocess_mode="livesum",
)
TRACING_SPANS = Counter(
    "glance_tracing_spans_total",
    "Spans of traces by what became of them: sent, failed (the collector did not take them), dropped (too many"
    " waited).",
    ["outcome"],
)
