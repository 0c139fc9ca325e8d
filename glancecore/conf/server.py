"""The HTTP server inside glance-api."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        cfg.StrOpt(
            "bind_host",
            default="127.0.0.1",
            help="Address to listen on: an IP address, a host name, or unix:/path. Read at the start only.",
        ),
        cfg.PortOpt("bind_port", default=9292, help="Port to listen on. Read at the start only."),
        cfg.IntOpt("workers", default=2, min=1, max=256, help="Processes that serve requests."),
        cfg.IntOpt(
            "backlog", default=2048, min=1, help="Connections that may wait to be accepted. Read at the start only."
        ),
        cfg.StrOpt("cert_file", help="TLS certificate file (PEM); with key_file the server speaks HTTPS."),
        cfg.StrOpt("key_file", help="TLS key file (PEM)."),
        cfg.StrOpt(
            "ca_file", help="CA file: clients must show a certificate that it signed. Needs cert_file and key_file."
        ),
    ],
    "server": [
        cfg.IntOpt(
            "threads",
            default=16,
            min=1,
            max=1024,
            help=(
                "Requests for metadata that one worker serves at once. Transfers of image data have threads of their"
                " own."
            ),
        ),
        cfg.IntOpt(
            "worker_connections",
            default=4000,
            min=2,
            help=(
                "Connections that one worker keeps open. Beyond that, those that have waited longest for their client"
                " are closed, but for transfers."
            ),
        ),
        cfg.IntOpt(
            "max_transfers",
            default=1000,
            min=1,
            max=10000,
            help=(
                "Transfers of image data, and other requests that may wait for a store, that one worker serves at once."
                " Uploads take a thread each, downloads only while the client takes data. Others get 503 with"
                " Retry-After."
            ),
        ),
        cfg.IntOpt(
            "max_transfers_per_address",
            default=800,
            min=0,
            help=(
                "Those of one client's address, in one worker; others of it get 429 with Retry-After. 0: no limit, for"
                " a service behind a proxy, whose address is that of all clients."
            ),
        ),
        cfg.IntOpt(
            "max_transfers_per_project",
            default=500,
            min=0,
            help="Those of one project, in one worker; others of it get 429 with Retry-After. 0: no limit.",
        ),
        cfg.IntOpt(
            "min_transfer_rate",
            default=500,
            min=0,
            help=(
                "Bytes a second that a client has to send or take at least, over each transfer_rate_window; 0: no"
                " limit. Only time in which the service waits for the client counts."
            ),
        ),
        cfg.FloatOpt(
            "transfer_rate_window", default=60.0, min=1.0, help="Seconds over which min_transfer_rate is measured."
        ),
        cfg.FloatOpt("keepalive", default=75.0, min=0, help="Seconds that an idle connection is kept."),
        cfg.FloatOpt(
            "client_timeout",
            default=60.0,
            min=1.0,
            deprecated_name="client_socket_timeout",
            deprecated_group="DEFAULT",
            help="Seconds that a client may send or take nothing in the middle of a request or an answer.",
        ),
        cfg.FloatOpt(
            "header_timeout",
            default=60.0,
            min=1.0,
            help="Seconds that the whole header of a request may take, however steadily its bytes come.",
        ),
        cfg.FloatOpt(
            "lingering_time",
            default=300.0,
            min=1.0,
            help=(
                "Seconds that a client may go on to send which was answered before its whole body had come. Most"
                " clients read no answer before they have sent everything, and see a broken connection in its place"
                " when they can't. What they send is thrown away, without a thread; they must keep min_transfer_rate."
            ),
        ),
        cfg.IntOpt(
            "graceful_timeout",
            default=30,
            min=1,
            help="Seconds that running requests have to end when the server is asked to stop.",
        ),
        cfg.IntOpt(
            "reload_timeout",
            default=86400,
            min=1,
            help=(
                "Seconds that running requests have to end when their worker is replaced (SIGHUP); a transfer that is"
                " still going on then is cut off."
            ),
        ),
        cfg.IntOpt(
            "proxies",
            default=1,
            min=1,
            max=16,
            help=(
                "With [oslo_middleware] enable_proxy_headers_parsing: how many proxies stand in front. Each adds its"
                " word at the right of the headers; what was there before the outermost one's is the client's own, and"
                " not believed."
            ),
        ),
        cfg.StrOpt(
            "proxy_header",
            default="x-forwarded",
            choices=["x-forwarded", "forwarded"],
            help=(
                "Which headers these proxies set: X-Forwarded-For, -Proto, -Host and -Prefix, or Forwarded (RFC 7239)."
                " The others are not looked at."
            ),
        ),
        cfg.IntOpt("limit_request_header", default=65536, min=1024, help="Largest header of a request, in bytes."),
        cfg.IntOpt("limit_request_line", default=8190, min=128, max=65536, help="Longest request line, in bytes."),
        cfg.IntOpt("limit_request_fields", default=100, min=10, help="Most header fields of a request."),
        cfg.IntOpt(
            "limit_request_field_size",
            default=16380,
            min=128,
            deprecated_name="max_header_line",
            deprecated_group="DEFAULT",
            help="Longest header field, in bytes.",
        ),
        cfg.BoolOpt("access_log", default=False, help="Log every request."),
        cfg.BoolOpt("sendfile", default=True, help="Let the kernel send local files without copying them."),
    ],
}
