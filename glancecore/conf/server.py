"""The HTTP server inside glance-api."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        cfg.StrOpt("bind_host", default="127.0.0.1", help="Address to listen on: an IP address, a host name, or unix:/path."),
        cfg.PortOpt("bind_port", default=9292, help="Port to listen on."),
        cfg.IntOpt("workers", default=2, min=1, max=256, help="Processes that serve requests."),
        cfg.IntOpt("backlog", default=2048, min=1, help="Connections that may wait to be accepted."),
        cfg.StrOpt("cert_file", help="TLS certificate file (PEM); with key_file the server speaks HTTPS."),
        cfg.StrOpt("key_file", help="TLS key file (PEM)."),
        cfg.StrOpt("ca_file", help="CA file: clients must show a certificate that it signed."),
    ],
    "server": [
        cfg.IntOpt("threads", default=16, min=1, max=1024, help="Requests that one worker serves at once."),
        cfg.IntOpt("worker_connections", default=1000, min=2, help="Connections that one worker keeps open."),
        cfg.FloatOpt("keepalive", default=75.0, min=0, help="Seconds that an idle connection is kept."),
        cfg.FloatOpt("client_timeout", default=60.0, min=1.0,
                     help="Seconds that a client may send or take nothing in the middle of a request or an answer."),
        cfg.FloatOpt("header_timeout", default=60.0, min=1.0,
                     help="Seconds that the whole header of a request may take, however steadily its bytes come."),
        cfg.IntOpt("graceful_timeout", default=30, min=1,
                   help="Seconds that running requests have to end when the server is asked to stop."),
        cfg.IntOpt("limit_request_line", default=8190, min=128, max=65536, help="Longest request line, in bytes."),
        cfg.IntOpt("limit_request_fields", default=100, min=10, help="Most header fields of a request."),
        cfg.IntOpt("limit_request_field_size", default=16380, min=128, help="Longest header field, in bytes."),
        cfg.BoolOpt("access_log", default=False, help="Log every request."),
        cfg.BoolOpt("sendfile", default=True, help="Let the kernel send local files without copying them."),
    ],
}
