"""HTTP basic authentication (RFC 7617)."""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import bcrypt
import webob.exc
from oslo_middleware import basic_auth, exceptions

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError, NotAuthenticated
from glancecore.ports.auth import Auth, Scheme
from glancecore.sdk.attempts import Attempts
from glancecore_auth_basic.options import OPTIONS

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

LOG = logging.getLogger(__name__)
#: Remembered passwords; more are forgotten at once.
MOST_KNOWN = 10_000
#: Bytes of a password that bcrypt looks at.
LONGEST = 72


class _Look:
    """At a password. ``wrong``: it is, and whoever has sent the same meanwhile need not be looked at."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wrong = False


class BasicAuth(Auth):
    """Standalone use without Keystone; works with keystoneauth's ``http_basic`` and any HTTP client.

    Users are in the file of oslo.middleware's basic auth (bcrypt only). A password that has been checked is remembered
    for a while as a keyed digest, until the file changes. Wrong ones are counted, by address and user, in each process.
    """

    plugin_api = "1.0"
    options = OPTIONS
    credentials = ("Authorization",)
    scheme = Scheme.BASIC

    def start(self) -> None:
        path = self.conf.http_basic_auth_user_file
        option = f"[auth_basic] http_basic_auth_user_file = {path}"
        try:
            basic_auth.validate_auth_file(path)
        except exceptions.ConfigInvalid as exc:
            raise ConfigError(f"{option}: can't be read; make it with: htpasswd -B -c {path} USER") from exc
        except webob.exc.HTTPBadRequest as exc:
            raise ConfigError(f"{option}: {exc.detail}; write entries with: htpasswd -B") from exc
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, float] = {}
        self._read: tuple[int, dict[str, bytes]] | None = None
        self._attempts = Attempts(self.conf.attempts_per_user, self.conf.attempts_per_address)
        #: One for each password that is looked at: who sends it again meanwhile waits for what is found.
        self._looking: WeakValueDictionary[bytes, _Look] = WeakValueDictionary()
        self._lock = threading.Lock()
        for option, user in self._unknown():
            LOG.warning(
                "[auth_basic] %s names %s, who is not in %s: correct the name, or take it out", option, user, path
            )

    def complaints(self) -> list[str]:
        return [
            f"[auth_basic] {option} names {user}, who is not in {self.conf.http_basic_auth_user_file}: correct the"
            " name, or take it out"
            for option, user in self._unknown()
        ]

    def identify(self, environ: WSGIEnvironment) -> Context:
        try:
            user, password = basic_auth.parse_token(basic_auth.parse_header(dict(environ)))
        except webob.exc.HTTPException as exc:
            raise NotAuthenticated("user and password are required, by HTTP basic authentication") from exc
        self._check(user, password, environ.get("REMOTE_ADDR") or "")
        roles = self.conf.roles.get(user, "member|reader").lower().split("|")
        if user in self.conf.admins:
            roles.append("admin")
        return Context(user=user, project=self.conf.projects.get(user, user), roles=frozenset(roles))

    @property
    def challenge(self) -> str:
        return 'Basic realm="image service", charset="UTF-8"'

    def _unknown(self) -> Iterator[tuple[str, str]]:
        """Options, and users that they name and the file does not: a typing error gives somebody other rights than were
        meant. It does not stop the start, for to take a user out of the file must be enough to lock him out."""
        _, users = self._users()
        yield from (
            (option, user)
            for option in ("admins", "projects", "roles")
            for user in self.conf[option]
            if user not in users
        )

    def _check(self, user: str, password: bytes, address: str) -> None:
        """Raises NotAuthenticated, with the same words and after the same work whatever is wrong; TooManyAttempts."""
        changed, users = self._users()
        mark = hmac.digest(self._key, b"\0".join((str(changed).encode(), user.encode(), password)), "sha256")
        if self._is_known(mark):
            return
        with self._lock:
            look = self._looking.setdefault(mark, _Look())
        with look.lock:
            if self._is_known(mark):  # a client that sends many requests at once has one password
                return
            if look.wrong:
                raise NotAuthenticated("wrong user or password")
            with self._attempts.one(address, user):
                if not _right(users, user, password):
                    look.wrong = True
                    LOG.info("wrong user or password from %s", address or "a Unix socket")
                    raise NotAuthenticated("wrong user or password")
            if len(self._known) > MOST_KNOWN:
                self._known = {}
            self._known[mark] = time.monotonic() + self.conf.remember_seconds

    def _is_known(self, mark: bytes) -> bool:
        return self._known.get(mark, 0) > time.monotonic()

    def _users(self) -> tuple[int, dict[str, bytes]]:
        """When the file was changed, and its hashes by user."""
        path = Path(self.conf.http_basic_auth_user_file)
        try:
            changed = path.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed:
                lines = (x.strip() for x in path.read_text(encoding="utf-8").splitlines())
                self._read = (
                    changed,
                    dict(reversed([basic_auth.parse_entry(x) for x in lines if ":" in x])),
                )  # of a user's lines, the first
        except (OSError, UnicodeDecodeError, webob.exc.HTTPException) as exc:
            LOG.error("[auth_basic] http_basic_auth_user_file = %s: %s", path, exc)
            raise NotAuthenticated("wrong user or password") from exc
        return self._read


def _right(users: Mapping[str, bytes], user: str, password: bytes) -> bool:
    """Whoever is unknown costs as much as a wrong password."""
    cost = next(iter(users.values()), b"$2b$12$")[4:6]
    stored = users.get(user, b"$2b$" + cost + b"$" + b"." * 53)
    try:
        found = bcrypt.checkpw(password[:LONGEST], stored)
    except ValueError:  # a damaged hash
        return False
    return found and user in users and len(password) <= LONGEST and b"\0" not in password
