"""Certificates in a key manager (Barbican, Vault …), through OpenStack's castellan; it has its own section
[key_manager]."""

from __future__ import annotations

import logging
import re

from castellan import key_manager
from castellan.common.objects import x_509
from castellan.key_manager.barbican_key_manager import BarbicanKeyManager
from keystoneauth1 import exceptions as keystone
from keystoneauth1 import loading
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.certificates import CertificateSource
from glancecore.ports.options import Section
from glancecore.sdk import log_lines
from glancecore_certificates_castellan.callers_token import Caller
from glancecore_certificates_castellan.refusals import FIELD, meaning, no_certificate

LOG = logging.getLogger(__name__)
#: Barbican's ids, and Vault's without dashes. Castellan makes URLs of them, with Vault under the service's own rights.
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
#: Seconds for one answer of Barbican or Keystone, unless [barbican] timeout says otherwise: a user waits for it.
TIMEOUT = 10.0
SERVICE_USER = "barbican_service_user"


class CastellanCertificates(CertificateSource):
    """Fetched with the caller's token, so he must be allowed to read it (with Vault: with the service's own)."""

    plugin_api = "1.0"
    wants_token = True

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        try:
            self._manager = key_manager.API(config)
        except (ImportError, ValueError) as exc:
            raise errors.ConfigError(
                f"[key_manager] backend = {config.key_manager.backend}: castellan has no such key manager; set barbican"
                " or vault"
            ) from exc
        self._keystone, self._seconds = "", TIMEOUT
        if isinstance(self._manager, BarbicanKeyManager):
            self._keystone, self._seconds = config.barbican.auth_endpoint, config.barbican.timeout or TIMEOUT

    def start(self) -> None:
        if isinstance(self._manager, BarbicanKeyManager):
            _check(self.config)

    def certificate(self, uuid: str, token: str | None) -> bytes:
        with log_lines.kept():
            return self._certificate(uuid, token)

    def _certificate(self, uuid: str, token: str | None) -> bytes:
        if not _UUID.fullmatch(uuid):
            raise errors.SignatureInvalid(f"{FIELD}: not a UUID")
        caller = Caller(token, self._keystone, self._seconds)
        try:
            found = self._manager.get(caller, uuid)
        except Exception as exc:
            error = meaning(exc, refused=caller.refused)
            if isinstance(error, errors.CertificatesUnavailable):
                LOG.error("the key manager can't be asked for certificates ([key_manager], [barbican]): %s", exc)
            else:
                LOG.info("no certificate %s: %s", uuid, exc)
            raise error from exc
        raw = found.get_encoded() if isinstance(found, x_509.X509) else None
        if raw is None:
            raise no_certificate()
        return raw


def _check(config: cfg.ConfigOpts) -> None:
    """Raises ConfigError for what no request could succeed with."""
    section = config.barbican
    told = config.get_location("auth_endpoint", "barbican")
    if not section.barbican_endpoint and not (told and told.location.is_user_controlled):
        raise errors.ConfigError(
            "[barbican] auth_endpoint: not set; set it to Keystone's URL, in whose catalogue the key manager is found,"
            " or set barbican_endpoint to the key manager's own"
        )
    if section.send_service_user_token:
        kind = config[SERVICE_USER].auth_type
        try:
            found = loading.load_auth_from_conf_options(config, SERVICE_USER)
        except (keystone.NoMatchingPlugin, keystone.MissingRequiredOptions) as exc:
            raise errors.ConfigError(f"[{SERVICE_USER}] auth_type = {kind}: {exc}; correct it") from exc
        if found is None:
            raise errors.ConfigError(
                f"[{SERVICE_USER}] auth_type: not set, and [barbican] send_service_user_token wants it; set it (such as"
                " password) with auth_url, username, password, project_name and the domains"
            )
