"""Which stores there are. Each store's own options are its driver's, in the section of the store's id."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import DictOpt, ListOpt

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        DictOpt(
            "enabled_backends",
            default={"file": "file"},
            help=(
                "The stores: id:driver, comma-separated, such as fast:file, cheap:swift. Each id has a section of its "
                "own with the driver's options, store_description, weight and read_only."
            ),
        ),
    ],
    "glance_store": [
        ListOpt(
            "stores",
            default=[],
            help=(
                "Glance's old word for enabled_backends, read when that is not set: names of drivers, each of which"
                " becomes a store of that name whose options are in this section."
            ),
        ),
        cfg.StrOpt("default_store", help="Glance's old word for default_backend, read together with stores."),
        cfg.StrOpt(
            "default_backend", help="Store for data when the caller names none. Needed with more than one store."
        ),
        ListOpt(
            "fallback_stores",
            default=[],
            help=(
                "Ids of stores that take the data when the caller names none and the default store is full, in this"
                " order. By default there are none: such an upload is refused (413)."
            ),
        ),
    ],
}

#: Registered in every store's section beside its driver's own options.
PER_STORE: list[cfg.Opt] = [
    cfg.StrOpt("store_description", help="Shown to users in the list of stores."),
    cfg.IntOpt("weight", default=0, help="Copies in stores of higher weight are read first."),
    cfg.StrOpt(
        "direct_download",
        default="never",
        choices=["never", "asked", "always"],
        help=(
            "Send clients to the backend itself, by a redirect to a signed URL that is good for a short time, instead"
            " of passing the data on. asked: those that ask with ?direct=true; always: all but those that say"
            " ?direct=false. Needs a driver that signs URLs (s3, swift), and clients that reach the backend."
        ),
    ),
    cfg.IntOpt("direct_download_seconds", default=300, min=10, max=86400, help="How long such a URL is good."),
    cfg.BoolOpt(
        "read_only", default=False, help="Take no new data into this store; what is there can be read and deleted."
    ),
]
