"""The task repository on SQL: reads are one or two statements each, writes are ``commit.py``'s."""

from __future__ import annotations

from datetime import datetime

from glancecore.domain import errors
from glancecore.domain.task import Task
from glancecore.ports.task_repository import TaskQuery, TaskRepository, TaskSort
from glancecore_db_sql import rows
from glancecore_db_sql.engine import Connections, Session
from glancecore_db_sql.rows import Row

_UNFINISHED = "status IN ('pending', 'processing')"
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


class SqlTasks(TaskRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections

    def get(self, task_id: str) -> Task:
        found = self._on.read(lambda db: _row(db, task_id))
        if found is None:
            raise errors.TaskNotFound(f"no task {task_id}")
        return rows.task(found)

    def find(self, query: TaskQuery) -> list[Task]:
        return [rows.task(x) for x in self._on.read(lambda db: _find(db, query))]

    def of_image(self, image_id: str, now: datetime, limit: int = 1000) -> list[Task]:
        text = " ".join(
            [
                "SELECT",
                rows.TASK,
                "FROM tasks WHERE image_id = ? AND",
                _ALIVE,
                "ORDER BY created_at DESC, id DESC LIMIT ?",
            ]
        )
        return [rows.task(x) for x in self._on.read(lambda db: db.rows(text, image_id, rows.micros(now), limit))]

    def abandoned(self, limit: int = 100) -> list[Task]:
        text = " ".join(
            [
                "SELECT",
                rows.TASK,
                "FROM tasks t WHERE",
                _UNFINISHED,
                "AND NOT EXISTS (SELECT 1 FROM leases l",
                "WHERE l.image_id = t.image_id AND l.operation IN ('import', 'hash')) ORDER BY created_at, id LIMIT ?",
            ]
        )
        return [rows.task(x) for x in self._on.read(lambda db: db.rows(text, limit))]

    def outlived(self, now: datetime, limit: int = 100) -> list[Task]:
        text = " ".join(
            [
                "SELECT",
                rows.TASK,
                "FROM tasks t WHERE kept_until IS NOT NULL AND (kept_until <= ? OR NOT EXISTS (SELECT 1 FROM images i",
                "WHERE i.id = t.image_id AND i.status = 'queued')) ORDER BY kept_until, id LIMIT ?",
            ]
        )
        return [rows.task(x) for x in self._on.read(lambda db: db.rows(text, rows.micros(now), limit))]

    def forget(self, before: datetime, limit: int = 1000) -> int:
        def work(db: Session) -> int:
            found = db.rows(
                " ".join(
                    [
                        (
                            "SELECT id FROM tasks WHERE expires_at < ? AND kept_until IS NULL ORDER BY expires_at, id"
                            " LIMIT ?"
                        ),
                        db.dialect.for_update,
                    ]
                ),
                rows.micros(before),
                limit,
            )
            if not found:
                return 0
            marks = ", ".join("?" * len(found))
            return db.change(" ".join(["DELETE FROM tasks WHERE id IN (", marks, ")"]), *(id_ for (id_,) in found))

        return self._on.write(work)


def _row(db: Session, task_id: str) -> Row | None:
    return db.row(" ".join(["SELECT", rows.TASK, "FROM tasks WHERE id = ?"]), task_id)


def _find(db: Session, query: TaskQuery) -> list[Row]:
    where, values = [_ALIVE], [rows.micros(query.now)]  # type: list[str], list[object]
    for column, value in (("owner", query.owner), ("status", query.status), ("type", query.type)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(str(value))
    keys = list(query.sort)
    if all(key is not TaskSort.ID for key, _ in keys):
        keys.append((TaskSort.ID, keys[-1][1] if keys else True))
    if query.marker is not None:
        marker = db.row(
            " ".join(["SELECT", ", ".join(key.value for key, _ in keys), "FROM tasks WHERE id = ?"]), query.marker
        )
        if marker is None:
            raise errors.UnknownMarker(f"marker {query.marker} is no task")
        # (a, b, c) behind the marker's, each key in its own direction
        behind = []
        for at, (key, descending) in enumerate(keys):
            same = [f"{before.value} = ?" for before, _ in keys[:at]]
            behind.append(" AND ".join([*same, f"{key.value} {'<' if descending else '>'} ?"]))
            values += marker[: at + 1]
        where.append(f"({' OR '.join(f'({x})' for x in behind)})")
    order = ", ".join(f"{key.value} DESC" if descending else key.value for key, descending in keys)
    text = " ".join(["SELECT", rows.TASK, "FROM tasks WHERE", " AND ".join(where), "ORDER BY", order, "LIMIT ?"])
    return list(db.rows(text, *values, max(query.limit, 0)))
