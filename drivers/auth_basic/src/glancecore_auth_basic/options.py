"""Options of [auth_basic]; imports nothing but oslo.config, so that samples build anywhere."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("http_basic_auth_user_file", default="/etc/glance/htpasswd",
               help="File of users: name:bcrypt-hash lines, as htpasswd -B writes them."),
    cfg.ListOpt("admins", default=[], help="Users that have the admin role."),
    cfg.DictOpt("projects", default={}, help="Project of each user, user:project; a user that is not named has one of its "
                                             "own, of the user's name."),
    cfg.DictOpt("roles", default={}, help="Roles of each user, user:role|role; default member and reader, admins have admin "
                                          "too."),
    cfg.FloatOpt("remember_seconds", default=60.0, min=0,
                 help="Seconds that a checked password is remembered: bcrypt is slow on purpose. A change of the file takes "
                      "effect at once."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("auth_basic", list(OPTIONS))]
