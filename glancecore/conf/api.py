"""What the API offers and whom it believes."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        cfg.StrOpt(
            "auth_strategy",
            default="none",
            help=(
                "Who callers are: the name of an installed auth plugin. none: everybody is an admin (loopback only "
                "unless allow_open_access); basic: HTTP basic with a file of users; keystone: Keystone tokens; "
                "headers: identity headers of a trusted proxy."
            ),
        ),
        cfg.BoolOpt(
            "allow_open_access",
            default=False,
            help=(
                "Serve with auth_strategy = none on other addresses than loopback too. Everybody who reaches the "
                "port may then do everything."
            ),
        ),
        cfg.BoolOpt(
            "allow_anonymous_access",
            default=False,
            help="Let callers without credentials read what is public; they can change nothing.",
        ),
        cfg.StrOpt(
            "public_endpoint",
            help="URL that clients reach this service at, for links in answers. Default: what the request says.",
        ),
        cfg.IntOpt("limit_param_default", default=25, min=1, help="Rows of a list when the caller names no limit."),
        cfg.IntOpt("api_limit_max", default=1000, min=1, help="Most rows of one answer, whatever the caller asks."),
        cfg.IntOpt("max_json_body", default=1 << 20, min=1024, help="Largest JSON request body, in bytes."),
        cfg.IntOpt(
            "max_request_id_length",
            default=64,
            min=16,
            max=255,
            help="Longest X-OpenStack-Request-Id that is taken from a caller.",
        ),
        cfg.BoolOpt(
            "show_image_direct_url",
            default=False,
            help=(
                "Show direct_url, the location of the first copy, to those whom the policy get_image_location "
                "lets see locations."
            ),
        ),
        cfg.BoolOpt(
            "show_multiple_locations",
            default=False,
            help="Show locations, to those whom the policy get_image_location lets see them.",
        ),
        cfg.StrOpt(
            "property_protection_file",
            help="File of property protection rules: one section for each pattern of property names.",
        ),
        cfg.StrOpt(
            "property_protection_rule_format",
            default="roles",
            choices=["roles", "policies"],
            help="What the values in property_protection_file are: roles, or the name of a policy.",
        ),
        ListOpt("notifiers", default=["log"], help="Notifier plugins that are told what happened."),
        ListOpt(
            "enabled_extensions",
            default=[],
            help="Extensions that are switched on, such as census; each has its options in a section ext_NAME.",
        ),
        ListOpt(
            "disabled_notifications",
            default=[],
            help="Event types that are not sent: image.create, or image for all that begin so.",
        ),
        cfg.StrOpt("quota_driver", default="config", help="Quota plugin that says what a project may use."),
        cfg.BoolOpt("use_keystone_limits", default=False, help="Glance's word for quota_driver = unified."),
        cfg.BoolOpt(
            "strict_options",
            default=False,
            help=(
                "Refuse to start when the configuration has options or sections that nobody knows, instead of naming"
                " them in the log."
            ),
        ),
    ],
    "metrics": [
        cfg.BoolOpt(
            "enabled",
            default=True,
            help="Answer GET /metrics with Prometheus metrics, to loopback and the addresses of allowed_networks.",
        ),
        ListOpt(
            "allowed_networks",
            default=["127.0.0.0/8", "::1/128"],
            help="Networks whose hosts may read /metrics and the readiness details.",
        ),
    ],
    "healthcheck": [
        cfg.StrOpt(
            "disable_by_file_path",
            help="While this file exists, /healthcheck answers 503: takes a node out of a load balancer.",
        ),
        cfg.FloatOpt(
            "ready_cache_seconds",
            default=2.0,
            min=0,
            help="How long an answer of /healthcheck/ready is kept, so that probes don't load the backends.",
        ),
    ],
}
