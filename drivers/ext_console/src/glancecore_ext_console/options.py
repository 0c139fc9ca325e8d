"""Options of [ext_console]."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import DictOpt

OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt("idle_minutes", default=60, min=1, help="Minutes without a request after which a session ends."),
    cfg.IntOpt(
        "session_hours",
        default=12,
        min=1,
        help=(
            "Hours after which a session ends, whatever happens in it; with Keystone it ends with its token, if that is"
            " sooner."
        ),
    ),
    cfg.IntOpt(
        "sessions_per_user",
        default=20,
        min=1,
        max=500,
        help="Sessions that a user may have; a new one ends the oldest.",
    ),
    cfg.StrOpt(
        "secret_file",
        help=(
            "File of at least 32 random bytes, the same on every node, that also goes into the keys by which the"
            " credentials of sessions are encrypted in the database. Without it the key of each session is made of the"
            " cookie in the user's browser alone, which is stored nowhere else. Another file ends all sessions."
        ),
    ),
    cfg.IntOpt(
        "upload_chunk_mib",
        default=64,
        min=1,
        max=5120,
        help="MiB that the page sends in one request of an upload. A proxy must let as much through.",
    ),
    cfg.IntOpt(
        "event_hours",
        default=72,
        min=0,
        help="Hours for which operators can look at what happened (all events but downloads). 0: no event is kept.",
    ),
    cfg.IntOpt(
        "attempts_per_user",
        default=10,
        min=0,
        help=(
            "Wrong passwords for one user of Keystone's that one address may give in a minute, in each process; then it"
            " gets 429. 0: no limit."
        ),
    ),
    cfg.IntOpt(
        "attempts_per_address",
        default=60,
        min=0,
        help=(
            "Wrong logins at Keystone that one address may try in a minute, and that may be tried for one user from all"
            " addresses, in each process. Who has tried no wrong one for this user from this address in that minute may"
            " try beyond that, up to five times as many. 0: no limit."
        ),
    ),
    cfg.StrOpt(
        "default_domain", default="Default", help="Name of the Keystone domain of users and projects that name none."
    ),
    DictOpt(
        "websso_protocols",
        default={},
        help=(
            "Federation protocols of Keystone's that users may log in by, protocol:label, such as openid:Company"
            " account. Keystone must name https://SERVICE/console/session/websso in [federation] trusted_dashboard."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_console", OPTIONS)]
