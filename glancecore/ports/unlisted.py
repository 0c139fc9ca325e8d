"""Public images that leave the lists of other projects, from some time on: records that go with their images, so any
commit can have them.

Who owns the image, and who is admin, has it in his lists as before; all others have it by its id.
``glancecore.sdk.records.unlisting`` makes the changes."""

from __future__ import annotations

from datetime import UTC, datetime

from glancecore.ports.record_repository import Record

#: Its records have the ids of their images. The key is from when on the image is left out: see ``moment``.
COLLECTION = "the service.unlisted"


def moment(at: datetime) -> str:
    """A text that compares as the times do, to the second."""
    return f"{at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def from_then_on(image_id: str, at: datetime) -> Record:
    """``at``: aware."""
    return Record(COLLECTION, image_id, keys=(moment(at),), image_id=image_id)
