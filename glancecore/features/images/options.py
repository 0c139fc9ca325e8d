"""What an image may be: formats, limits, quotas, hashes."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        cfg.IntOpt("image_size_cap", default=1 << 40, min=1, max=1 << 63, help="Largest image data, in bytes."),
        cfg.IntOpt("image_property_quota", default=128, help="Most custom properties of an image; negative: no limit."),
        cfg.IntOpt("image_tag_quota", default=128, help="Most tags of an image; negative: no limit."),
        cfg.IntOpt(
            "image_metadata_quota",
            default=256 << 10,
            help=(
                "Most bytes of one image's tags and properties, together; negative: no limit. It bounds what one image"
                " costs in a list. Images of a database that was taken over keep what they have."
            ),
        ),
        cfg.IntOpt(
            "project_metadata_quota",
            default=1 << 30,
            help="Most bytes of the tags and properties of all images of one project; negative: no limit.",
        ),
        cfg.IntOpt("image_member_quota", default=128, help="Most members of an image; negative: no limit."),
        cfg.IntOpt("image_location_quota", default=10, help="Most locations of an image; negative: no limit."),
        cfg.StrOpt(
            "user_storage_quota",
            default="0",
            help=(
                "Most bytes that one project's images may take, each copy counted: a number, with B, KB, MB, GB or "
                "TB; 0: no limit."
            ),
        ),
        cfg.IntOpt("project_image_quota", default=-1, help="Most images of one project; negative: no limit."),
        cfg.IntOpt(
            "project_uploading_quota",
            default=-1,
            help="Most images of one project that are uploaded, staged or imported at once; negative: no limit.",
        ),
        cfg.FloatOpt(
            "location_lookup_timeout",
            default=20.0,
            min=1.0,
            max=300.0,
            help=(
                "Seconds that a request may wait for the servers of all the locations that it names. At most a quarter"
                " of [server] threads wait for web servers at once, half of them for one project: others get 503."
            ),
        ),
        cfg.BoolOpt(
            "do_secure_hash",
            default=True,
            help=(
                "Read and hash the data of added locations, in the background. Data on web servers is hashed whatever"
                " this says: it is only sent against its hash."
            ),
        ),
        cfg.StrOpt(
            "hashing_algorithm",
            default="sha512",
            help="Digest that os_hash_value is made with: a name that Python's hashlib knows.",
        ),
        cfg.BoolOpt(
            "legacy_checksum",
            default=True,
            help=(
                "Give new data an MD5 as well, as checksum. false: checksum is null, clients compare os_hash_value, and"
                " uploads cost less CPU. The MD5 of images that have one stays."
            ),
        ),
        cfg.BoolOpt(
            "delayed_delete",
            default=False,
            help=(
                "A deleted image that has data is kept as pending_delete, seen by nobody, for scrub_time seconds: until"
                " then glance-scrubber --restore ID brings it back. It counts against its project's quotas all the"
                " while."
            ),
        ),
        cfg.IntOpt(
            "scrub_time",
            default=0,
            min=0,
            help=(
                "Seconds after which the data of an image that was deleted with delayed_delete may go. The periodic job"
                " reaper, or glance-scrubber, removes it."
            ),
        ),
        cfg.IntOpt("wakeup_time", default=300, min=1, help="Seconds between two passes of glance-scrubber --daemon."),
        cfg.StrOpt(
            "certificate_source",
            help=(
                "Where the certificates of signed images are: the name of an installed plugin. folder: files in a"
                " folder; castellan: a key manager. By default there are none, and images with the four img_signature"
                " properties are refused."
            ),
        ),
    ],
    "image_format": [
        ListOpt(
            "disk_formats",
            deprecated_group="DEFAULT",
            default=["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"],
            help="Allowed values of disk_format.",
        ),
        ListOpt(
            "container_formats",
            deprecated_group="DEFAULT",
            default=["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"],
            help="Allowed values of container_format.",
        ),
        cfg.BoolOpt(
            "require_image_format_match", default=True, help="Refuse data whose format is not the declared disk_format."
        ),
        ListOpt(
            "uninspected_container_formats",
            default=["ovf", "ova", "docker", "compressed"],
            help=(
                "Container formats whose data is a package around the disk: the declared disk_format is not compared "
                "with what the bytes look like. Unsafe disk formats are refused in any container."
            ),
        ),
        ListOpt(
            "gpt_safety_checks_nonfatal",
            default=[],
            help="Names of GPT safety checks that are logged instead of refusing the data.",
        ),
        ListOpt(
            "vmdk_allowed_types",
            default=["streamOptimized", "monolithicSparse"],
            help=(
                "VMDK create types that are accepted: some of streamOptimized, monolithicSparse. All others have their"
                " data in other files."
            ),
        ),
    ],
}

# -- periodic jobs
REAPER: list[cfg.Opt] = [
    cfg.IntOpt(
        "purge_after_days",
        default=0,
        min=0,
        help=(
            "Forget images that were removed so many days ago: their ids may then be used again. 0: never;"
            " glance-manage db purge does it by hand."
        ),
    ),
]


def bound(value: int) -> int | None:
    """What a quota's option means: a negative number is no limit."""
    return None if value < 0 else value
