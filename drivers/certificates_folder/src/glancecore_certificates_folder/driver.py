"""Certificates as files, for clouds without a key manager: whoever may write to the folder says which signers are
trusted."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from glancecore.domain import errors
from glancecore.ports.certificates import CertificateSource
from glancecore_certificates_folder.options import OPTIONS, SECTION

LOG = logging.getLogger(__name__)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class CertificateFolder(CertificateSource):
    """``UUID.pem`` in a folder."""

    plugin_api = "1.0"
    options = OPTIONS

    def start(self) -> None:
        if not Path(self.conf.path).is_dir():
            raise errors.ConfigError(
                f"[{SECTION}] path = {self.conf.path}: no such folder; make it, or name another one"
            )

    def certificate(self, uuid: str, token: str | None) -> bytes:  # noqa: ARG002 (files know no users)
        if not _UUID.fullmatch(uuid):
            raise errors.SignatureInvalid("img_signature_certificate_uuid: not a UUID")
        try:
            return Path(self.conf.path, f"{uuid.lower()}.pem").read_bytes()
        except OSError as exc:
            if not isinstance(exc, FileNotFoundError) or not Path(self.conf.path).is_dir():
                LOG.error(
                    "[%s] path = %s: a certificate can't be read there: %s", SECTION, self.conf.path, exc.strerror
                )
                raise errors.CertificatesUnavailable("the certificates can't be read now; try again later") from exc
            raise errors.SignatureInvalid(
                "img_signature_certificate_uuid: no certificate of that id is trusted here"
            ) from exc
