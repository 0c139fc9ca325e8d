"""Options of the certificate folder. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

SECTION = "certificates_folder"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "path",
        default="/etc/glance/certificates",
        help=(
            "The folder: a certificate that img_signature_certificate_uuid names is the file UUID.pem in it (PEM or"
            " DER)."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]
