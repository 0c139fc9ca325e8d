"""What happened lately, kept for operators to look at."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from glancecore.domain import errors, event_payload
from glancecore.domain.events import EventType, ExtensionEvent, ImageEvent, MemberEvent, TaskEvent
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.notifier import Notification
from glancecore.ports.record_repository import Record, RecordAdded, RecordQuery

LOG = logging.getLogger(__name__)
EVENTS = Collection("console.events", keys=("subject", "type", "project"))
SUBJECT, TYPE, PROJECT = range(3)
#: Events of one commit, and those of a process that wait for one; more are not kept.
_BATCH, _MOST = 100, 10_000
#: Seconds between two commits.
_PACE = 1.0
#: Told of each download: too many to keep.
_LEFT_OUT = frozenset({EventType.IMAGE_SEND.value})
#: Characters of a message or a name.
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class EventQuery:
    """At most one of the texts. ``type``: or what it begins with, up to a dot. ``behind``: the id of the last event
    that was seen."""

    subject: str | None = None
    type: str | None = None
    project: str | None = None
    behind: str | None = None
    limit: int = 50


class Recorder:
    """A ``Background``: requests do not wait for what is kept. What the last second told is lost when a process dies;
    the audit log is another thing."""

    def __init__(self, kernel: Kernel, keep: timedelta) -> None:
        """``keep`` 0: no event is kept."""
        self._kernel = kernel
        self._keep = keep
        self._waiting: deque[Record] = deque(maxlen=_MOST)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, notification: Notification) -> None:
        if self._keep and self._thread is not None and notification.event.type.value not in _LEFT_OUT:
            self._waiting.append(self._record(notification))

    def start(self) -> None:
        if self._keep:
            self._thread = threading.Thread(target=self._run, name="console-events", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def find(self, query: EventQuery) -> list[Record]:
        """The newest first. Each filter is one of the keys, whose records are in the order of their ids, which is that
        of time."""
        given = {SUBJECT: query.subject, TYPE: query.type, PROJECT: query.project}
        key, value = next(((key, value) for key, value in given.items() if value is not None), (None, None))
        if key is None or value is None:
            after = None if query.behind is None else (query.behind, query.behind)
            return self._kernel.records.find(RecordQuery(EVENTS.name, after=after, descending=True, limit=query.limit))
        return self._kernel.records.find(
            RecordQuery(
                EVENTS.name,
                key,
                [value],
                after=None if query.behind is None else (value, query.behind),
                descending=True,
                limit=query.limit,
            )
        )

    def _run(self) -> None:
        while not self._stopping.wait(_PACE):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                self._save(batch)
            except errors.DatabaseUnavailable as exc:
                LOG.info("events can't be kept for the console now: %s", exc)
                self._waiting.extendleft(reversed(batch))
                return
            except Exception:  # whatever is in them: the next ones are kept
                LOG.exception("events can't be kept for the console")

    def _save(self, batch: Sequence[Record]) -> None:
        """Raises DatabaseUnavailable, and then they may have been saved."""
        try:
            self._kernel.writer.save(*map(RecordAdded, batch))
        except errors.RecordExists:  # of a commit that seemed to have failed
            for record in batch:
                with contextlib.suppress(errors.RecordExists):
                    self._kernel.writer.save(RecordAdded(record))

    def _record(self, notification: Notification) -> Record:
        event, by = notification.event, notification.initiator
        subject = event_payload.subject(event)[:255]
        data = {
            "at": notification.at.isoformat(timespec="milliseconds"),
            "user": by.user if by else None,
            "project": by.project if by else None,
            "address": by.address if by else None,
            "request_id": by.request_id if by else None,
            "about": _about(notification),
        }
        marker = f"{notification.at:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}"
        keys = (subject, event.type.value[:255], by.project if by else None)
        return Record(EVENTS.name, marker, data, keys, expires_at=self._kernel.clock() + self._keep)


def shown(record: Record) -> dict[str, object]:
    return {"id": record.id, "type": record.keys[TYPE], "subject": record.keys[SUBJECT], **record.data}


def _about(notification: Notification) -> Mapping[str, object]:
    """What a line of a list says of it."""
    event = notification.event
    if isinstance(event, ImageEvent):
        return {
            "name": (event.image.name or "")[:_LONGEST],
            "status": event.image.status.value,
            "owner": event.image.owner,
        }
    if isinstance(event, TaskEvent):
        return {
            "task": event.task.id,
            "status": event.task.status.value,
            "message": (event.task.message or "")[:_LONGEST],
        }
    if isinstance(event, MemberEvent):
        return {"member": event.member.member, "status": event.member.status.value}
    if isinstance(event, ExtensionEvent):
        return {
            name: value[:_LONGEST] if isinstance(value, str) else value
            for name, value in event.payload.items()
            if isinstance(value, (str, int, float, bool))
        }
    return {}
