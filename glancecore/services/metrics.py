"""What Prometheus is told. One registry for the process; several workers share a folder (see ``server``)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("glance_http_requests_total", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("glance_http_request_seconds", "Time until the answer's body began, by route.",
                            ["method", "route"], buckets=(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60))
STORE_SECONDS = Histogram("glance_store_seconds", "Time of store operations; put and read include the client's speed.",
                          ["store", "operation", "outcome"], buckets=(.005, .025, .1, .5, 1, 5, 30, 120, 600))
STORE_BYTES = Counter("glance_store_bytes_total", "Bytes written to (in) and read from (out) a store.",
                      ["store", "direction"])
STORE_UP = Gauge("glance_store_up", "1 when the store answered the last readiness check.", ["store"],
                 multiprocess_mode="mostrecent")
LEASES_REAPED = Counter("glance_leases_reaped_total", "Operations given up because their process had died.", ["operation"])
METADEF_VIOLATIONS = Counter("glance_metadef_violations_total", "Image properties that broke a metadata definition.",
                             ["namespace", "property", "outcome"])
PERIODIC_LEADER = Gauge("glance_periodic_leader", "1 in the process that runs the periodic jobs.", multiprocess_mode="livesum")
PERIODIC_RUNS = Counter("glance_periodic_runs_total", "Runs of periodic jobs.", ["job", "outcome"])
PERIODIC_LAST_RUN = Gauge("glance_periodic_last_run_timestamp_seconds", "When a periodic job's last run ended, in seconds since 1970.",
                          ["job"], multiprocess_mode="mostrecent")
PERIODIC_SECONDS = Gauge("glance_periodic_last_run_seconds", "How long a periodic job's last run took.", ["job"],
                         multiprocess_mode="mostrecent")
PERIODIC_COUNTS = Counter("glance_periodic_counted_total", "What periodic jobs have counted in their reports.", ["job", "count"])
