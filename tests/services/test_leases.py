"""An operation that is over is not kept alive by the others of its process."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from waiting import until

from glancecore.domain import errors
from glancecore.domain.image import Status
from glancecore.domain.lease import Operation
from glancecore.kernel.leases import Leases
from glancecore.kernel.reaper import Reaper
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.ports.repository import Change, LeaseChanged, LeaseTaken
from glancecore.testing.examples import make_image, make_lease
from glancecore.testing.fakes import MemoryDatabase, MemoryImages

TTL = 0.3


def test_a_lease_that_could_not_be_ended_expires_while_others_run() -> None:
    images = MemoryDatabase().images
    leases = Leases(images, TTL)
    over, running = (leases.new(make_image(), Operation.UPLOAD, Status.QUEUED) for _ in range(2))
    images.commit(leases.taken(over), leases.taken(running))
    leases.forget(over)  # the commit that should have ended it has failed
    until(lambda: [x.image_id for x in images.expired()] == [over.image_id])
    assert images.lease(running.image_id) == running
    leases.forget(running)


def test_what_was_written_into_it_since_is_kept() -> None:
    images = MemoryDatabase().images
    leases = Leases(images, TTL)
    over, running = (leases.new(make_image(), Operation.UPLOAD, Status.QUEUED, reserved=0) for _ in range(2))
    images.commit(leases.taken(over), leases.taken(running))
    images.commit(LeaseChanged(replace(over, reserved=7)))
    leases.forget(over)
    until(lambda: [x.reserved for x in images.expired()] == [7])
    leases.forget(running)


class LosesTheAnswer(MemoryImages):
    """The commit of a taken lease is saved, and nobody is told."""

    lossy = False

    def commit(self, *changes: Change) -> None:
        super().commit(*changes)
        if self.lossy and isinstance(changes[0], LeaseTaken):
            self.lossy = False
            raise errors.DatabaseUnavailable("it may or may not have been saved")


def test_a_lease_that_the_reaper_took_without_knowing_expires_again() -> None:
    images = LosesTheAnswer()
    leases = Leases(images, TTL)
    images.commit(LeaseTaken(make_lease(make_image()), 0))
    running = leases.new(make_image(), Operation.UPLOAD, Status.QUEUED)
    images.commit(leases.taken(running))
    nothing: Any = None
    reaper = Reaper(images, nothing, leases, nothing, Subscriptions(), 1)
    images.lossy = True
    until(lambda: bool(images.expired()))
    with pytest.raises(errors.DatabaseUnavailable):
        reaper.run_once()
    until(lambda: bool(images.expired()))
    leases.forget(running)


class Odd(MemoryImages):
    """A driver with a fault."""

    odd = False

    def extend(self, holder: str, ttl: float) -> frozenset[str]:
        if self.odd:
            self.odd = False
            raise RuntimeError("a fault of the driver")
        return super().extend(holder, ttl)


def test_a_fault_of_a_driver_does_not_end_the_heartbeat() -> None:
    images = Odd()
    leases = Leases(images, TTL)
    running = leases.new(make_image(), Operation.UPLOAD, Status.QUEUED)
    images.commit(leases.taken(running))
    images.odd = True
    until(lambda: not images.odd)
    time.sleep(3 * TTL)
    assert images.expired() == []
    leases.forget(running)


def test_a_handler_that_fails_does_not_hold_up_the_others() -> None:
    images = MemoryDatabase().images
    on, done = Subscriptions(), list[str]()

    def fail(_: object) -> None:
        raise ZeroDivisionError

    on.abandoned("odd_work", fail)
    on.abandoned(Operation.HASH, lambda lease: done.append(lease.image_id))
    on.every_pass(lambda: fail(None))
    on.every_pass(lambda: done.append("pass"))
    odd, hashed = (make_lease(make_image(), operation=x) for x in ("odd_work", Operation.HASH))
    images.commit(LeaseTaken(odd, 0), LeaseTaken(hashed, 0))
    nothing: Any = None
    Reaper(images, nothing, Leases(images, TTL), nothing, on, 1).run_once()
    assert done == [hashed.image_id, "pass"]
