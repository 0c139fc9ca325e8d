"""Limits of single projects, kept in the database beside the default that the quota plugin says."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping

import tenacity

from glancecore.domain import errors, text
from glancecore.domain.quota import HIGHEST, RESOURCES, UNLIMITED, Limits, with_own
from glancecore.ports.quota import Quota
from glancecore.ports.record_repository import LONGEST, Record, RecordAdded, RecordChanged, RecordQuery, RecordRemoved
from glancecore.ports.repository import Database

#: Of extensions' collections each has a dot in its name.
COLLECTION = "project_quotas"
#: Seconds that a process goes by what it has read last of a project.
AGE = 2.0
#: Projects that a process remembers; the one that was asked for the longest ago goes first.
_MOST = 10_000
#: Two who change a project's limits at once: the second does so again, on what the first has left.
_again = tenacity.retry(
    retry=tenacity.retry_if_exception_type((errors.ConcurrentChange, errors.RecordExists, errors.RecordNotFound)),
    stop=tenacity.stop_after_attempt(30),
    wait=tenacity.wait_random(0, 0.02),
    reraise=True,
)


def checked_project(project: str) -> str:
    """The project's id itself. Raises Invalid for what is none."""
    if not project or len(project) > LONGEST:
        raise errors.Invalid(f"project: {len(project)} characters; an id has 1 to {LONGEST}")
    return text.label("project", project)


def checked_limit(resource: str, value: int) -> int:
    """The value itself: bytes, or a number. Raises Invalid."""
    if not UNLIMITED <= value <= HIGHEST:
        raise errors.Invalid(
            f"{resource}: {value} is not within {UNLIMITED} (no limit) and {HIGHEST >> RESOURCES[resource][1]}"
        )
    return value


class QuotaTable:
    """What projects have of their own, by the names of ``domain.quota.RESOURCES``: bytes or numbers, UNLIMITED for no
    limit. Any method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, project: str) -> dict[str, int]:
        """Empty: it goes by the default."""
        try:
            return _own(self._database.records.get(COLLECTION, project))
        except errors.RecordNotFound:
            return {}

    def page(self, after: str, limit: int) -> list[tuple[str, dict[str, int]]]:
        """Projects with limits of their own behind that one, by id."""
        found = self._database.records.find(
            RecordQuery(COLLECTION, after=(after, after) if after else None, limit=limit)
        )
        return [(x.id, _own(x)) for x in found]

    @_again
    def change(self, project: str, wanted: Mapping[str, int | None]) -> dict[str, int]:
        """Set what is named, None: go by the default again; what is not named stays as it is. What the project has
        then. Raises Invalid."""
        checked_project(project)
        for name, value in wanted.items():
            if value is not None:
                checked_limit(name, value)
        try:
            before: Record | None = self._database.records.get(COLLECTION, project)
        except errors.RecordNotFound:
            before = None
        old = _own(before) if before else {}
        own = {x: y for x in RESOURCES if (y := wanted.get(x, old.get(x))) is not None}
        if own == old:
            return own
        if before is None:
            change: RecordAdded | RecordChanged | RecordRemoved = RecordAdded(Record(COLLECTION, project, own))
        elif own:
            change = RecordChanged(before, Record(COLLECTION, project, own, version=before.version + 1))
        else:
            change = RecordRemoved(before)
        self._database.images.commit(change)
        return own


def _own(record: Record) -> dict[str, int]:
    """Of what a newer release may keep there only what is known here."""
    return {x: y for x in RESOURCES if isinstance(y := record.data.get(x), int)}


class ProjectQuota(Quota):
    """The limits that count: those of the project in the table, and of what it has none there, what ``default`` says.
    They are read anew when they are older than ``age`` seconds; while the database is away what was known last
    holds."""

    def __init__(self, default: Quota, table: QuotaTable, age: float = AGE) -> None:
        super().__init__(default.conf, default.config)
        self.default = default
        self.table = table
        self.shows_usage = default.shows_usage
        self.per_project = default.per_project
        self._age = age
        self._known: OrderedDict[str, tuple[float, Mapping[str, int]]] = OrderedDict()
        self._guard = threading.Lock()

    def limits(self, project: str | None) -> Limits:
        limits = self.default.limits(project)
        return limits if project is None or self.per_project else with_own(limits, self._own(project))

    def counting(self, project: str, own: Mapping[str, int]) -> Limits:
        """What counts for a project that has these of its own."""
        return with_own(self.default.limits(project), own)

    def change(self, project: str, wanted: Mapping[str, int | None]) -> dict[str, int]:
        """See ``QuotaTable.change``; in this process it counts at once, in others within ``AGE`` seconds. Raises
        Invalid; NotEnabled where the plugin has the limits."""
        self.require_table()
        try:
            return self.table.change(project, wanted)
        finally:
            with self._guard:
                self._known.pop(project, None)

    def require_table(self) -> None:
        """Raises NotEnabled."""
        if self.per_project:
            raise errors.NotEnabled(
                f"[DEFAULT] quota_driver = {self.config.quota_driver} has the limits of projects: they are shown and"
                " set there, none are kept here"
            )

    def _own(self, project: str) -> Mapping[str, int]:
        known = self._known.get(project)
        if known is not None and time.monotonic() - known[0] < self._age:
            return known[1]
        try:
            checked_project(project)
            own = self.table.of(project)
        except errors.Invalid:
            return {}  # no table can keep it
        except errors.DatabaseUnavailable:
            if known is None:
                raise
            return known[1]
        with self._guard:
            self._known[project] = time.monotonic(), own
            self._known.move_to_end(project)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return own
