"""The options of the Swift store; the real section is the operator's store id."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "swift_store_auth_version",
        default="3",
        choices=["1", "3"],
        help="3: Keystone; 1: Swift's own login (tempauth, and Ceph's gateway).",
    ),
    cfg.StrOpt(
        "swift_store_auth_address",
        default="",
        sample_default="https://keystone.example.org/v3",
        help="URL of Keystone, or of Swift's login: https://swift.example.org/auth/v1.0. Without a scheme: https.",
    ),
    cfg.StrOpt(
        "swift_store_user",
        default="",
        sample_default="service:glance",
        help=(
            'project:user for Keystone, both in the domain "default" (others: swift_store_config_file); account:user'
            " for version 1."
        ),
    ),
    cfg.StrOpt("swift_store_key", default="", secret=True, help="The password of swift_store_user."),
    cfg.StrOpt(
        "swift_store_config_file",
        default="",
        help=(
            "A file of accounts instead of the three options above: sections, called references, with user, key,"
            " auth_address, auth_version, and for Keystone user_domain_id or user_domain_name and project_domain_id or"
            " project_domain_name."
        ),
    ),
    cfg.StrOpt(
        "default_swift_reference",
        default="ref1",
        help=(
            "The section of swift_store_config_file that new images are written with. The other sections are for"
            " reading and deleting what was written with them."
        ),
    ),
    cfg.StrOpt(
        "swift_store_region",
        default="",
        help="The region in Keystone's catalogue; empty: the first that has object storage.",
    ),
    cfg.StrOpt(
        "swift_store_endpoint",
        default="",
        sample_default="https://swift.example.org/v1/AUTH_0123",
        help="The storage URL, instead of the one that the login tells.",
    ),
    cfg.StrOpt(
        "swift_store_endpoint_type",
        default="publicURL",
        choices=["publicURL", "internalURL", "adminURL"],
        help="Which URL of Keystone's catalogue to use.",
    ),
    cfg.StrOpt(
        "swift_store_service_type",
        default="object-store",
        help="The type of service to look for in Keystone's catalogue.",
    ),
    cfg.StrOpt(
        "swift_store_cacert",
        default="",
        help="Certificates of the authorities that https servers are checked with; empty: those of the system.",
    ),
    cfg.BoolOpt(
        "swift_store_auth_insecure",
        default=False,
        help=(
            "Don't check the certificates of https servers. Anybody on the way can then read the password and replace"
            " images."
        ),
    ),
    cfg.StrOpt("swift_store_container", default="glance", help="The container that holds the images."),
    cfg.BoolOpt(
        "swift_store_create_container_on_put", default=False, help="Make the container when it does not exist."
    ),
    cfg.BoolOpt(
        "swift_store_multi_tenant",
        default=False,
        help=(
            "Keep each image in the Swift account of the project that owns it, in a container of its own, named after"
            " the container above and the image's id. The service logs in as ever: its user needs Swift's reseller"
            " admin role. Needs swift_store_create_container_on_put, and tempurl in the proxy servers' pipeline."
        ),
    ),
    ListOpt(
        "swift_store_admin_tenants",
        default=[],
        help=(
            "Projects (their ids; accounts with version 1) that may read and write all containers that are made in"
            " multi-tenant mode."
        ),
    ),
    cfg.StrOpt(
        "swift_store_reseller_prefix",
        default="",
        sample_default="AUTH_",
        help=(
            "For multi-tenant mode: what Swift puts before a project's id to name its account. Empty: found from the"
            " service's own account."
        ),
    ),
    cfg.IntOpt(
        "swift_store_multiple_containers_seed",
        default=0,
        min=0,
        max=32,
        help=(
            "Spread the images over many containers, named after the container above and this number of characters of"
            " the image's id (2: up to 256 containers); 0: one container. Needs swift_store_create_container_on_put."
        ),
    ),
    cfg.IntOpt(
        "swift_store_large_object_size",
        default=5120,
        min=1,
        help=(
            "Images larger than this, in MB, are written in segments. At most what the cluster allows for an object (5"
            " GB)."
        ),
    ),
    cfg.IntOpt(
        "swift_store_large_object_chunk_size",
        default=200,
        min=1,
        help="Size of a segment in MB. Larger where an image would have more segments than a manifest may name.",
    ),
    cfg.IntOpt(
        "swift_store_segment_threads", default=4, min=1, max=64, help="Segments of one image that are sent at once."
    ),
    cfg.StrOpt(
        "swift_upload_buffer_dir",
        default="",
        help=(
            "The folder where segments are kept until Swift has them; empty: the system's folder for temporary files."
            " Must have room for swift_store_segment_threads + 1 segments for each upload that runs."
        ),
    ),
    cfg.IntOpt(
        "swift_store_retry_get_count",
        default=3,
        min=0,
        help="How often a download that breaks is taken up again where it broke.",
    ),
    cfg.IntOpt(
        "swift_store_retry_put_count",
        default=3,
        min=0,
        help="How often a segment, or any other request that can be repeated, is sent again.",
    ),
    cfg.FloatOpt(
        "swift_store_timeout",
        default=60,
        min=0.1,
        help="Seconds to wait for a connection, for an answer, and for each next piece of it.",
    ),
    cfg.StrOpt(
        "swift_store_temp_url_key",
        default="",
        secret=True,
        help=(
            "The key that temporary URLs are signed with. Empty: the one that the container or the account has; where"
            " there is none, the container gets one."
        ),
    ),
    cfg.StrOpt(
        "swift_store_temp_url_endpoint",
        default="",
        sample_default="https://swift.example.org",
        help=(
            "Scheme and host that temporary URLs begin with, where clients reach Swift by another name than this"
            " service."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("swift", OPTIONS)]
