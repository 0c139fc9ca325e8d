"""The conformance kit for tasks of a database driver: one test for each rule of ``glancecore.ports.task_repository``.

class TestMine(TaskConformance):
    @pytest.fixture
    def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.domain.image import Status
from glancecore.domain.lease import Operation
from glancecore.domain.staged import Digests, ImportCheckpoint, Importing, InspectionVerdict, Staged
from glancecore.domain.task import KEPT, Copy, CopyState, Progress, Task, TaskStatus, TaskType
from glancecore.ports.repository import Database, ImageAdded, ImageChanged, LeaseEnded, LeaseTaken
from glancecore.ports.task_repository import TaskAdded, TaskChanged, TaskQuery, TaskSort
from glancecore.testing.examples import after, make_image, make_lease, saved
from glancecore.testing.repository import TEXTS, race

STAGED = Staged(
    "staging",
    "key",
    "file:///staging/key",
    Digests(5, "m", "sha512", "h", 9),
    original=False,
    arrived={"md5": "n"},
    worked=ImportCheckpoint(("unpack",), ("raw", None), (("x", "y"), ("z", None))),
)
P, R, S, F = TaskStatus.PENDING, TaskStatus.PROCESSING, TaskStatus.SUCCESS, TaskStatus.FAILURE


def make_task(second: float = 0, **fields: Any) -> Task:
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "type": TaskType.API_IMAGE_IMPORT,
        "created_at": after(second),
        "updated_at": after(second),
        "owner": "ours",
        **fields,
    }
    return Task(**given)


def ended(task: Task, second: float) -> Task:
    return replace(task.succeed(after(second), {}), version=task.version + 1)


class TaskConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give the kit a synced and empty database")

    def test_a_task_is_read_as_it_was_added(self, database: Database) -> None:
        progress = Progress(
            "write:fast", 7, 10, (Copy("fast", CopyState.WRITING, 7), Copy("slow", CopyState.FAILED, 0, "it is full"))
        )
        task = make_task(
            1.25,
            image_id=str(uuid.uuid4()),
            user_id="u",
            request_id="req-1",
            input={"import_req": {"method": {"name": "x"}}},
            result={"a": 1},
            message="Copied 7 MiB",
            error="fetch_failed",
            expires_at=after(9),
            progress=progress,
            cancelled=True,
            secrets={"token": "t"},
            status=R,
            kept=STAGED,
            kept_until=after(8),
            trace={"traceparent": f"00-{'4b' * 16}-{'7a' * 8}-01", "tracestate": "a=b"},
        )
        database.images.commit(TaskAdded(task))
        assert database.tasks.get(task.id) == task

    def test_a_task_with_defaults_is_read_as_it_was_added(self, database: Database) -> None:
        task = make_task(owner=None)
        database.images.commit(TaskAdded(task))
        assert database.tasks.get(task.id) == task

    @pytest.mark.parametrize("text", TEXTS)
    def test_any_text_is_kept(self, database: Database, text: str) -> None:
        task = make_task(message=text, input={"name": text})
        database.images.commit(TaskAdded(task))
        assert database.tasks.get(task.id) == task

    def test_an_unknown_task_is_not_found(self, database: Database) -> None:
        with pytest.raises(errors.TaskNotFound):
            database.tasks.get(str(uuid.uuid4()))
        task = make_task()
        with pytest.raises(errors.TaskNotFound):
            database.images.commit(TaskChanged(task, replace(task, version=2)))

    def test_an_id_is_used_once(self, database: Database) -> None:
        task = make_task()
        database.images.commit(TaskAdded(task))
        with pytest.raises(errors.TaskExists):
            database.images.commit(TaskAdded(replace(task, message="other")))
        assert database.tasks.get(task.id) == task

    def test_a_change_replaces_the_task(self, database: Database) -> None:
        task = make_task()
        database.images.commit(TaskAdded(task))
        changed = replace(
            task,
            version=2,
            status=R,
            updated_at=after(5),
            message="x",
            cancelled=True,
            error="e",
            progress=Progress("fetch", 3, None, (Copy("fast"),)),
        )
        database.images.commit(TaskChanged(task, changed))
        assert database.tasks.get(task.id) == changed

    def test_a_stale_change_is_refused(self, database: Database) -> None:
        task = make_task()
        database.images.commit(TaskAdded(task), TaskChanged(task, replace(task, version=2, message="first")))
        with pytest.raises(errors.ConcurrentChange):
            database.images.commit(TaskChanged(task, replace(task, version=2, message="second")))
        assert database.tasks.get(task.id).message == "first"

    def test_one_of_many_parallel_changes_wins(self, database: Database) -> None:
        task = make_task()
        database.images.commit(TaskAdded(task))
        told = race(8, lambda n: database.images.commit(TaskChanged(task, replace(task, version=2, message=str(n)))))
        assert [x is None for x in told].count(True) == 1
        assert all(isinstance(x, errors.ConcurrentChange) for x in told if x is not None), told

    @pytest.mark.parametrize(
        "change", [{"version": 3}, {"type": TaskType.IMPORT, "version": 2}, {"created_at": after(9), "version": 2}]
    )
    def test_the_next_version_follows_the_one_before(self, database: Database, change: dict[str, Any]) -> None:
        task = make_task()
        database.images.commit(TaskAdded(task))
        with pytest.raises(ValueError, match="next version"):
            database.images.commit(TaskChanged(task, replace(task, **change)))

    def test_image_lease_and_task_change_together_or_not_at_all(self, database: Database) -> None:
        image = make_image()
        lease = make_lease(image, operation=Operation.IMPORT)
        database.images.commit(ImageAdded(image), LeaseTaken(lease, 60))
        begun = saved(image, status=Status.IMPORTING)
        with pytest.raises(errors.ImageBusy):
            database.images.commit(
                TaskAdded(make_task(image_id=image.id)),
                ImageChanged(image, begun),
                LeaseTaken(make_lease(image, operation=Operation.IMPORT), 60),
            )
        assert database.tasks.of_image(image.id, after(0)) == []
        assert database.images.get(image.id) == image

    # -- lists -------------------------------------------------------------------------------------
    def _varied(self, database: Database) -> list[Task]:
        rows = [
            make_task(
                n // 2,
                status=(P, R, F, P)[n % 4],
                type=TaskType.IMPORT if n % 3 == 0 else TaskType.API_IMAGE_IMPORT,
                owner="ours" if n % 2 else "theirs",
                updated_at=after(20 - n),
            )
            for n in range(9)
        ]
        database.images.commit(*(TaskAdded(x) for x in rows))
        return rows

    @pytest.mark.parametrize(
        "question", [{}, {"owner": "ours"}, {"status": P}, {"type": TaskType.IMPORT}, {"owner": "theirs", "status": F}]
    )
    @pytest.mark.parametrize(
        "sort",
        [
            ((TaskSort.CREATED_AT, True),),
            ((TaskSort.STATUS, False), (TaskSort.UPDATED_AT, True)),
            ((TaskSort.TYPE, True),),
            ((TaskSort.ID, False),),
        ],
    )
    def test_pages_give_each_task_once_in_order(
        self, database: Database, question: dict[str, Any], sort: tuple[tuple[TaskSort, bool], ...]
    ) -> None:
        rows = [x for x in self._varied(database) if all(getattr(x, name) == value for name, value in question.items())]
        for key, descending in reversed([*sort, (TaskSort.ID, sort[-1][1])]):
            rows.sort(key=lambda x: getattr(x, key.value), reverse=descending)
        seen: list[Task] = []
        query = TaskQuery(after(0), sort=sort, limit=2, **question)
        while page := database.tasks.find(query):
            assert len(page) <= 2
            seen += page
            query = replace(query, marker=page[-1].id)
        assert seen == rows

    def test_a_page_of_none_is_empty(self, database: Database) -> None:
        self._varied(database)
        assert database.tasks.find(TaskQuery(after(0), limit=0)) == []

    def test_an_unknown_marker_is_refused(self, database: Database) -> None:
        with pytest.raises(errors.UnknownMarker):
            database.tasks.find(TaskQuery(after(0), marker=str(uuid.uuid4())))

    def test_expired_tasks_are_not_listed_and_can_be_forgotten(self, database: Database) -> None:
        task = make_task(image_id="i")
        done = ended(task, 10)
        assert done.expires_at == after(10) + KEPT
        database.images.commit(TaskAdded(task), TaskChanged(task, done))
        before, then = done.expires_at - timedelta(seconds=1), done.expires_at + timedelta(seconds=1)
        assert database.tasks.find(TaskQuery(before)) == database.tasks.of_image("i", before) == [done]
        assert database.tasks.find(TaskQuery(then)) == database.tasks.of_image("i", then) == []
        assert database.tasks.forget(before) == 0
        assert database.tasks.get(task.id) == done
        assert database.tasks.forget(then) == 1
        assert database.tasks.forget(then) == 0
        with pytest.raises(errors.TaskNotFound):
            database.tasks.get(task.id)

    def test_forgetting_goes_to_its_limit_oldest_first_and_spares_the_unfinished(self, database: Database) -> None:
        rows = [make_task(n) for n in range(4)]
        database.images.commit(
            *(TaskAdded(x) for x in rows), *(TaskChanged(x, ended(x, n)) for n, x in enumerate(rows[:3]))
        )
        assert database.tasks.forget(after(100) + KEPT, 2) == 2
        with pytest.raises(errors.TaskNotFound):
            database.tasks.get(rows[1].id)
        assert database.tasks.forget(after(100) + KEPT) == 1
        assert database.tasks.get(rows[3].id) == rows[3]

    def test_tasks_of_an_image_come_newest_first(self, database: Database) -> None:
        rows = [make_task(n, image_id="one" if n % 2 else "two") for n in range(5)]
        database.images.commit(*(TaskAdded(x) for x in rows))
        assert database.tasks.of_image("one", after(0)) == [rows[3], rows[1]]
        assert database.tasks.of_image("three", after(0)) == []

    # -- nobody's tasks ----------------------------------------------------------------------------
    def test_unfinished_tasks_without_an_import_lease_are_told(self, database: Database) -> None:
        held, other, done = make_image(), make_image(), make_image()
        tasks = [make_task(n, image_id=x.id) for n, x in enumerate((held, other, done))]
        lease = make_lease(held, operation=Operation.IMPORT)
        database.images.commit(
            *(ImageAdded(x) for x in (held, other, done)),
            *(TaskAdded(x) for x in tasks),
            TaskChanged(tasks[2], ended(tasks[2], 1)),
            LeaseTaken(lease, 60),
            LeaseTaken(make_lease(other, operation=Operation.DELETE), 60),
        )
        assert database.tasks.abandoned() == [tasks[1]]
        database.images.commit(LeaseEnded(lease))
        assert database.tasks.abandoned() == [tasks[0], tasks[1]]
        assert database.tasks.abandoned(1) == [tasks[0]]
        database.images.commit(LeaseTaken(make_lease(held, operation=Operation.HASH), 60))
        assert database.tasks.abandoned() == [tasks[1]]

    # -- data that is kept for another attempt -----------------------------------------------------
    def test_kept_data_is_told_when_its_time_is_over_or_its_image_does_not_wait_for_it(
        self, database: Database
    ) -> None:
        waiting, busy = make_image(), make_image(status=Status.ACTIVE)
        late, soon, busys, nobodys = (
            make_task(0, image_id=x, status=F, kept=STAGED, kept_until=after(y))
            for x, y in ((waiting.id, 90), (waiting.id, 50), (busy.id, 70), (str(uuid.uuid4()), 60))
        )
        plain = make_task(0, image_id=busy.id, status=F)
        database.images.commit(
            ImageAdded(waiting), ImageAdded(busy), *(TaskAdded(x) for x in (late, soon, busys, nobodys, plain))
        )
        assert database.tasks.outlived(after(49)) == [nobodys, busys]
        assert database.tasks.outlived(after(50)) == [soon, nobodys, busys]
        assert database.tasks.outlived(after(50), 1) == [soon]
        database.images.commit(TaskChanged(soon, replace(soon.emptied(), version=2)))
        assert database.tasks.outlived(after(95)) == [nobodys, busys, late]

    def test_a_task_that_keeps_data_is_not_forgotten(self, database: Database) -> None:
        keeping, other = (
            make_task(0, status=F, expires_at=after(5), kept=STAGED if x else None, kept_until=after(4) if x else None)
            for x in (1, 0)
        )
        database.images.commit(TaskAdded(keeping), TaskAdded(other))
        assert database.tasks.forget(after(9)) == 1
        assert database.tasks.get(keeping.id) == keeping

    # -- what an import keeps with its image -------------------------------------------------------
    def test_the_import_state_of_an_image_is_kept(self, database: Database) -> None:
        staged = replace(STAGED, verdict=InspectionVerdict("unsafe_content", 'it is "bad" 😀'))
        image = make_image(
            staged=staged, importing=Importing("task", ("a", "b"), ("c",), ("raw", None), (("x", None), ("y", "z")))
        )
        database.images.commit(ImageAdded(image))
        assert database.images.get(image.id) == image
        later = saved(image, staged=replace(staged, verdict=None), importing=Importing(), unproved=True)
        database.images.commit(ImageChanged(image, later))
        assert database.images.get(image.id) == later
        last = saved(later, staged=None, importing=None)
        assert last.unproved
        database.images.commit(ImageChanged(later, last))
        assert database.images.get(image.id) == last
