"""Options of a store's section; nothing of Ceph is imported here, so samples build without it."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("rbd_store_pool", default="images", help="RADOS pool that holds the images."),
    cfg.StrOpt(
        "rbd_store_user",
        default="glance",
        help="Ceph user (client.NAME without 'client.'); its keyring is named by the Ceph configuration file.",
    ),
    cfg.StrOpt("rbd_store_ceph_conf", default="/etc/ceph/ceph.conf", help="Ceph configuration file."),
    cfg.IntOpt(
        "rbd_store_chunk_size",
        default=8,
        min=1,
        max=32,
        help="Size of the objects that an image is made of, in MiB: a power of two.",
    ),
    cfg.BoolOpt(
        "rbd_thin_provisioning", default=False, help="Don't write chunks of zeros: they take no space in the pool."
    ),
    cfg.IntOpt("rados_connect_timeout", default=10, min=1, help="Seconds to wait for the cluster when connecting."),
    cfg.IntOpt(
        "rados_operation_timeout",
        default=30,
        min=1,
        help="Seconds after which a read or write that the cluster does not answer has failed.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator: an example section."""
    return [("rbd", OPTIONS)]
