"""Every option that Glance 33 has, and what becomes of it here. Where nothing else is said, it is the same here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from glancecore.conf import library_options

#: Stands for the section of a store, whatever its id; Glance also has it all in [glance_store].
STORE = "<store>"


class OptionFate(StrEnum):
    SAME = "same"
    RENAMED = "renamed"
    UNNEEDED = "not needed"
    LOST = "not supported"


@dataclass(frozen=True, slots=True)
class Fate:
    """``words``: the option that is meant, why it isn't needed, or what is lost."""

    outcome: OptionFate
    words: str = ""


SAME = Fate(OptionFate.SAME)

_SAME: dict[str, str] = {
    "DEFAULT": (
        """allow_anonymous_access api_limit_max default_publisher_id delayed_delete disabled_notifications
        do_secure_hash enabled_backends enabled_import_methods hashing_algorithm image_cache_dir image_cache_driver
        image_cache_max_size image_cache_stall_time image_location_quota image_member_quota image_property_quota
        image_size_cap image_tag_quota limit_param_default max_request_id_length property_protection_file
        property_protection_rule_format public_endpoint scrub_time show_image_direct_url show_multiple_locations
        user_storage_quota wakeup_time worker_self_reference_url bind_host bind_port workers backlog cert_file
        key_file ca_file transport_url control_exchange executor_thread_pool_size rpc_response_timeout
        rpc_ping_enabled debug log_config_append log_color log_date_format log_dir log_file log_options
        log_rotate_interval log_rotate_interval_type log_rotation_type logging_context_format_string
        logging_debug_format_suffix logging_default_format_string logging_exception_prefix
        logging_user_identity_format max_logfile_count max_logfile_size_mb publish_errors rate_limit_burst
        rate_limit_except_level rate_limit_interval syslog_log_facility use_journal use_json use_stderr use_syslog
        watch_log_file default_log_levels fatal_deprecations instance_format instance_uuid_format"""
    ),
    "glance_download_properties": "extra_properties",
    "image_conversion": "output_format",
    "image_format": (
        "container_formats disk_formats gpt_safety_checks_nonfatal require_image_format_match vmdk_allowed_types"
    ),
    "image_import_opts": "image_import_plugins",
    "import_filtering_opts": (
        "allowed_hosts allowed_ports allowed_schemes disallowed_hosts disallowed_ports disallowed_schemes"
    ),
    "inject_metadata_properties": "ignore_user_roles inject",
    "glance_store": "default_backend",
    STORE: (
        """filesystem_store_chunk_size filesystem_store_datadir filesystem_store_datadirs filesystem_store_file_perm
        filesystem_store_timeout filesystem_thin_provisioning http_proxy_information https_ca_certificates_file
        https_insecure rados_connect_timeout rbd_store_ceph_conf rbd_store_chunk_size rbd_store_pool rbd_store_user
        rbd_thin_provisioning s3_store_access_key s3_store_bucket s3_store_bucket_url_format s3_store_cacert
        s3_store_create_bucket_on_put s3_store_host s3_store_large_object_chunk_size s3_store_large_object_size
        s3_store_region_name s3_store_secret_key s3_store_thread_pools default_swift_reference
        swift_store_admin_tenants swift_store_auth_address swift_store_auth_insecure swift_store_auth_version
        swift_store_cacert swift_store_config_file swift_store_container swift_store_create_container_on_put
        swift_store_endpoint swift_store_endpoint_type swift_store_key swift_store_large_object_chunk_size
        swift_store_large_object_size swift_store_multi_tenant swift_store_multiple_containers_seed
        swift_store_region swift_store_retry_get_count swift_store_service_type swift_store_user
        swift_upload_buffer_dir vmware_ca_file vmware_datastores vmware_insecure vmware_server_host
        vmware_server_password vmware_server_username vmware_store_image_dir vmware_task_poll_interval
        store_description weight"""
    ),
    "database": "connection connection_recycle_time db_max_retries max_overflow max_pool_size pool_timeout",
    "healthcheck": "disable_by_file_path",
}

_RENAMED: dict[tuple[str, str], str] = {
    ("image_import_opts", "max_parallel_stores"): "[imports] max_parallel_stores",
    ("wsgi", "task_pool_threads"): "[imports] workers",
    ("DEFAULT", "client_socket_timeout"): "[server] client_timeout",
    ("DEFAULT", "max_header_line"): "[server] limit_request_field_size",
    ("DEFAULT", "disk_formats"): "[image_format] disk_formats",
    ("DEFAULT", "container_formats"): "[image_format] container_formats",
    ("DEFAULT", "cache_prefetcher_interval"): "[periodic_cache_prefetcher] interval",
    ("DEFAULT", "node_staging_uri"): "[os_glance_staging_store] filesystem_store_datadir",
    ("DEFAULT", "use_keystone_limits"): "[DEFAULT] quota_driver = unified",
    ("paste_deploy", "flavor"): "[DEFAULT] auth_strategy, and image_cache_dir for a cache",
    ("glance_store", "stores"): "[DEFAULT] enabled_backends",
    ("glance_store", "default_store"): "[glance_store] default_backend",
}

_UNNEEDED: dict[tuple[str, str], str] = {
    ("DEFAULT", "daemon"): "glance-scrubber --daemon",
    ("DEFAULT", "restore"): "glance-scrubber --restore",
    ("DEFAULT", "digest_algorithm"): "signatures name their own digest",
    ("DEFAULT", "http_retries"): "requests to other services are retried by their drivers",
    ("DEFAULT", "image_cache_sqlite_db"): "the cache keeps its index in its own folder",
    ("DEFAULT", "metadata_encryption_key"): "locations carry no passwords",
    ("DEFAULT", "scrub_pool_size"): "one image is removed after the other",
    ("DEFAULT", "lock_path"): "locks lie in [periodic] lock_path",
    ("DEFAULT", "tcp_keepidle"): "silent clients are closed by [server] client_timeout",
    ("DEFAULT", "http_keepalive"): "connections are kept for [server] keepalive seconds; 0: not",
    ("DEFAULT", "enable_v2_api"): "there is version 2 only",
    ("DEFAULT", "location_strategy"): "the weight of each store says which copy is read",
    ("DEFAULT", "image_cache_invalid_entry_grace_period"): "entries that fail are dropped at once",
    ("oslo_policy", "enforce_scope"): "the scopes of tokens are always enforced",
    ("oslo_messaging_rabbit", "heartbeat_in_pthread"): "heartbeats have a thread of their own",
    ("oslo_concurrency", "lock_path"): "locks lie in [periodic] lock_path",
    ("oslo_concurrency", "disable_process_locking"): "there are no such locks",
    (
        "paste_deploy",
        "config_file",
    ): "there are no pipelines; filters of it that are not Glance's own are named in the log",
    ("task", "task_executor"): "there is one way to run imports",
    ("task", "work_dir"): "[imports] work_dir, by default in the staging folder",
    ("taskflow_executor", "engine_mode"): "there is one way to run imports",
    ("taskflow_executor", "max_workers"): "[imports] workers",
    ("wsgi", "python_interpreter"): "imports run in processes of this service's own Python",
    (STORE, "filesystem_store_thread_pool_size"): "transfers have their own threads: [server] max_transfers",
    (STORE, "filesystem_store_threadpool_threshold"): "transfers have their own threads: [server] max_transfers",
    (STORE, "swift_buffer_on_upload"): "setting swift_upload_buffer_dir says it",
    (STORE, "swift_store_expire_soon_interval"): "tokens are renewed by themselves",
    (STORE, "swift_store_ssl_compression"): "TLS has no compression any more",
    (STORE, "swift_store_use_trusts"): "the service's own login is used: swift_store_multi_tenant",
    (STORE, "s3_store_request_checksum_calculation"): "data is hashed by the service itself",
    (STORE, "s3_store_response_checksum_validation"): "data is hashed by the service itself",
    (STORE, "s3_store_enable_data_integrity_protection"): "data is hashed by the service itself",
    **{
        ("database", x): "the service opens and repeats its connections by itself"
        for x in (
            "backend",
            "asyncio_connection",
            "asyncio_slave_connection",
            "connection_debug",
            "connection_trace",
            "db_inc_retry_interval",
            "db_max_retry_interval",
            "db_retry_interval",
            "max_retries",
            "retry_interval",
            "use_db_reconnect",
            "sqlite_synchronous",
            "idle_timeout",
            "min_pool_size",
            "synchronous_reader",
        )
    },
}

_LOST: dict[tuple[str, str], str] = {
    ("DEFAULT", "pydev_worker_debug_host"): "no remote debugger is started",
    ("DEFAULT", "pydev_worker_debug_port"): "no remote debugger is started",
    (
        "DEFAULT",
        "secure_proxy_ssl_header",
    ): (
        "headers of that name are not believed; set [oslo_middleware] enable_proxy_headers_parsing and [server]"
        " proxy_header"
    ),
    ("DEFAULT", "owner_is_tenant"): "images belong to projects, never to users",
    (
        "DEFAULT",
        "allow_additional_image_properties",
    ): "custom properties are always allowed, within image_property_quota",
    ("DEFAULT", "admin_role"): "who is an admin is said by the policy context_is_admin",
    ("DEFAULT", "enable_v1_api"): "there is version 2 only",
    ("task", "task_time_to_live"): "tasks expire after 48 hours",
    (
        "taskflow_executor",
        "conversion_format",
    ): "images are converted by the import plugin image_conversion: [image_conversion] output_format",
    (STORE, "filesystem_store_metadata_file"): "locations of files carry no metadata from a file",
    (
        STORE,
        "swift_store_application_credential_id",
    ): "the service logs in with user and key: swift_store_user, swift_store_key",
    (
        STORE,
        "swift_store_application_credential_secret",
    ): "the service logs in with user and key: swift_store_user, swift_store_key",
    (STORE, "swift_store_project_id"): "the project is the part of swift_store_user before the colon",
    (STORE, "swift_store_project_name"): "the project is the part of swift_store_user before the colon",
    (STORE, "vmware_api_retry_count"): "calls are not repeated",
    **{
        ("database", x): what
        for x, what in (
            ("connection_parameters", "write parameters into connection"),
            ("mysql_sql_mode", "the service sets the mode that it needs"),
            ("mysql_wsrep_sync_wait", "reads do not wait for other nodes of a Galera cluster; send all to one node"),
            ("slave_connection", "all reads go to connection"),
        )
    },
    **{
        ("healthcheck", x): what
        for x, what in (
            ("allowed_source_ranges", "the details are shown to [metrics] allowed_networks"),
            ("backends", "/healthcheck/ready looks at database and stores"),
            ("detailed", "the details are at /healthcheck/ready"),
            ("path", "the path is /healthcheck"),
            ("disable_by_file_paths", "only disable_by_file_path"),
            ("enable_by_file_paths", "only disable_by_file_path"),
            ("ignore_proxied_requests", "requests through proxies are answered, without details"),
        )
    },
    **{
        ("oslo_reports", x): "there are no reports; see /metrics and the log"
        for x in ("file_event_handler", "file_event_handler_interval", "log_dir")
    },
    **{
        ("profiler", x): "traces are the extension tracing's, by OpenTelemetry"
        for x in (
            "connection_string",
            "enabled",
            "es_doc_type",
            "es_scroll_size",
            "es_scroll_time",
            "filter_error_trace",
            "hmac_keys",
            "sentinel_service_name",
            "socket_timeout",
            "trace_requests",
            "trace_sqlalchemy",
            "trace_wsgi_transport",
        )
    },
    **{
        (f"profiler_{x}", y): "traces are the extension tracing's, by OpenTelemetry"
        for x, y in (("jaeger", "process_tags"), ("jaeger", "service_name_prefix"), ("otlp", "service_name_prefix"))
    },
}
#: Drivers that Glance has and this service has not: options that begin so.
LOST_DRIVERS = {"cinder_": "there is no driver for Cinder's volumes"}

OPTIONS: dict[tuple[str, str], Fate] = {
    **{(section, name): SAME for section, names in _SAME.items() for name in names.split()},
    **{key: Fate(OptionFate.RENAMED, words) for key, words in _RENAMED.items()},
    **{key: Fate(OptionFate.UNNEEDED, words) for key, words in _UNNEEDED.items()},
    **{key: Fate(OptionFate.LOST, words) for key, words in _LOST.items()},
}
SECTIONS = frozenset({*(section for section, _ in OPTIONS), *library_options.SECTIONS} - {STORE})


def fate(section: str, name: str, *, store: bool = False) -> Fate | None:
    """What became of an option of Glance; None: it has no such. ``store``: the section is a store's, or
    [glance_store]."""
    if name in library_options.SECTIONS.get(section, ()):
        return SAME
    found = OPTIONS.get((section, name))
    if found is None and store:
        found = OPTIONS.get((STORE, name))
        if found is None and (
            lost := next((what for begin, what in LOST_DRIVERS.items() if name.startswith(begin)), None)
        ):
            return Fate(OptionFate.LOST, lost)
    return found


def table() -> Iterator[str]:
    """For the documentation: Markdown, one row for each option that is not simply the same."""
    yield "| option of Glance 33 | | |"
    yield "|---|---|---|"
    for (section, name), became in sorted(OPTIONS.items(), key=lambda x: (x[0][0] != "DEFAULT", x[0])):
        if became.outcome is not OptionFate.SAME:
            yield f"| `[{section}] {name}` | {became.outcome} | {became.words} |"
    for begin, what in LOST_DRIVERS.items():
        yield f"| `[{STORE}] {begin}…` | {OptionFate.LOST} | {what} |"
    yield ""
    yield f"The same here: every option of the sections {', '.join(f'`[{x}]`' for x in library_options.SECTIONS)}, and"
    yield ""
    for section, names in _SAME.items():
        yield f"- `[{section}]` {' '.join(f'`{x}`' for x in sorted(names.split()))}"
