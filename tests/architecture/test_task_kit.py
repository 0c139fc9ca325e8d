"""The kit for tasks can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from glancecore.domain.errors import GlanceError
from glancecore.domain.image import Image
from glancecore.domain.task import Task
from glancecore.ports import repository as port
from glancecore.ports import task_repository as task_port
from glancecore.testing.fakes import MemoryDatabase, MemoryImages, MemoryTasks, _State
from glancecore.testing.task_repository import TaskConformance

Kit = TaskConformance


class StaleWins(MemoryImages):
    def change_task(self, state: _State, change: task_port.TaskChanged) -> None:
        stored = state.tasks[change.before.id]
        super().change_task(
            state, replace(change, before=stored, after=replace(change.after, version=stored.version + 1))
        )


class Overwrites(MemoryImages):
    def add_task(self, state: _State, change: task_port.TaskAdded) -> None:
        state.tasks[change.task.id] = change.task


class HalfCommits(MemoryImages):
    def commit(self, *changes: port.Change) -> None:
        for change in changes:
            super().commit(change)


class ForgetsSecrets(MemoryImages):
    def add_task(self, state: _State, change: task_port.TaskAdded) -> None:
        super().add_task(state, task_port.TaskAdded(replace(change.task, secrets={})))


class ForgetsStaged(MemoryImages):
    def add_image(self, state: _State, change: port.ImageAdded) -> None:
        image: Image = replace(change.image, staged=None)
        super().add_image(state, port.ImageAdded(image))


class ListsExpired(MemoryTasks):
    def _alive(self, now: datetime) -> list[Task]:
        return list(self._images.state.tasks.values())


class RepeatsTheMarker(MemoryTasks):
    def find(self, query: task_port.TaskQuery) -> list[Task]:
        found = super().find(query)
        return found if query.marker is None or not found else [self.get(query.marker), *found][: query.limit]


class OldestFirst(MemoryTasks):
    def of_image(self, image_id: str, now: datetime) -> list[Task]:
        return super().of_image(image_id, now)[::-1]


class TellsTheHeld(MemoryTasks):
    def abandoned(self, limit: int = 100) -> list[Task]:
        return [x for x in self._images.state.tasks.values() if not x.finished][:limit]


class ForgetsTheUnfinished(MemoryTasks):
    def forget(self, before: datetime, limit: int = 1000) -> int:
        for task in [x for x in self._images.state.tasks.values() if not x.finished]:
            del self._images.state.tasks[task.id]
        return super().forget(before, limit)


class ForgetsWhatKeeps(MemoryTasks):
    def forget(self, before: datetime, limit: int = 1000) -> int:
        for task in [
            x for x in self._images.state.tasks.values() if x.kept_until is not None and x.kept_until < before
        ]:
            del self._images.state.tasks[task.id]
        return super().forget(before, limit)


class LooksAtTheClockOnly(MemoryTasks):
    def outlived(self, now: datetime, limit: int = 100) -> list[Task]:
        return [x for x in super().outlived(now, limit) if x.kept_until is not None and x.kept_until <= now]


class ForgetsKept(MemoryImages):
    def add_task(self, state: _State, change: task_port.TaskAdded) -> None:
        super().add_task(state, task_port.TaskAdded(replace(change.task, kept=None)))


@pytest.mark.parametrize(
    ("saboteur", "test", "arguments"),
    [
        (StaleWins, Kit.test_a_stale_change_is_refused, ()),
        (StaleWins, Kit.test_one_of_many_parallel_changes_wins, ()),
        (Overwrites, Kit.test_an_id_is_used_once, ()),
        (HalfCommits, Kit.test_image_lease_and_task_change_together_or_not_at_all, ()),
        (ForgetsSecrets, Kit.test_a_task_is_read_as_it_was_added, ()),
        (ForgetsStaged, Kit.test_the_import_state_of_an_image_is_kept, ()),
        (ListsExpired, Kit.test_expired_tasks_are_not_listed_and_can_be_forgotten, ()),
        (RepeatsTheMarker, Kit.test_pages_give_each_task_once_in_order, ({}, ((task_port.TaskSort.ID, False),))),
        (OldestFirst, Kit.test_tasks_of_an_image_come_newest_first, ()),
        (TellsTheHeld, Kit.test_unfinished_tasks_without_an_import_lease_are_told, ()),
        (ForgetsKept, Kit.test_a_task_is_read_as_it_was_added, ()),
        (LooksAtTheClockOnly, Kit.test_kept_data_is_told_when_its_time_is_over_or_its_image_does_not_wait_for_it, ()),
        (ForgetsWhatKeeps, Kit.test_a_task_that_keeps_data_is_not_forgotten, ()),
        (ForgetsTheUnfinished, Kit.test_forgetting_goes_to_its_limit_oldest_first_and_spares_the_unfinished, ()),
    ],
)
def test_the_kit_catches(
    saboteur: type[MemoryImages] | type[MemoryTasks],
    test: Callable[..., None],
    arguments: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = MemoryDatabase()
    if issubclass(saboteur, MemoryImages):
        database.images = saboteur()
    else:
        monkeypatch.setattr(MemoryDatabase, "tasks", property(lambda self: saboteur(self.images)))
    with pytest.raises(BaseException) as told:
        test(Kit(), database, *arguments)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | GlanceError), told.value
