"""Long work on an image: it ends well, or nothing of it stays, also when answers of the database are lost and others
come between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from glancecore.domain import errors
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Location, Status
from glancecore.domain.lease import BlobRef, Lease, Operation
from glancecore.domain.quota import Limits
from glancecore.domain.staged import Digests
from glancecore.kernel.leases import Leases
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.operations import FIRST_STEP, Held, Operations
from glancecore.kernel.writer import Writer
from glancecore.ports.notifier import Notification
from glancecore.ports.record_repository import Record, RecordAdded, RecordChanged
from glancecore.ports.repository import Change, ImageAdded, ImageChanged, LeaseEnded, LeaseTaken
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase, MemoryImages

DIGESTS = Digests(3, "0" * 32, "sha512", "0" * 128)
BLOB = Location("memory://here/blob", "here")


class Losing(MemoryImages):
    """The commit that ends a lease is saved or not, and nobody is told."""

    lose: str = ""

    def commit(self, *changes: Change) -> None:
        lose, self.lose = (self.lose, "") if any(isinstance(x, LeaseEnded) for x in changes) else ("", self.lose)
        if lose != "before":
            super().commit(*changes)
        if lose:
            raise errors.DatabaseUnavailable("it may or may not have been saved")


class Cloud:
    def __init__(self, repository: MemoryImages | None = None) -> None:
        self.images = repository or MemoryDatabase().images
        self.events: list[str] = []
        self.leases = Leases(self.images, 30)
        self.operations = Operations(self.images, Writer(self.images, Notifications({"test": self})), self.leases)  # type: ignore[dict-item]
        self.image = replace(make_image(owner="a"), disk_format="raw", container_format="bare")
        self.images.commit(ImageAdded(self.image))
        self.removed = 0

    def notify(self, notification: Notification) -> None:
        self.events.append(notification.event.type.value)

    def stored(self) -> Image:
        return self.images.get_any(self.image.id)

    def upload(self, held: Held) -> None:
        held.made(self.remove, lambda x: bool(x.locations))
        held.finish(
            lambda x: x.finish_upload(DIGESTS, (BLOB,)), events=lambda x: [ImageEvent(EventType.IMAGE_ACTIVATE, x)]
        )

    def remove(self) -> None:
        self.removed += 1

    def work(self, *parts: Callable[[Held], None], limits: Limits | None = None, reserve: int = 0) -> None:
        with self.operations.hold(
            self.image,
            self.image.begin_upload(),
            Operation.UPLOAD,
            blobs=(BlobRef("here", "blob"),),
            reserve=reserve,
            limits=limits or Limits(),
            events=lambda x: [ImageEvent(EventType.IMAGE_PREPARE, x)],
        ) as held:
            for part in parts:
                part(held)

    def lease(self) -> Lease:
        lease = self.images.lease(self.image.id)
        assert lease is not None
        return lease

    def rename(self, _: object = None) -> None:
        now = self.stored()
        self.images.commit(ImageChanged(now, replace(now, name="other", version=now.version + 1)))


def test_it_ends_well() -> None:
    cloud = Cloud()

    def look(_: Held) -> None:
        assert (cloud.lease().blobs, cloud.stored().status) == ((BlobRef("here", "blob"),), Status.SAVING)

    cloud.work(look, cloud.upload)
    assert (cloud.stored().status, cloud.stored().version, cloud.images.lease(cloud.image.id)) == (
        Status.ACTIVE,
        3,
        None,
    )
    assert cloud.events == ["image.prepare", "image.activate"]
    assert cloud.removed == 0


def test_it_fails() -> None:
    cloud = Cloud()

    def fail(held: Held) -> None:
        held.made(cloud.remove, lambda _: False)
        raise errors.StoreFull("no room", "here", "put")

    with pytest.raises(errors.StoreFull):
        cloud.work(fail)
    assert (cloud.stored().status, cloud.stored().last_error, cloud.images.lease(cloud.image.id), cloud.removed) == (
        Status.QUEUED,
        "no room",
        None,
        1,
    )


def test_its_metadata_is_changed_meanwhile() -> None:
    cloud = Cloud()
    cloud.work(cloud.rename, cloud.upload)
    assert (cloud.stored().status, cloud.stored().name) == (Status.ACTIVE, "other")


def test_it_has_changed_before() -> None:
    cloud = Cloud()
    cloud.rename()
    with pytest.raises(errors.WrongStatus):
        cloud.work(_never)
    assert cloud.images.lease(cloud.image.id) is None


@pytest.mark.parametrize("lose", ["before", "after"])
def test_the_answer_of_its_last_commit_is_lost(lose: str) -> None:
    images = Losing()
    cloud = Cloud(images)

    def lossy(_: Held) -> None:
        images.lose = lose

    with pytest.raises(errors.DatabaseUnavailable):
        cloud.work(lossy, cloud.upload)
    assert (cloud.stored().status, cloud.removed) == ((Status.QUEUED, 1) if lose == "before" else (Status.ACTIVE, 0))


def test_somebody_else_takes_it_over() -> None:
    cloud = Cloud()

    def take(_: Held) -> None:
        cloud.images.commit(
            LeaseTaken(replace(cloud.lease(), token="another", holder="another"), 30, cloud.lease().token)
        )

    with pytest.raises(errors.Gone):
        cloud.work(take, cloud.upload)
    assert (cloud.stored().status, cloud.removed) == (Status.SAVING, 1), "its bytes are ours, the image is not"


def test_room_is_reserved_in_growing_steps() -> None:
    cloud = Cloud()

    def reserve(held: Held) -> None:
        held.reserve(1)
        assert cloud.images.usage("a").bytes == 1 + FIRST_STEP
        held.reserve(2 + FIRST_STEP)
        assert cloud.images.usage("a").bytes == 2 + FIRST_STEP, "exactly, where the step would be too much"
        with pytest.raises(errors.QuotaExceeded):
            held.reserve(3 * FIRST_STEP + 1)

    cloud.work(reserve, cloud.upload, limits=Limits(bytes=3 * FIRST_STEP))
    assert cloud.images.usage("a").bytes == 3


def test_what_is_known_is_reserved_at_once() -> None:
    cloud = Cloud()
    with pytest.raises(errors.QuotaExceeded):
        cloud.work(_never, limits=Limits(bytes=2), reserve=3)
    assert (cloud.stored().status, cloud.images.usage("a").bytes) == (Status.QUEUED, 0)


# -- work that leaves the image as it is -----------------------------------------------------------
def counted(cloud: Cloud, *parts: Callable[[Held], None]) -> None:
    with cloud.operations.hold(cloud.stored(), None, "census_count") as held:
        for part in parts:
            part(held)


def active(cloud: Cloud) -> Cloud:
    cloud.work(cloud.upload)
    return cloud


def test_what_somebody_makes_of_the_image_meanwhile_stays() -> None:
    cloud = active(Cloud())

    def deactivate_and_fail(_: Held) -> None:
        now = cloud.stored()
        cloud.images.commit(ImageChanged(now, replace(now.deactivate(), version=now.version + 1)))
        raise errors.StoreUnavailable("broken off", "here", "open")

    with pytest.raises(errors.StoreUnavailable):
        counted(cloud, deactivate_and_fail)
    assert (cloud.stored().status, cloud.stored().last_error, cloud.images.lease(cloud.image.id)) == (
        Status.DEACTIVATED,
        None,
        None,
    )


def test_it_ends_well_although_the_image_was_deactivated() -> None:
    cloud = active(Cloud())

    def deactivate(_: Held) -> None:
        now = cloud.stored()
        cloud.images.commit(ImageChanged(now, replace(now.deactivate(), version=now.version + 1)))

    counted(cloud, deactivate, lambda held: held.finish() and None)
    assert (cloud.stored().status, cloud.images.lease(cloud.image.id)) == (Status.DEACTIVATED, None)


def test_a_conflict_about_something_else_is_told() -> None:
    cloud = active(Cloud())
    record = Record("census.counts", "x")
    cloud.images.commit(RecordAdded(record))
    stale = RecordChanged(replace(record, version=7), replace(record, version=8))
    with pytest.raises(errors.ConcurrentChange):
        counted(cloud, lambda held: held.finish(lambda x: x, stale) and None)
    assert cloud.images.lease(cloud.image.id) is None


def test_the_work_of_a_dead_process_is_resumed() -> None:
    cloud = active(Cloud())
    lease = cloud.leases.new(cloud.stored(), "census_count", Status.ACTIVE)
    cloud.images.commit(cloud.leases.taken(lease))
    with cloud.operations.resume(lease) as held:
        held.finish()
    assert (cloud.stored().status, cloud.images.lease(cloud.image.id)) == (Status.ACTIVE, None)


def test_what_is_suspended_keeps_its_lease() -> None:
    cloud = active(Cloud())

    def suspend(_: Held) -> None:
        raise errors.Suspended("the process ends")

    with pytest.raises(errors.Suspended):
        counted(cloud, suspend)
    assert cloud.lease().operation == "census_count"


def _never(_: Held) -> None:
    raise AssertionError
