"""Certificates in a key manager (Barbican, Vault …), through OpenStack's castellan; it has its own section [key_manager]."""

from __future__ import annotations

from castellan import key_manager, options
from castellan.common import exception
from oslo_config import cfg
from oslo_context import context

from glancecore.domain import errors
from glancecore.ports.certificates import CertificateSource
from glancecore.ports.options import Section


class CastellanCertificates(CertificateSource):
    """Fetched with the caller's token, so he must be allowed to read it."""

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        options.set_defaults(config)
        self._manager = key_manager.API(config)

    def certificate(self, uuid: str, token: str | None) -> bytes:
        try:
            found = self._manager.get(context.RequestContext(auth_token=token, overwrite=False), uuid)
        except (exception.CastellanException, KeyError, ValueError) as exc:
            raise errors.SignatureInvalid("img_signature_certificate_uuid: the key manager gives no certificate of that id") from exc
        raw = found.get_encoded()
        if not isinstance(raw, bytes):
            raise errors.SignatureInvalid("img_signature_certificate_uuid: what the key manager has of that id is no certificate")
        return raw
