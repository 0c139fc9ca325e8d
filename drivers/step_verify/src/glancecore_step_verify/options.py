"""Options of the verification step. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

SECTION = "import_verification"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "keyring",
        default="/etc/glance/trusted.gpg",
        help="OpenPGP keyring of those whose signatures are believed; made with gpg --export, not ASCII-armoured.",
    ),
    cfg.BoolOpt("required", default=False, help="Refuse imports without a signature."),
    cfg.StrOpt("gpgv", default="gpgv", help="The program: a name to be found in PATH, or a whole path."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]
