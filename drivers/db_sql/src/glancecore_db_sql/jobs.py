"""The job repository on SQL: one row for each job, and one for the leader of all."""

from __future__ import annotations

from datetime import datetime

import orjson
from sqlalchemy.exc import IntegrityError

from glancecore.domain import errors
from glancecore.ports.job_repository import JobRecord, JobRepository
from glancecore_db_sql import rows
from glancecore_db_sql.engine import Connections, Session


class SqlJobs(JobRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections
        self._dialect = connections.dialect

    def hold(self, name: str, holder: str, ttl: float) -> bool:
        now = self._dialect.now
        take = " ".join(
            [
                "UPDATE periodic_jobs SET holder = ?, expires_at =",
                now,
                "+ ?",
                "WHERE name = ? AND (holder = ? OR expires_at <",
                now,
                ")",
            ]
        )
        add = " ".join(
            ["INSERT INTO periodic_jobs (holder, expires_at, name, document) VALUES (?,", now, "+ ?, ?, '{}')"]
        )
        lasts = int(ttl * 1_000_000)

        def work(db: Session) -> bool:
            if db.change(take, holder, lasts, name, holder):
                return True
            if db.row("SELECT 1 FROM periodic_jobs WHERE name = ?", name):
                return False
            try:
                db.change(add, holder, lasts, name)
            except IntegrityError as error:
                raise errors.ConcurrentChange("another process has taken it just now") from error
            return True

        try:
            return self._on.write(work)
        except errors.ConcurrentChange:
            return False

    def let_go(self, name: str, holder: str) -> None:
        text = "UPDATE periodic_jobs SET holder = '', expires_at = 0 WHERE name = ? AND holder = ?"
        self._on.write(lambda db: db.change(text, name, holder))

    def holder(self, name: str) -> str | None:
        text = " ".join(
            ["SELECT holder FROM periodic_jobs WHERE name = ? AND holder <> '' AND expires_at >=", self._dialect.now]
        )
        found = self._on.read(lambda db: db.row(text, name))
        return None if found is None else str(found[0])

    def record(self, name: str) -> JobRecord:
        found = self._on.read(lambda db: db.row("SELECT document FROM periodic_jobs WHERE name = ?", name))
        if found is None or (document := orjson.loads(found[0])) == {}:
            return JobRecord()
        started, ended = (None if document[x] is None else rows.moment(document[x]) for x in ("started_at", "ended_at"))
        return JobRecord(started, ended, document["state"], document["report"])

    def keep(self, name: str, holder: str, record: JobRecord) -> None:
        document = orjson.dumps(
            {
                "started_at": _micros(record.started_at),
                "ended_at": _micros(record.ended_at),
                "state": dict(record.state),
                "report": record.report,
            }
        ).decode()
        text = "UPDATE periodic_jobs SET document = ? WHERE name = ? AND holder = ?"
        if not self._on.write(lambda db: db.change(text, document, name, holder)):
            raise errors.LeaseLost(f"{holder} no longer holds the job {name}")


def _micros(when: datetime | None) -> int | None:
    return None if when is None else rows.micros(when)
