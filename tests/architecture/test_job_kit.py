"""The kit for periodic jobs can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from glancecore.domain.errors import GlanceError
from glancecore.ports.job_repository import JobRecord
from glancecore.testing.fakes import MemoryDatabase, MemoryJobs
from glancecore.testing.job_repository import JobConformance

Kit = JobConformance


class GivesItToAll(MemoryJobs):
    def hold(self, name: str, holder: str, ttl: float) -> bool:
        return super().hold(name, holder, ttl) or True


class OneLockForAllJobs(MemoryJobs):
    def hold(self, name: str, holder: str, ttl: float) -> bool:
        return super().hold("", holder, ttl) and super().hold(name, holder, ttl)


class LooksThenTakes(MemoryJobs):
    def hold(self, name: str, holder: str, ttl: float) -> bool:
        there = self.holder(name)
        time.sleep(0.01)
        if there not in (None, holder):
            return False
        self._held[name] = (holder, time.monotonic() + ttl)
        return True


class NeverExpires(MemoryJobs):
    def hold(self, name: str, holder: str, ttl: float) -> bool:
        return super().hold(name, holder, ttl + 3600)


class ExtendsNothing(MemoryJobs):
    def hold(self, name: str, holder: str, ttl: float) -> bool:
        return self.holder(name) == holder or super().hold(name, holder, ttl)


class LetsAnybodyLetGo(MemoryJobs):
    def let_go(self, name: str, holder: str) -> None:
        self._held.pop(name, None)


class KeepsForAnybody(MemoryJobs):
    def keep(self, name: str, holder: str, record: JobRecord) -> None:
        self._records[name] = record


class ForgetsWithItsHolder(MemoryJobs):
    def let_go(self, name: str, holder: str) -> None:
        super().let_go(name, holder)
        self._records.pop(name, None)


class KeepsTheFirst(MemoryJobs):
    def keep(self, name: str, holder: str, record: JobRecord) -> None:
        super().keep(name, holder, self._records.get(name, record))


@pytest.mark.parametrize(
    ("saboteur", "test"),
    [
        (GivesItToAll, Kit.test_one_holds_it),
        (OneLockForAllJobs, Kit.test_one_holds_it),
        (LooksThenTakes, Kit.test_of_many_at_once_one_gets_it),
        (NeverExpires, Kit.test_who_is_silent_loses_it),
        (ExtendsNothing, Kit.test_it_is_extended_from_now),
        (LetsAnybodyLetGo, Kit.test_what_is_let_go_is_free_at_once),
        (KeepsForAnybody, Kit.test_only_its_holder_keeps_a_record),
        (ForgetsWithItsHolder, Kit.test_a_record_outlives_its_holders),
        (KeepsTheFirst, Kit.test_a_record_is_read_as_it_was_kept),
    ],
)
def test_the_kit_catches(saboteur: type[MemoryJobs], test: Callable[..., None]) -> None:
    database = MemoryDatabase()
    database.jobs = saboteur()
    with pytest.raises(BaseException) as told:
        test(Kit(), database)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | GlanceError), told.value
