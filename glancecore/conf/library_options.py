"""The options of oslo's and Keystone's libraries, which they read in Glance and here alike, by section.

The lists are those of the releases that this service is tested with; what a newer one reads, it registers when its
plugin is loaded. A library is never asked for its list: importing oslo.messaging's chooses for the whole process how
oslo.service runs threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points

#: What logs in to Keystone, by any of keystoneauth1's plugins: in the sections of LOGINS, and in those that their
#: auth_section names.
_LOGIN_NAMES = """
    access_token access_token_endpoint access_token_type application_credential_id application_credential_name
    application_credential_secret auth_methods auth_plugin auth_section auth_type auth_url authorization_code cafile
    certfile client_id client_secret code code_challenge_method collect_timing default_domain_id default_domain_name
    device_authorization_endpoint discovery_endpoint domain_id domain_name endpoint identity_provider idp_otp_key
    insecure keyfile login_timeout oauth2_client_id oauth2_client_secret oauth2_endpoint passcode password
    project_domain_id project_domain_name project_id project_name protocol redirect_host redirect_port redirect_uri
    scope split_loggers system_scope tenant_id tenant_name timeout tls_ciphers tls_min_version token trust_id url
    user_domain_id user_domain_name user_id user_name username"""
_LOGIN = frozenset(_LOGIN_NAMES.split())

_OPTIONS: dict[str, str] = {
    "keystone_authtoken": (
        """auth_uri auth_version cache delay_auth_decision enforce_token_bind http_connect_timeout
        http_request_max_retries include_service_catalog interface memcache_password memcache_pool_conn_get_timeout
        memcache_pool_dead_retry memcache_pool_maxsize memcache_pool_socket_timeout memcache_pool_unused_timeout
        memcache_sasl_enabled memcache_secret_key memcache_security_strategy memcache_servers
        memcache_tls_allowed_ciphers memcache_tls_cafile memcache_tls_certfile memcache_tls_enabled
        memcache_tls_keyfile memcache_use_advanced_pool memcache_username memcached_servers region_name
        service_token_roles service_token_roles_required service_type token_cache_time www_authenticate_uri"""
    ),
    "oslo_policy": (
        """enforce_new_defaults policy_default_rule policy_dirs policy_file remote_content_type remote_ssl_ca_crt_file
        remote_ssl_client_crt_file remote_ssl_client_key_file remote_ssl_verify_server_crt remote_timeout"""
    ),
    "oslo_limit": (
        """connect_retries connect_retry_delay endpoint_id endpoint_interface endpoint_override endpoint_region_name
        endpoint_service_name endpoint_service_type max_version min_version region_name retriable_status_codes
        service_name service_type status_code_retries status_code_retry_delay valid_interfaces version"""
    ),
    "cors": "allow_credentials allow_headers allow_methods allowed_origin expose_headers max_age",
    "oslo_middleware": "enable_proxy_headers_parsing http_basic_auth_user_file max_request_body_size",
    "oslo_messaging_notifications": "driver retry topics transport_url",
    "oslo_messaging_rabbit": (
        """amqp_auto_delete amqp_durable_queues conn_pool_min_size conn_pool_ttl direct_mandatory_flag
        enable_cancel_on_failover heartbeat_rate heartbeat_timeout_threshold hostname kombu_compression
        kombu_failover_strategy kombu_missing_consumer_retry_timeout kombu_reconnect_delay kombu_reconnect_splay
        kombu_reconnect_timeout processname rabbit_ha_queues rabbit_interval_max rabbit_login_method
        rabbit_qos_prefetch_count rabbit_quorum_delivery_limit rabbit_quorum_max_memory_bytes
        rabbit_quorum_max_memory_length rabbit_quorum_queue rabbit_retry_backoff rabbit_retry_interval
        rabbit_stream_fanout rabbit_transient_queues_ttl rabbit_transient_quorum_queue rpc_conn_pool_size ssl
        ssl_ca_file ssl_cert_file ssl_enforce_fips_mode ssl_enforce_hostname_verification ssl_key_file ssl_version
        use_queue_manager"""
    ),
    "oslo_messaging_kafka": (
        """compression_codec consumer_group enable_auto_commit kafka_consumer_timeout kafka_max_fetch_bytes
        max_poll_records producer_batch_size producer_batch_timeout sasl_mechanism security_protocol ssl_cafile
        ssl_client_cert_file ssl_client_key_file ssl_client_key_password"""
    ),
    "key_manager": (
        """api_class auth_type auth_url backend domain_id domain_name password project_domain_id project_domain_name
        project_id project_name reauthenticate token trust_id user_domain_id user_domain_name user_id username"""
    ),
    "barbican": (
        """auth_endpoint barbican_api_version barbican_endpoint barbican_endpoint_type barbican_region_name cafile
        certfile collect_timing insecure keyfile number_of_retries retry_delay send_service_user_token split_loggers
        timeout tls_ciphers tls_min_version verify_ssl verify_ssl_path"""
    ),
    "barbican_service_user": "",
    "vault": (
        """approle_role_id approle_secret_id auth_method auth_path kv_mountpoint kv_path kv_version namespace
        root_token_id ssl_ca_crt_file timeout token_file token_role use_ssl vault_url"""
    ),
}
#: Sections whose library logs in to Keystone.
LOGINS = ("keystone_authtoken", "oslo_limit", "barbican_service_user")
SECTIONS: dict[str, frozenset[str]] = {
    section: frozenset(names.split()) | (_LOGIN if section in LOGINS else frozenset())
    for section, names in _OPTIONS.items()
}
Written = Mapping[str, Mapping[str, list[str]]]


def login_sections(written: Written) -> frozenset[str]:
    """Sections that another one's ``auth_section`` names."""
    return frozenset(written[x]["auth_section"][-1].strip() for x in LOGINS if written.get(x, {}).get("auth_section"))


def names(section: str, written: Written) -> frozenset[str]:
    """What libraries read in a section. ``written``: all that the operator has set."""
    return SECTIONS.get(section, frozenset()) | (_LOGIN if section in login_sections(written) else frozenset())


def knows(section: str, name: str, written: Written) -> bool:
    """Whether a library reads this option."""
    if name in names(section, written):
        return True
    if section not in LOGINS and section not in login_sections(written):
        return False
    chosen = written.get(section, {})
    return name in _of_login([x.strip() for option in ("auth_type", "auth_plugin") for x in chosen.get(option, ())])


def _of_login(names: Iterable[str]) -> set[str]:
    """The options of these plugins of keystoneauth1, which may be another distribution's."""
    return {
        name
        for entry in entry_points(group="keystoneauth1.plugin")
        if entry.name in names
        for option in entry.load()().get_options()
        for name in (option.dest, *(x.dest for x in option.deprecated))
    }
