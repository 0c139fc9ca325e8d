"""Options of [auth_basic]; imports nothing but oslo.config, so that samples build anywhere."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import DictOpt, ListOpt

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "http_basic_auth_user_file",
        default="/etc/glance/htpasswd",
        help="File of users: name:bcrypt-hash lines, as htpasswd -B writes them.",
    ),
    ListOpt("admins", default=[], help="Users that have the admin role."),
    DictOpt(
        "projects",
        default={},
        help="Project of each user, user:project; a user that is not named has one of its own, of the user's name.",
    ),
    DictOpt(
        "roles",
        default={},
        help="Roles of each user, user:role|role; default member and reader, admins have admin too.",
    ),
    cfg.FloatOpt(
        "remember_seconds",
        default=60.0,
        min=0,
        help=(
            "Seconds that a checked password is remembered: bcrypt is slow on purpose. A change of the file takes "
            "effect at once."
        ),
    ),
    cfg.IntOpt(
        "attempts_per_user",
        default=10,
        min=0,
        help=(
            "Wrong passwords for one user that one address may give in a minute, in each process; then it gets 429. 0:"
            " no limit."
        ),
    ),
    cfg.IntOpt(
        "attempts_per_address",
        default=60,
        min=0,
        help=(
            "Wrong passwords that one address may give in a minute, and that may be given for one user from all"
            " addresses, in each process. Who has given no wrong one for this user from this address in that minute is"
            " let try beyond that, up to five times as many. 0: no limit."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("auth_basic", list(OPTIONS))]
