"""What Prometheus is told. One registry for the process; several workers share a folder (see ``server``)."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram, multiprocess

from glancecore.sdk.measures import DATABASE_CONNECTIONS, DATABASE_CONNECTIONS_LIMIT, TRACING_SPANS

__all__ = [
    "DATABASE_CONNECTIONS",
    "DATABASE_CONNECTIONS_LIMIT",
    "TRACING_SPANS",
]  # which drivers count, here for whoever looks for all

BUILD_INFO = Gauge(
    "glance_build_info", "1; the labels tell what runs.", ["version", "python"], multiprocess_mode="mostrecent"
)
BUILD_INFO.labels(version("glancecore"), platform.python_version()).set(1)
REQUESTS = Counter("glance_http_requests_total", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "glance_http_request_seconds",
    "Time until the answer's body began, by route.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
POLICY_VALID = Gauge(
    "glance_policy_files_valid",
    "1 when the policy files are right; 0 while the rules that were in force before are kept.",
    multiprocess_mode="livemin",
)
CONFIGURATION_VALID = Gauge(
    "glance_configuration_valid",
    "0 when the last SIGHUP was refused and everything stayed as it was, else 1.",
    multiprocess_mode="mostrecent",
)
PLUGIN_BROKEN = Gauge(
    "glance_plugin_broken",
    "1 while an enabled plugin is broken and the service runs without it, else 0; stores by their id.",
    ["kind", "name"],
    multiprocess_mode="mostrecent",
)
TLS_EXPIRES = Gauge(
    "glance_tls_certificate_expires_seconds",
    "Unix time at which the server's certificate ends, the one that is in use.",
    multiprocess_mode="livemostrecent",
)
SERVER_CONNECTIONS = Gauge(
    "glance_server_connections",
    "Connections by what they wait for: handshake, idle (the next request), header, body, "
    "running (a thread), sending (the client), lingering.",
    ["state"],
    multiprocess_mode="livesum",
)
SERVER_RUNNING = Gauge(
    "glance_server_running",
    "Requests that have a thread or wait for one, by lane: probe, quick, transfer.",
    ["lane"],
    multiprocess_mode="livesum",
)
SERVER_TRANSFERS = Gauge("glance_server_transfers", "Transfers of image data under way.", multiprocess_mode="livesum")
SERVER_REFUSED = Counter(
    "glance_server_refused_total", "Requests and connections that were refused or broken off, by reason.", ["reason"]
)
STORE_SECONDS = Histogram(
    "glance_store_seconds",
    "Time of store operations; put and read include the client's speed.",
    ["store", "operation", "outcome"],
    buckets=(0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600),
)
STORE_BYTES = Counter(
    "glance_store_bytes_total", "Bytes written to (in) and read from (out) a store.", ["store", "direction"]
)
STORE_UP = Gauge(
    "glance_store_up", "1 when the store answered the last readiness check.", ["store"], multiprocess_mode="mostrecent"
)
STORE_WRITABLE = Gauge(
    "glance_store_writable",
    "1 when the store takes new data: 0 when it is read-only, full, away, or refused what came last.",
    ["store"],
    multiprocess_mode="mostrecent",
)
STORE_FREE = Gauge(
    "glance_store_free_bytes",
    "Bytes that the store has room for, where its backend tells, at the last readiness check.",
    ["store"],
    multiprocess_mode="mostrecent",
)
STORE_DRAINING = Gauge(
    "glance_store_draining",
    "1 while the operator takes the store out of service: it takes no new data.",
    ["store"],
    multiprocess_mode="mostrecent",
)
LEASES_REAPED = Counter(
    "glance_leases_reaped_total", "Operations given up because their process had died.", ["operation"]
)
REGISTRY_CALLS = Counter("glance_registry_calls_total", "Calls that glance-registry has answered.", ["call", "outcome"])
REGISTRY_SECONDS = Histogram(
    "glance_registry_call_seconds",
    "Time of the calls in glance-registry, the database's included.",
    ["call"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10, 60),
)
METADEF_VIOLATIONS = Counter(
    "glance_metadef_violations_total",
    "Image properties that broke a metadata definition.",
    ["namespace", "property", "outcome"],
)
CACHE_REQUESTS = Counter(
    "glance_cache_requests_total",
    "Downloads by what the image cache did: hit; miss (this request began to fill it); "
    "followed (somebody filled it); passed (no room or place, or the cache is broken).",
    ["outcome"],
)
CACHE_SENT = Counter("glance_cache_sent_bytes_total", "Bytes sent to clients from complete cache entries.")
CACHE_FILLED = Counter("glance_cache_filled_bytes_total", "Bytes read from stores to fill the cache.")
CACHE_REMOVED = Counter(
    "glance_cache_removed_total",
    "Cache entries removed: evicted; changed (from outside); damaged (by their hash); "
    "damaged_source (the store's bytes were wrong and were not cached).",
    ["reason"],
)
CACHE_REMOVED_BYTES = Counter("glance_cache_removed_bytes_total", "Their bytes.", ["reason"])
NOTIFIER_EVENTS = Counter(
    "glance_notifier_events_total",
    "Events by what became of them: sent, failed (the notifier raised), lost (too many waited).",
    ["notifier", "outcome"],
)
NOTIFIER_WAITING = Gauge(
    "glance_notifier_waiting", "Events that wait to be sent.", ["notifier"], multiprocess_mode="livesum"
)
OUTBOX_DELIVERIES = Counter(
    "glance_outbox_deliveries_total",
    "Events by what became of them: sent, failed (an attempt; it is made again), dropped (too old).",
    ["destination", "outcome"],
)
OUTBOX_WAITING = Gauge(
    "glance_outbox_waiting", "Events that wait to be delivered.", ["destination"], multiprocess_mode="mostrecent"
)
OUTBOX_OLDEST = Gauge(
    "glance_outbox_oldest_seconds",
    "Age of the oldest event that waits; 0 when none does.",
    ["destination"],
    multiprocess_mode="mostrecent",
)
PERIODIC_LEADER = Gauge(
    "glance_periodic_leader", "1 in the process that runs the periodic jobs.", multiprocess_mode="livesum"
)
PERIODIC_RUNS = Counter("glance_periodic_runs_total", "Runs of periodic jobs.", ["job", "outcome"])
PERIODIC_LAST_RUN = Gauge(
    "glance_periodic_last_run_timestamp_seconds",
    "When a periodic job's last run ended, in seconds since 1970.",
    ["job"],
    multiprocess_mode="mostrecent",
)
PERIODIC_SECONDS = Gauge(
    "glance_periodic_last_run_seconds",
    "How long a periodic job's last run took.",
    ["job"],
    multiprocess_mode="mostrecent",
)
PERIODIC_COUNTS = Counter(
    "glance_periodic_counted_total", "What periodic jobs have counted in their reports.", ["job", "count"]
)


def process_gone(pid: int) -> None:
    """One of those that share a folder: its gauges count no more."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
