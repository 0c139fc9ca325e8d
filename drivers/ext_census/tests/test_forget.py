"""The periodic job, on a moved clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace

from glancecore_ext_census.counts import COUNTS, Count, Counts
from glancecore_ext_census.jobs import Forget

from glancecore.ports.record_repository import RecordQuery
from glancecore.ports.repository import ImageAdded
from glancecore.testing.examples import START, make_image
from glancecore.testing.fakes import MemoryDatabase


@dataclass
class Turn:
    dry_run: bool = False
    found: list[str] = field(default_factory=list)

    def check(self) -> None: ...

    def count(self, what: str, by: int = 1) -> None: ...

    def find(self, kind: str, subject: str, text: str) -> None:
        self.found.append(subject)


def test_what_has_expired_is_forgotten() -> None:
    database, now = MemoryDatabase(), START
    images = [make_image() for _ in range(3)]
    for days, image in enumerate(images):
        database.images.commit(ImageAdded(image))
        count = Count(image.id, 2, 1, None)
        database.images.commit(Counts(database.records).saving(image, count, START + timedelta(days=days)))

    def clock() -> datetime:
        return now

    kernel = SimpleNamespace(records=database.records, writer=SimpleNamespace(save=database.images.commit))
    job = Forget(None, SimpleNamespace(kernel=kernel, clock=clock))  # type: ignore[arg-type]
    now = START + timedelta(days=1)
    dry, wet = Turn(dry_run=True), Turn()
    job.run(dry)  # type: ignore[arg-type]
    assert len(database.records.find(RecordQuery(COUNTS.name))) == 3
    job.run(wet)  # type: ignore[arg-type]
    assert dry.found == wet.found == [x.id for x in images[:2]]
    assert [x.id for x in database.records.find(RecordQuery(COUNTS.name))] == [images[2].id]
