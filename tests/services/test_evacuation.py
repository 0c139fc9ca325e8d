"""Data that is moved out of a store: each image has a proven copy elsewhere before the one there goes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.domain.image import Image, Location, LocationStatus, Status
from glancecore.domain.lease import BlobRef
from glancecore.domain.staged import Importing
from glancecore.features.copies.evacuation import Evacuation
from glancecore.features.copies.inventory import Inventory, held_in
from glancecore.kernel.transfer.draining import Draining
from glancecore.periodic.job_run import JobRun
from glancecore.ports.job_repository import JobRecord
from glancecore.ports.repository import ImageAdded, ImageChanged, LeaseTaken
from glancecore.ports.upkeep import MoveOutcome, Order
from glancecore.testing.examples import make_image, make_lease
from glancecore.testing.service import basic, built, merged, read, synced, written

pytestmark = pytest.mark.long

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Cloud:
    """The stores fast (the default one, which drains), cheap and deep, as folders."""

    def __init__(self, folder: Path, service: Any) -> None:
        self.folder, self.tools, self.images = folder, service.tools, service.database.images
        self.stopping = threading.Event()

    def image(self, data: bytes, *stores: str, hashed: bool = True, **fields: Any) -> str:
        made = make_image(disk_format="raw", container_format="bare", size=len(data), attempt=1, status=Status.ACTIVE)
        locations = []
        for store in stores:
            (self.folder / store / made.id).write_bytes(data)
            locations.append(Location(f"file://{self.folder}/{store}/{made.id}", store))
        hashes = {
            "hash_algo": "sha512",
            "hash_value": hashlib.sha512(data).hexdigest(),
            "checksum": hashlib.md5(data).hexdigest(),
        }
        self.images.commit(
            ImageAdded(replace(made, locations=tuple(locations), **{**(hashes if hashed else {}), **fields}))
        )
        return made.id

    def change(self, image_id: str, **fields: Any) -> None:
        before = self.images.get_any(image_id)
        self.images.commit(ImageChanged(before, replace(before, version=before.version + 1, **fields)))

    def damaged(self, image_id: str, store: str) -> None:
        locations = self.images.get_any(image_id).locations
        self.change(
            image_id,
            locations=tuple(replace(x, status=LocationStatus.DAMAGED) if x.store == store else x for x in locations),
        )

    def turn(self, *, dry_run: bool = False) -> JobRun:
        def alive() -> None:
            if self.stopping.is_set():
                raise errors.JobStopped("told to")

        return JobRun("evacuate", JobRecord(), alive, self.stopping, dry_run=dry_run)

    def run(self, *, dry_run: bool = False, **order: Any) -> dict[str, tuple[MoveOutcome, str, str]]:
        results = Evacuation(self.tools, self.turn(dry_run=dry_run), Order("fast", **{"patience": 0.0, **order})).run()
        return {x.image: (x.outcome, x.to, x.why) for x in results}

    def has(self, image_id: str, data: bytes, *stores: str) -> bool:
        """The image has good copies there, with these bytes, and nowhere else are any."""
        image: Image = self.images.get_any(image_id)
        assert sorted(x.store for x in image.live_locations) == sorted(stores)
        assert [x.relative_to(self.folder).parts[0] for x in sorted(self.folder.glob(f"*/{image_id}*"))] == sorted(
            stores
        )
        return all(Path(x.url.removeprefix("file://")).read_bytes() == data for x in image.good_locations)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    stores = {x: {"filesystem_store_datadir": tmp_path / x} for x in ("cheap", "deep")}
    conf = read(
        written(
            merged(
                basic(tmp_path),
                {"DEFAULT": {"enabled_backends": "fast:file, cheap:file, deep:file"}, "lease": {"ttl": 60}},
                {"glance_store": {"fallback_stores": "cheap"}},
                stores,
            ),
            tmp_path,
        )
    )
    synced(conf)
    with built(conf) as service:
        Draining(service.database).add("fast", LONG_AGO)
        yield Cloud(tmp_path, service)


def test_the_only_copy_goes_where_data_without_a_name_goes(cloud: Cloud) -> None:
    one, other = cloud.image(b"one", "fast"), cloud.image(b"other", "fast", status=Status.DEACTIVATED)
    assert cloud.run() == dict.fromkeys((one, other), (MoveOutcome.MOVED, "cheap", ""))
    assert cloud.has(one, b"one", "cheap")
    assert cloud.has(other, b"other", "cheap")
    assert [cloud.images.get_any(x).status for x in (one, other)] == [Status.ACTIVE, Status.DEACTIVATED]
    assert cloud.images.get_any(one).importing is None
    assert cloud.images.lease(one) is None
    assert cloud.run() == {}


def test_another_copy_is_kept_when_it_proves_good(cloud: Cloud) -> None:
    good, bad = cloud.image(b"good", "fast", "deep"), cloud.image(b"bad", "fast", "deep")
    (cloud.folder / "deep" / bad).write_bytes(b"BAD")
    assert cloud.run() == {good: (MoveOutcome.DROPPED, "deep", ""), bad: (MoveOutcome.MOVED, "cheap", "")}
    assert cloud.has(good, b"good", "deep")
    assert (cloud.folder / "cheap" / f"{bad}.2").read_bytes() == b"bad"


def test_a_bad_copy_in_the_wanted_store_is_told(cloud: Cloud) -> None:
    image = cloud.image(b"data", "fast", "deep")
    (cloud.folder / "deep" / image).write_bytes(b"DATA")
    [(outcome, _, why)] = cloud.run(to="deep").values()
    assert outcome is MoveOutcome.FAILED
    assert "its copy in store deep is not what it was" in why
    assert "auditor" in why
    assert (cloud.folder / "fast" / image).read_bytes() == b"data"


def test_with_a_store_named_the_number_of_copies_stays(cloud: Cloud) -> None:
    alone, twice, there = (
        cloud.image(b"1", "fast"),
        cloud.image(b"2", "fast", "cheap"),
        cloud.image(b"3", "fast", "deep"),
    )
    assert cloud.run(to="deep") == {
        alone: (MoveOutcome.MOVED, "deep", ""),
        twice: (MoveOutcome.MOVED, "deep", ""),
        there: (MoveOutcome.DROPPED, "deep", ""),
    }
    assert cloud.has(alone, b"1", "deep")
    assert cloud.has(twice, b"2", "cheap", "deep")
    assert cloud.has(there, b"3", "deep")


def test_damaged_data_is_named_and_stays(cloud: Cloud) -> None:
    bad, good = cloud.image(b"bad data", "fast"), cloud.image(b"good", "fast")
    (cloud.folder / "fast" / bad).write_bytes(b"bad date")
    found = cloud.run()
    assert found[good] == (MoveOutcome.MOVED, "cheap", "")
    assert found[bad][0] is MoveOutcome.FAILED
    assert "damaged: its hash is not the recorded one" in found[bad][2]
    assert (cloud.folder / "fast" / bad).exists()
    assert not [*cloud.folder.glob(f"cheap/{bad}*")], "nothing half"
    (cloud.folder / "fast" / bad).write_bytes(b"bad")
    assert "can't be read now" in cloud.run()[bad][2]
    (cloud.folder / "fast" / bad).unlink()
    assert "can't be read now: " in cloud.run()[bad][2], "with the reason"
    (cloud.folder / "fast" / bad).write_bytes(b"bad data")
    assert cloud.run() == {bad: (MoveOutcome.MOVED, "cheap", "")}


def test_copies_that_are_marked_as_damaged(cloud: Cloud) -> None:
    """One goes when there is a good one; the only one is read anew, and moved when it is good again."""
    other, mended, lost = (
        cloud.image(b"other", "fast", "deep"),
        cloud.image(b"mended", "fast"),
        cloud.image(b"lost", "fast"),
    )
    for image in (other, mended, lost):
        cloud.damaged(image, "fast")
    (cloud.folder / "fast" / lost).unlink()
    found = cloud.run()
    assert (found[other], found[mended]) == ((MoveOutcome.DROPPED, "deep", ""), (MoveOutcome.MOVED, "cheap", ""))
    assert found[lost][0] is MoveOutcome.FAILED
    assert "there is no good copy" in found[lost][2]
    assert cloud.has(other, b"other", "deep")
    assert cloud.has(mended, b"mended", "cheap")


def test_a_store_whose_data_is_lost(cloud: Cloud) -> None:
    """Its place is there, and empty, as after ``store adopt --force``."""
    other, only = cloud.image(b"other", "fast", "deep"), cloud.image(b"only", "fast")
    for image in (other, only):
        (cloud.folder / "fast" / image).unlink()
    found = cloud.run()
    assert found[other] == (MoveOutcome.DROPPED, "deep", "")
    assert found[only][0] is MoveOutcome.FAILED
    assert "can't be read now: " in found[only][2]
    (cloud.folder / "fast" / only).write_bytes(b"only")
    assert cloud.run() == {only: (MoveOutcome.MOVED, "cheap", "")}


def test_data_without_a_hash_is_compared_with_what_was_written(cloud: Cloud) -> None:
    alone, same, unlike = (
        cloud.image(b"data", *x, hashed=False) for x in (("fast",), ("fast", "deep"), ("fast", "deep"))
    )
    (cloud.folder / "deep" / unlike).write_bytes(b"DATA")
    assert cloud.run() == {
        alone: (MoveOutcome.MOVED, "cheap", ""),
        same: (MoveOutcome.DROPPED, "deep", ""),
        unlike: (MoveOutcome.MOVED, "cheap", ""),
    }
    assert cloud.has(alone, b"data", "cheap")
    checksum = cloud.image(b"data", "fast", hashed=False, checksum=hashlib.md5(b"date").hexdigest())
    assert cloud.run()[checksum][0] is MoveOutcome.FAILED


def test_images_that_somebody_works_on_are_named_last(cloud: Cloud) -> None:
    leased, importing, saving = cloud.image(b"1", "fast"), cloud.image(b"2", "fast"), cloud.image(b"3")
    cloud.images.commit(LeaseTaken(make_lease(cloud.images.get_any(leased), operation="hash"), 60))
    cloud.change(importing, status=Status.IMPORTING, importing=Importing("task", ("fast",)))
    cloud.change(saving, status=Status.SAVING)
    cloud.images.commit(LeaseTaken(make_lease(cloud.images.get_any(saving), blobs=(BlobRef("fast", saving),)), 60))
    deleted = cloud.image(b"4", "fast")
    cloud.change(deleted, status=Status.PENDING_DELETE, status_before_delete=Status.ACTIVE)
    found = cloud.run()
    assert {x for x, row in found.items() if row[0] is MoveOutcome.BUSY} == {leased, importing, saving}
    assert found[deleted][0] is MoveOutcome.FAILED
    assert "glance-scrubber" in found[deleted][2]
    assert (cloud.folder / "fast" / leased).exists()


def test_what_a_dead_evacuation_left_is_taken_over(cloud: Cloud) -> None:
    image = cloud.image(b"data", "fast")
    lease = make_lease(
        cloud.images.get_any(image), operation="move", stable=Status.ACTIVE, blobs=(BlobRef("cheap", f"{image}.2"),)
    )
    cloud.images.commit(LeaseTaken(lease, 0.1))
    (cloud.folder / "cheap" / f"{image}.2").write_bytes(b"da")
    assert cloud.run(patience=30.0) == {image: (MoveOutcome.MOVED, "cheap", "")}
    assert cloud.has(image, b"data", "cheap")


def test_a_dry_run_changes_nothing(cloud: Cloud) -> None:
    Draining(cloud.tools.database).remove("fast")
    alone, twice = cloud.image(b"1", "fast"), cloud.image(b"2", "fast", "deep")
    assert cloud.run(dry_run=True, to="cheap") == {
        alone: (MoveOutcome.MOVED, "cheap", ""),
        twice: (MoveOutcome.MOVED, "cheap", ""),
    }
    Draining(cloud.tools.database).add("fast", LONG_AGO)
    assert cloud.run(dry_run=True)[twice] == (MoveOutcome.DROPPED, "deep", "")
    assert cloud.has(alone, b"1", "fast")
    assert cloud.has(twice, b"2", "fast", "deep")


def test_it_stops_between_two_pieces_and_leaves_nothing(cloud: Cloud) -> None:
    image = cloud.image(b"x" * 3_000_000, "fast")
    copying = Evacuation(cloud.tools, cloud.turn(), Order("fast"))
    put = type(cloud.tools.stores.get("cheap")).put
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(cloud.tools.stores.get("cheap")),
            "put",
            lambda *args, **more: (cloud.stopping.set(), put(*args, **more))[1],
        )
        with pytest.raises(errors.JobStopped):
            list(copying.run())
    cloud.stopping.clear()
    assert cloud.has(image, b"x" * 3_000_000, "fast")
    assert cloud.images.lease(image) is None


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"origin": "deap"}, "FROM: no store 'deap'.*there are: fast, cheap, deep"),
        ({"to": "deap"}, "--to: no store 'deap'"),
        ({"origin": "deep"}, "FROM: store deep takes new data while it is emptied.*glance-manage store drain deep"),
        ({"to": "fast"}, "--to: store fast is the one that is emptied"),
        ({"to": "cheap"}, "--to: store cheap takes no new data"),
        ({}, "--to: no store takes data for which none is named; name one"),
    ],
)
def test_what_can_not_begin(cloud: Cloud, order: dict[str, Any], said: str) -> None:
    Draining(cloud.tools.database).add("cheap", LONG_AGO)
    cloud.tools.stores.get("cheap")._drains = frozenset({"cheap"})
    with pytest.raises(errors.ConfigError, match=said):
        Evacuation(cloud.tools, cloud.turn(), Order(**{"origin": "fast", **order}))


def test_what_lies_in_a_store_is_counted(cloud: Cloud) -> None:
    made = {
        cloud.image(b"12345", "fast"): "only",
        cloud.image(b"123", "fast", "deep"): "copy",
        (lost := cloud.image(b"1", "fast")): "lost",
        (damaged := cloud.image(b"1", "fast", "deep")): "damaged",
        (last := cloud.image(b"1", "fast", "deep")): "only",
    }
    cloud.image(b"1", "deep")
    for image, store in ((lost, "fast"), (damaged, "fast"), (last, "deep")):
        cloud.damaged(image, store)
    found = Inventory("fast")
    assert {x.id: found.add(x) for x in held_in(cloud.tools.database, "fast")} == made
    assert found == Inventory("fast", images=5, bytes=11, only=2, damaged=2, lost=1)
