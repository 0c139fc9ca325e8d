"""Options of a store's section; nothing of VMware is imported here, so samples build without it."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("vmware_server_host", help="Host name or address of the vCenter, with :port unless it is 443."),
    cfg.StrOpt("vmware_server_username", help="User that may read, write and delete files of the datastores."),
    cfg.StrOpt("vmware_server_password", secret=True, help="The user's password."),
    cfg.MultiStrOpt(
        "vmware_datastores",
        default=[],
        help=(
            "Where images go: DATACENTER:DATASTORE or DATACENTER:DATASTORE:WEIGHT, once for each; the datacenter with"
            " its folders (folder/dc1). The heaviest one with room is taken, of equally heavy ones the one with the"
            " most room."
        ),
    ),
    cfg.StrOpt("vmware_store_image_dir", default="/openstack_glance", help="Folder for images in each datastore."),
    cfg.StrOpt(
        "vmware_ca_file",
        help="Certificates (PEM) that the vCenter's certificate is checked with; default: those of the system.",
    ),
    cfg.BoolOpt(
        "vmware_insecure",
        default=False,
        help="Don't check the vCenter's certificate. Anybody on the way can then replace images.",
    ),
    cfg.FloatOpt(
        "vmware_http_timeout",
        default=60,
        min=1,
        help="Seconds without an answer or a byte after which a request has failed.",
    ),
    cfg.FloatOpt(
        "vmware_task_poll_interval",
        default=0.2,
        min=0.01,
        help="Seconds between two looks at a running task of the vCenter.",
    ),
    cfg.FloatOpt("vmware_task_timeout", default=300, min=1, help="Seconds after which such a task has failed."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator: an example section."""
    return [("vmware", OPTIONS)]
