"""The options of the HTTP store; the real section is the operator's store id."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import DictOpt, ListOpt

OPTIONS: list[cfg.Opt] = [
    ListOpt(
        "http_store_allowed_hosts",
        default=[],
        help=(
            "Host names, addresses and networks (10.1.0.0/16) that locations may lead to although they are not public. "
            "Everything that is public is allowed anyway."
        ),
    ),
    cfg.StrOpt(
        "https_ca_certificates_file",
        default="",
        help="Certificates of the authorities that https servers are checked with; empty: those of the system.",
    ),
    cfg.BoolOpt(
        "https_insecure",
        default=False,
        help="Don't check the certificates of https servers. Anybody on the way can then replace images.",
    ),
    DictOpt(
        "http_proxy_information",
        default={},
        sample_default={"http": "10.0.0.1:3128", "https": "10.0.0.1:3128"},
        help=(
            "HTTP proxies by scheme. Hosts are still resolved and checked here; the proxy is asked to CONNECT to their"
            " addresses, for http, too."
        ),
    ),
    cfg.FloatOpt("http_store_connect_timeout", default=10, min=0.1, help="Seconds to wait for a connection."),
    cfg.FloatOpt(
        "http_store_timeout",
        default=60,
        min=0.1,
        help="Seconds to wait for the whole header of an answer, and for each next piece of its data.",
    ),
    cfg.IntOpt(
        "http_store_min_fetch_rate",
        default=1024,
        min=0,
        help=(
            "Bytes a second that a server must send at least, over each http_store_fetch_rate_window, also where what"
            " it sends is skipped; 0: no limit. Below that the data is unavailable. Raise it where all servers that you"
            " allow are fast."
        ),
    ),
    cfg.FloatOpt(
        "http_store_fetch_rate_window",
        default=60,
        min=1.0,
        help=(
            "Seconds over which http_store_min_fetch_rate is measured: those that are spent waiting for the server, not"
            " for whoever reads."
        ),
    ),
    cfg.IntOpt(
        "http_store_fetch_timeout",
        default=86400,
        min=1,
        help=(
            "Seconds that may be spent waiting for the data of one answer, all together. Beyond that it is unavailable."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("http", OPTIONS)]
