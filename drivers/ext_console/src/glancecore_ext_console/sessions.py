"""Sessions of people, kept as records: any process of the deployment serves any request of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from glancecore.domain import errors
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.record_repository import Record, RecordAdded, RecordChanged, RecordQuery, RecordRemoved
from glancecore_ext_console.sealing import Keys, is_cookie, new_cookie

LOG = logging.getLogger(__name__)
SESSIONS = Collection("console.sessions", keys=("user", "first"))
#: Projects that a session remembers to choose from.
MOST_PROJECTS = 500
#: What part of the time that a session may be idle passes before its use is noted.
_NOTED_AFTER = 0.1


class SessionExpired(errors.NotAuthenticated):
    code = "session expired"


@dataclass(frozen=True, slots=True)
class Named:
    id: str
    name: str

    def shown(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name}


@dataclass(frozen=True, slots=True)
class Login:
    """Who has logged in, and the headers that prove it. ``ends``: from when on they prove nothing."""

    method: str
    user: Named | None = None
    project: Named | None = None
    projects: Sequence[Named] = ()
    roles: Sequence[str] = ()
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Session:
    cookie: str = field(repr=False)
    record: Record = field(repr=False)
    login: Login

    @property
    def expires_at(self) -> datetime:
        if self.record.expires_at is None:
            raise ValueError("a session without an end")
        return self.record.expires_at

    @property
    def line(self) -> str:
        """By what the sessions that follow each other from one login, in one project after another, are known."""
        return _first(self.record)

    @property
    def csrf(self) -> str:
        return Keys.csrf(self.cookie)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """``most``: sessions of one user."""

    idle: timedelta
    whole: timedelta
    most: int


class Sessions:
    def __init__(self, kernel: Kernel, keys: Keys, lifetime: Lifetime) -> None:
        self._kernel = kernel
        self._keys = keys
        self._lifetime = lifetime

    def find(self, cookie: str) -> Session | None:
        """None: there is no such session, or it has ended."""
        record = self._of_cookie(cookie)
        if record is None or record.expires_at is None or record.expires_at <= self._kernel.clock():
            return None
        credentials = self._keys.unseal(cookie, str(record.data["sealed"]))
        return None if credentials is None else Session(cookie, record, _login(record.data, credentials))

    def line_of(self, cookie: str | None) -> str | None:
        """The ``line`` of the session of this cookie, also of one that nobody is let in by: it would be good again with
        the secret that it was begun with."""
        record = self._of_cookie(cookie) if cookie is not None else None
        return None if record is None else _first(record)

    def begin(self, login: Login, former: str | None = None) -> Session:
        """A new one with a cookie of its own, in place of what is left of the login that ``former`` is the ``line`` of,
        in whatever project by now: a cookie that somebody else may know leads nowhere."""
        session = self._made(login, self._kernel.clock() + self._lifetime.whole)
        while not self._save(session, next(iter(self._of_line(former)), None)):
            pass
        self.log_out(former)
        self._end_oldest(session)
        return session

    def change(self, before: Session, login: Login) -> Session:
        """Another project: a new cookie, and the end that it had. Raises SessionExpired when it has ended meanwhile:
        who has logged out stays out."""
        session = self._made(login, datetime.fromisoformat(str(before.record.data["ends"])), _first(before.record))
        record: Record | None = before.record
        while record is not None:
            if self._save(session, record):
                return session
            record = self._get(record.id)
        raise SessionExpired("the session has ended; log in again")

    def used(self, session: Session) -> None:
        """Somebody is there: it ends later."""
        until = self._until(datetime.fromisoformat(str(session.record.data["ends"])))
        if until - session.expires_at < self._lifetime.idle * _NOTED_AFTER:
            return
        try:
            self._kernel.writer.save(
                RecordChanged(
                    session.record, replace(session.record, expires_at=until, version=session.record.version + 1)
                )
            )
        except (errors.ConcurrentChange, errors.RecordNotFound):
            pass  # another request of it has noted that, or it has ended

    def end(self, session: Session) -> None:
        self._remove(session.record)

    def log_out(self, line: str | None) -> None:
        """What is left of that login: also the session that has taken its place meanwhile, in another project, whose
        cookie is on the way to the same browser."""
        while found := self._of_line(line):
            for record in found:
                self._remove(record)

    def end_all(self, session: Session) -> None:
        """Those of its user."""
        while found := self._of_user(session):
            for record in found:
                self._remove(record)

    # -- inside ------------------------------------------------------------------------------------
    def _of_cookie(self, cookie: str) -> Record | None:
        """One that was begun before lines were a key is found by its line from here on."""
        if not is_cookie(cookie):
            return None
        record = self._get(Keys.id_of(cookie))
        while record is not None and record.keys[1:2] != (_first(record),):
            keyed = replace(record, keys=(record.keys[0], _first(record)), version=record.version + 1)
            try:
                self._kernel.writer.save(RecordChanged(record, keyed))
            except (errors.ConcurrentChange, errors.RecordNotFound):
                record = self._get(record.id)
            else:
                record = keyed
        return record

    def _get(self, record_id: str) -> Record | None:
        try:
            return self._kernel.records.get(SESSIONS.name, record_id)
        except errors.RecordNotFound:
            return None

    def _made(self, login: Login, ends: datetime, first: str | None = None) -> Session:
        """``first``: see ``_first``."""
        cookie = new_cookie()
        record_id = Keys.id_of(cookie)
        if login.ends is not None:
            ends = min(ends, login.ends)
        data = {
            "method": login.method,
            "user": _kept(login.user),
            "project": _kept(login.project),
            "projects": [_kept(x) for x in login.projects[:MOST_PROJECTS]],
            "roles": list(login.roles),
            "ends": ends.isoformat(),
            "first": first or record_id,
            "sealed": self._keys.seal(cookie, login.credentials),
        }
        record = Record(
            SESSIONS.name, record_id, data, (_user_key(login), first or record_id), expires_at=self._until(ends)
        )
        return Session(cookie, record, login)

    def _until(self, ends: datetime) -> datetime:
        return min(self._kernel.clock() + self._lifetime.idle, ends).replace(microsecond=0)

    def _save(self, session: Session, before: Record | None) -> bool:
        """It comes and the one before goes, both or neither. False: neither, for that one has changed, or is gone."""
        try:
            self._kernel.writer.save(*([] if before is None else [RecordRemoved(before)]), RecordAdded(session.record))
        except (errors.ConcurrentChange, errors.RecordNotFound):
            return False
        return True

    def _remove(self, record: Record) -> None:
        """Also when a request of it has noted its use meanwhile."""
        left: Record | None = record
        while left is not None:
            try:
                self._kernel.writer.save(RecordRemoved(left))
            except errors.ConcurrentChange:
                left = self._get(left.id)
            except errors.RecordNotFound:
                return
            else:
                return

    def _end_oldest(self, newest: Session) -> None:
        found = sorted(self._of_user(newest), key=lambda x: (x.id == newest.record.id, str(x.data["ends"])))
        for record in found[: max(0, len(found) - self._lifetime.most)]:
            self._remove(record)

    def _of_line(self, line: str | None) -> list[Record]:
        return self._kernel.records.find(RecordQuery(SESSIONS.name, 1, [line], limit=1000)) if line else []

    def _of_user(self, session: Session) -> list[Record]:
        return self._kernel.records.find(RecordQuery(SESSIONS.name, 0, [str(session.record.keys[0])], limit=1000))


def _user_key(login: Login) -> str:
    """A user of one way to log in is not that of another one."""
    kind = login.method if login.method in ("none", "basic", "proxy") else "keystone"
    return hashlib.sha256(f"{kind}\n{login.user.id if login.user else ''}".encode()).hexdigest()


def _first(record: Record) -> str:
    """See ``Session.line``."""
    return str(record.data.get("first", record.id))


def _kept(named: Named | None) -> list[str] | None:
    return None if named is None else [named.id, named.name]


def _read(kept: object) -> Named | None:
    return Named(str(kept[0]), str(kept[1])) if isinstance(kept, list) else None


def _login(data: Mapping[str, object], credentials: Mapping[str, str]) -> Login:
    projects, roles = data["projects"], data["roles"]
    if not isinstance(projects, list) or not isinstance(roles, list):
        raise TypeError("a session's record has no lists")
    return Login(
        str(data["method"]),
        _read(data["user"]),
        _read(data["project"]),
        [x for each in projects if (x := _read(each))],
        [str(x) for x in roles],
        credentials,
    )
