"""A database that was brought back from a backup: what was under way lets go of its data, and new data gets new
names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from glancecore.domain.image import Status
from glancecore.domain.lease import BlobRef, Lease, Operation
from glancecore.kernel import restored as module
from glancecore.kernel.restored import RestoreOutcome, RestoreWatch, restored, restored_at
from glancecore.ports.repository import ImageAdded, LeaseTaken
from glancecore.testing.examples import make_image, make_lease
from glancecore.testing.fakes import MemoryDatabase

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)


def lease(database: MemoryDatabase, status: Status, operation: str, *blobs: str, ttl: float = 60) -> Lease:
    image = make_image(status=status)
    made = replace(make_lease(image), operation=operation, blobs=tuple(BlobRef("s", x) for x in blobs))
    database.images.commit(ImageAdded(image), LeaseTaken(made, ttl))
    return made


def test_operations_let_go_of_their_data_and_deletions_are_finished() -> None:
    database = MemoryDatabase()
    held = [
        lease(database, Status.SAVING, Operation.UPLOAD, "a", ttl=0),
        lease(database, Status.IMPORTING, Operation.IMPORT, "b", "c"),
        lease(database, Status.ACTIVE, Operation.MOVE, "d"),
        lease(database, Status.SAVING, Operation.SESSION, "e"),
    ]
    others = [lease(database, Status.DELETING, Operation.DELETE, "f"), lease(database, Status.ACTIVE, Operation.HASH)]
    assert restored(database, NOW) == RestoreOutcome(operations=4, images=3)
    for each in held:
        assert database.images.lease(each.image_id) == replace(each, blobs=())
    for each in others:
        assert database.images.lease(each.image_id) == each
    assert restored(database, NOW).operations == 0, "again without harm"


def test_only_images_without_data_get_other_names() -> None:
    database = MemoryDatabase()
    images = {
        status: make_image(status=status)
        for status in (
            Status.QUEUED,
            Status.SAVING,
            Status.UPLOADING,
            Status.IMPORTING,
            Status.ACTIVE,
            Status.DEACTIVATED,
            Status.PENDING_DELETE,
        )
    }
    database.images.commit(*map(ImageAdded, images.values()))
    assert restored(database, NOW) == RestoreOutcome(operations=0, images=4)
    for status, image in images.items():
        now = database.images.get_any(image.id)
        assert (now.blob_key != image.blob_key) is (
            status in (Status.QUEUED, Status.SAVING, Status.UPLOADING, Status.IMPORTING)
        ), status
        assert replace(now, attempt=image.attempt, version=image.version) == image, "nothing else"


def test_the_last_restore_is_remembered() -> None:
    database = MemoryDatabase()
    assert restored_at(database) is None
    restored(database, NOW)
    restored(database, NOW + timedelta(days=1))
    assert restored_at(database) == NOW + timedelta(days=1)


def test_a_process_that_serves_meanwhile_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    database = MemoryDatabase()
    restored(database, NOW)
    watch = RestoreWatch(database)
    watch.look()
    watch.look()
    assert not caplog.records, "that was before it began"
    restored(database, NOW + timedelta(hours=1))
    watch.look()
    watch.look()
    assert [x.levelname for x in caplog.records] == ["ERROR"]
    assert "glance-manage db restored" in caplog.text
