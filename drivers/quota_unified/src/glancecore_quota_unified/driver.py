"""Keystone's unified limits (oslo.limit)."""

from __future__ import annotations

import logging
from collections.abc import Collection

from keystoneauth1 import exceptions as ksa
from keystoneauth1 import loading
from openstack import exceptions as sdk
from oslo_config import cfg
from oslo_limit import limit, opts
from oslo_limit.exception import SessionInitError

from glancecore.domain.errors import ConfigError, QuotaUnavailable
from glancecore.domain.quota import Limits
from glancecore.ports.options import Section
from glancecore.ports.quota import Quota
from glancecore.sdk.config_files import files_of
from glancecore_quota_unified.cache import Cache
from glancecore_quota_unified.options import OPTIONS

LOG = logging.getLogger(__name__)

GROUP = "oslo_limit"
#: As they are registered in Keystone for the image service; the first two in MiB.
RESOURCES = ("image_size_total", "image_stage_total", "image_count_total", "image_count_uploading")
#: Seconds for one answer of Keystone, unless [oslo_limit] timeout says otherwise: a user waits for it.
TIMEOUT = 10
_AWAY = (SessionInitError, ksa.ClientException, sdk.SDKException, ValueError)
_WRONG = (ksa.NoMatchingPlugin, ksa.MissingRequiredOptions, ksa.MissingAuthPlugin, ksa.Unauthorized)


class UnifiedQuota(Quota):
    """Registered limits of the image service, and a project's own ones, with the operator's [oslo_limit] section.

    A resource without a limit in Keystone may not be used at all, -1 is no limit: both as oslo.limit has it. A caller
    without a project has the registered limits."""

    plugin_api = "1.0"
    options = OPTIONS
    shows_usage = True
    per_project = True

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        _configure(config)
        self._enforcer: limit.Enforcer | None = None
        self._cache = Cache(self._ask, conf.cache_seconds)
        self._check()

    def limits(self, project: str | None) -> Limits:
        return self._cache.get(project)

    def _check(self) -> None:
        """Raises ConfigError for what Keystone refuses. One that is away is no mistake: it is asked again later."""
        try:
            enforcer = self._connected()
            missing = set(RESOURCES) - dict(_registered(enforcer)).keys()
            if missing:
                LOG.error(
                    "Keystone has no registered limit for %s of the image service: nobody may use it; register it, such"
                    " as openstack registered limit create --service image --default-limit 1000 --region REGION NAME",
                    ", ".join(sorted(missing)),
                )
            # the sockets must not be shared with the processes that are forked from this one
            enforcer.connection.session.session.close()
        except (ksa.Forbidden, sdk.ForbiddenException) as exc:
            raise ConfigError(
                "[oslo_limit] username: Keystone lets this user read no limits; set system_scope = all and give it the"
                " role: openstack role add --user NAME --user-domain DOMAIN --system all reader"
            ) from exc
        except ValueError as exc:
            if "enforcement model" in str(exc):
                raise ConfigError(
                    f"[DEFAULT] quota_driver = unified: {exc} by oslo.limit; set [unified_limit] enforcement_model ="
                    " flat in Keystone, or choose another quota_driver"
                ) from exc
            raise ConfigError(
                f"[oslo_limit] endpoint_id, endpoint_service_type, endpoint_region_name, endpoint_interface: {exc};"
                " name the image service's endpoint, as openstack endpoint list shows it"
            ) from exc
        except _AWAY as exc:
            reason = exc.__context__ if isinstance(exc, SessionInitError) else exc
            if isinstance(reason, _WRONG):
                raise ConfigError(
                    f"[oslo_limit] auth_type, auth_url, username, password, user_domain_id, system_scope: {reason};"
                    " correct them"
                ) from exc
            LOG.error(
                "Keystone doesn't tell limits (%s): until it does, nobody whose limits are not known may store"
                " anything",
                exc,
            )

    def _ask(self, project: str | None) -> Limits:
        try:
            enforcer = self._connected()
            found = dict(_registered(enforcer))
            if project is not None:
                found |= _of_project(enforcer, project)
        except _AWAY as exc:
            LOG.error("Keystone doesn't tell limits: %s", exc)
            raise QuotaUnavailable("Keystone doesn't tell the project's limits now; try again later") from exc
        size, staged, images, uploading = (found.get(name, 0) for name in RESOURCES)
        return Limits(
            bytes=_limit(size, 20), staged_bytes=_limit(staged, 20), images=_limit(images), uploading=_limit(uploading)
        )

    def _connected(self) -> limit.Enforcer:
        """oslo.limit's way to Keystone; raises what it raises."""
        if self._enforcer is None:
            self._enforcer = limit.Enforcer(_no_usage, cache=False)
        return self._enforcer


def _registered(enforcer: limit.Enforcer) -> Collection[tuple[str, int]]:
    """All of the service and region: None is oslo.limit's word for that, and costs one request."""
    return enforcer.get_registered_limits(None)  # type: ignore[arg-type]


def _of_project(enforcer: limit.Enforcer, project: str) -> dict[str, int]:
    """Its own ones. What Keystone takes for no id is no project that has any: it is not away for the others."""
    try:
        return dict(enforcer.get_project_limits(project, None))  # type: ignore[arg-type]
    except (sdk.BadRequestException, UnicodeError) as exc:
        LOG.info("Keystone knows no limits of a project %.64r: %s", project, exc)
        return {}


def _limit(number: int, shift: int = 0) -> int | None:
    return None if number < 0 else number << shift


def _no_usage(_project: str | None, _resources: Collection[str]) -> dict[str, int]:
    """The database counts and enforces; oslo.limit is asked for limits only."""
    return {}


def _configure(config: cfg.ConfigOpts) -> None:
    """oslo.limit reads the process's global configuration and nothing else: give that the operator's files.

    Raises ConfigError.
    """
    _declare(config)
    section = config.oslo_limit
    if not (section.auth_type or section.auth_section):
        raise ConfigError(
            "[oslo_limit] auth_type: not set; set it (such as password) with auth_url, username, password,"
            " user_domain_id and system_scope = all of a user that may read limits"
        )
    if not (section.endpoint_id or section.endpoint_service_type or section.endpoint_service_name):
        raise ConfigError(
            "[oslo_limit] endpoint_id: not set; set it to the id of the image service's endpoint, as openstack endpoint"
            " list --service image shows it, or set endpoint_service_type and endpoint_region_name"
        )
    try:
        loading.load_auth_from_conf_options(config, GROUP)
    except (ksa.NoMatchingPlugin, ksa.MissingRequiredOptions) as exc:
        raise ConfigError(f"[oslo_limit] auth_type = {section.auth_type}: {exc}; correct it") from exc
    cfg.CONF([], project="glance", default_config_files=files_of(config), default_config_dirs=[])
    cfg.CONF.set_default("timeout", TIMEOUT, group=GROUP)
    limit._SDK_CONNECTION = None  # noqa: SLF001 (it keeps one for the process: never that of the process we were forked from)


def _declare(config: cfg.ConfigOpts) -> None:
    """The options of [oslo_limit], so that none of them is taken for a typing error."""
    loading.register_session_conf_options(config, GROUP)
    loading.register_adapter_conf_options(config, GROUP, include_deprecated=False)
    loading.register_auth_conf_options(config, GROUP)
    config.register_opts(
        [x for _, options in opts.list_opts() for x in options if x.name.startswith("endpoint_")], group=GROUP
    )
