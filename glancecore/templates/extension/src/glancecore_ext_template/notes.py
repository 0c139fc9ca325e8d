"""Notes, and where they are kept."""

from __future__ import annotations

from collections.abc import Sequence

from glancecore.domain.events import EventName, ExtensionEvent
from glancecore.domain.image import Image
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.record_repository import Record, RecordQuery
from glancecore.sdk.records import saving

NOTES = Collection("template.notes", of_image=True)
EVENT = EventName("template.note")


class Notes:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def write(self, image: Image, text: str) -> None:
        """In place of an earlier one. The record goes with its image; the event is told when the commit has
        succeeded."""
        record = Record(NOTES.name, image.id, {"text": text}, image_id=image.id)
        self._kernel.writer.save(
            saving(self._kernel.records, record), events=[ExtensionEvent(EVENT, image.id, {"text": text})]
        )

    def of(self, images: Sequence[Image]) -> list[str | None]:
        """In their order, in one question."""
        found = self._kernel.records.find(RecordQuery(NOTES.name, equal=[x.id for x in images], limit=len(images)))
        texts = {x.id: str(x.data["text"]) for x in found}
        return [texts.get(x.id) for x in images]
