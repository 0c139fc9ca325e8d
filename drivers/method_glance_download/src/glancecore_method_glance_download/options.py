"""Options of glance-download; section and extra_properties are Glance's. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt
from glancecore.sdk.config_files import files_of

SECTION = "glance_download_properties"

OPTIONS: list[cfg.Opt] = [
    ListOpt(
        "extra_properties",
        default=["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"],
        help="Properties of the source that the new image gets: their names, or what their names begin with.",
    ),
    cfg.StrOpt(
        "auth_url",
        help=(
            "Keystone, whose catalogue says where the other regions are; by default [keystone_authtoken] auth_url or"
            " www_authenticate_uri."
        ),
    ),
    cfg.StrOpt(
        "ca_file",
        help="File of certificate authorities (PEM) of Keystone and the other regions; by default the system's.",
    ),
    cfg.FloatOpt("connect_timeout", default=10.0, min=0.1, help="Seconds to wait for a connection."),
    cfg.FloatOpt("timeout", default=60.0, min=0.1, help="Seconds that a server may send nothing."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]


def keystone_of(config: cfg.ConfigOpts) -> str | None:
    """The URL of Keystone in [keystone_authtoken], read apart: in ``config`` its options are keystonemiddleware's, and
    declared only in processes that serve requests."""
    apart = cfg.ConfigOpts()
    group = "keystone_authtoken"
    apart.register_opts(
        [cfg.StrOpt("www_authenticate_uri", deprecated_name="auth_uri"), cfg.StrOpt("auth_section", default=group)],
        group,
    )
    apart([], default_config_files=files_of(config), default_config_dirs=[])
    where = str(apart[group].auth_section)
    apart.register_opts([cfg.StrOpt("auth_url")], where)
    found: str | None = apart[where].auth_url or apart[group].www_authenticate_uri
    return found
