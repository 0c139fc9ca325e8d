"""Upload sessions as records of the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, cast

from glancecore.domain import errors
from glancecore.domain.context import Initiator
from glancecore.domain.upload_session import MOST_PARTIALS, PartRun, SessionState, UploadSession
from glancecore.ports.record_repository import (
    Record,
    RecordAdded,
    RecordChanged,
    RecordQuery,
    RecordRemoved,
    RecordRepository,
)

#: No extension's: their names have no blank.
COLLECTION = "the service.uploads"
#: The keys: the owner, of sessions that have not ended, a joint one and its partial ones counting as one; the place of
#: the parts, while there may be some.
_OWNER, _PLACE = 0, 1
_PAGE = 100


class UploadRecords:
    """Sessions by their id, image, owner and expiry."""

    def __init__(self, records: RecordRepository) -> None:
        self._records = records

    def get(self, session_id: str) -> UploadSession:
        """Raises UploadNotFound."""
        try:
            return _session(self._records.get(COLLECTION, session_id))
        except errors.RecordNotFound as exc:
            raise errors.UploadNotFound("no such upload: it has ended, or was never begun") from exc

    def of_image(self, image_id: str) -> list[UploadSession]:
        """At most 1,000 of them, whichever."""
        return [_session(x) for x in self._records.of_image(image_id, COLLECTION)]

    def at(self, places: Sequence[str]) -> UploadSession | None:
        """The session with one of these places, unless all of its bytes are gone."""
        found = self._records.find(RecordQuery(COLLECTION, _PLACE, list(places), limit=1))
        return _session(found[0]) if found else None

    def uncleaned(self, image_id: str) -> Iterator[UploadSession]:
        """Those of the image that may have bytes left; all of them."""
        after = None
        while True:
            found = self._records.find(RecordQuery(COLLECTION, _PLACE, prefix=f"{image_id}.", after=after, limit=_PAGE))
            yield from map(_session, found)
            if len(found) < _PAGE:
                return
            after = (found[-1].keys[_PLACE] or "", found[-1].id)

    def partials(self, joint: UploadSession) -> list[UploadSession]:
        """What it is joined of, or may be; in no order that means anything."""
        found = self._records.find(RecordQuery(COLLECTION, _PLACE, prefix=f"{joint.place}_", limit=MOST_PARTIALS + 1))
        return [_session(x) for x in found]

    def live_of(self, owner: str | None, limit: int) -> int:
        """How many of a project's sessions are kept and have not ended; counted up to ``limit``."""
        return len(self._records.find(RecordQuery(COLLECTION, _OWNER, [owner or ""], limit=limit)))

    def expired(self, at: datetime) -> Iterator[UploadSession]:
        """The oldest first; those that are left as they are hide none that come behind."""
        seen: set[str] = set()
        while True:
            limit = len(seen) + _PAGE
            found = self._records.expired(COLLECTION, at, limit)
            fresh = [x for x in found if x.id not in seen]
            seen.update(x.id for x in fresh)
            yield from map(_session, fresh)
            if not fresh or len(found) < limit:
                return


def added(session: UploadSession) -> RecordAdded:
    return RecordAdded(_record(session))


def changed(before: UploadSession, after: UploadSession) -> RecordChanged:
    """The commit raises ConcurrentChange when another one was faster, RecordNotFound when it is gone."""
    return RecordChanged(_record(before), _record(replace(after, version=before.version + 1)))


def removed(session: UploadSession) -> RecordRemoved:
    return RecordRemoved(_record(session))


def _record(session: UploadSession) -> Record:
    data: dict[str, object] = {
        "tag": session.tag,
        "target": session.target,
        "staging": session.staging,
        "offset": session.offset,
        "length": session.length,
        "state": session.state.value,
        "note": dict(session.note),
        "fault": session.last_error,
        "next": session.next,
        "initiator": asdict(session.initiator),
        "parts": [[x.first, x.count, x.size, x.url] for x in session.parts],
        "owner": session.owner,
        "cleaned": session.cleaned,
        "joined": None if session.joined is None else list(session.joined),
        "busy": session.busy,
        "key": session.key,
        "handle": session.handle,
        "taken": session.taken,
        "ends": session.ends,
        "stage": session.to_stage,
    }
    keys = (
        session.owner or "" if session.live and not session.partial else None,
        None if session.cleaned else session.place,
    )
    return Record(COLLECTION, session.id, data, keys, session.image_id, session.expires_at, session.version)


def _session(record: Record) -> UploadSession:
    data = cast("Mapping[str, Any]", record.data)
    if record.image_id is None or record.expires_at is None:
        raise TypeError(f"record {record.id} of {record.collection} has no image or no end")
    return UploadSession(
        record.id,
        record.image_id,
        data["owner"],
        data["tag"],
        data["target"],
        data["staging"],
        record.expires_at,
        data["offset"],
        data["length"],
        SessionState(data["state"]),
        data["note"],
        data["fault"],
        tuple(PartRun(*x) for x in data["parts"]),
        data["next"],
        Initiator(**data["initiator"]),
        data["cleaned"],
        None if data.get("joined") is None else tuple(data["joined"]),
        data.get("busy"),
        data.get("key"),
        data.get("handle"),
        data.get("ends", False),
        data.get("taken", 0),
        data.get("stage", False),
        record.version,
    )
