"""The options of the S3 store; the real section is the operator's store id."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "s3_store_host",
        default="",
        sample_default="https://s3.example.org",
        help="Where the service is: host, or host:port, with http:// or https:// before it. Without: https.",
    ),
    cfg.StrOpt("s3_store_region_name", default="", help="The region that requests are signed for; empty: us-east-1."),
    cfg.StrOpt(
        "s3_store_access_key", default="", secret=True, help="The access key of the account that owns the bucket."
    ),
    cfg.StrOpt("s3_store_secret_key", default="", secret=True, help="The secret key of that account."),
    cfg.StrOpt("s3_store_bucket", default="", sample_default="glance", help="The bucket that holds the images."),
    cfg.BoolOpt("s3_store_create_bucket_on_put", default=False, help="Make the bucket when it does not exist."),
    cfg.StrOpt(
        "s3_store_bucket_url_format",
        default="auto",
        choices=["auto", "path", "virtual"],
        help=(
            "How requests name the bucket: path (https://host/bucket/key), virtual (https://bucket.host/key), or as the"
            " client library finds right for the host."
        ),
    ),
    cfg.IntOpt(
        "s3_store_large_object_size",
        default=100,
        min=1,
        max=5120,
        help="Images larger than this, in MB, and those of unknown size are uploaded in parts.",
    ),
    cfg.IntOpt(
        "s3_store_large_object_chunk_size",
        default=10,
        min=5,
        max=5120,
        help="Size of a part in MB. Larger where an image would have more parts than s3_store_max_parts.",
    ),
    cfg.IntOpt(
        "s3_store_max_parts",
        default=10000,
        min=10,
        max=10000,
        help=(
            "How many parts the service takes for one object. Swift's S3 interface takes 1000 unless configured"
            " otherwise."
        ),
    ),
    cfg.IntOpt(
        "s3_store_thread_pools", default=10, min=1, max=64, help="Parts of one image that are uploaded at once."
    ),
    cfg.StrOpt(
        "s3_store_buffer_dir",
        default="",
        help=(
            "The folder where parts are kept until the service has them; empty: the system's folder for temporary"
            " files. Must have room for s3_store_thread_pools + 1 parts, or s3_store_large_object_size, for each upload"
            " that runs."
        ),
    ),
    cfg.StrOpt(
        "s3_store_cacert",
        default="",
        help=(
            "Certificates of the authorities that an https service is checked with; empty: those of the client library."
        ),
    ),
    cfg.IntOpt(
        "s3_store_retries",
        default=3,
        min=0,
        help="How often a request or a part is sent again, and a download that breaks is taken up again.",
    ),
    cfg.FloatOpt(
        "s3_store_timeout",
        default=60,
        min=0.1,
        help="Seconds to wait for a connection, for an answer, and for each next piece of it.",
    ),
    cfg.StrOpt(
        "s3_store_presign_host",
        default="",
        sample_default="https://s3.example.org",
        help="The host that signed URLs name, where clients reach the service by another name than this service does.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("s3", OPTIONS)]
