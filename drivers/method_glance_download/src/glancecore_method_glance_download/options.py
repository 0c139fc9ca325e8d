"""Options of glance-download; section and extra_properties are Glance's. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

SECTION = "glance_download_properties"

OPTIONS: list[cfg.Opt] = [
    cfg.ListOpt("extra_properties", default=["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"], bounds=True,
                help="Properties of the source that the new image gets: their names, or what their names begin with."),
    cfg.StrOpt("auth_url", help="Keystone, whose catalogue says where the other regions are; by default [keystone_authtoken] auth_url or www_authenticate_uri."),
    cfg.StrOpt("ca_file", help="File of certificate authorities (PEM) of Keystone and the other regions; by default the system's."),
    cfg.FloatOpt("connect_timeout", default=10.0, min=0.1, help="Seconds to wait for a connection."),
    cfg.FloatOpt("timeout", default=60.0, min=0.1, help="Seconds that a server may send nothing."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]
