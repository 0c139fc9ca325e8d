"""The process for imports, from both ends of its pipe: what it is told, when it ends, and what happens when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from waiting import until

from glancecore.domain import errors
from glancecore.features.imports.dispatch.import_worker import ImportWorkerLoop
from glancecore.features.imports.dispatch.process import ImportProcess

#: A process that notes what it is told, and answers what a ImportWorkerLoop would once the file `idle` exists.
CHILD = """
import os, pathlib, select, sys
folder, seen = pathlib.Path(sys.argv[1]), 0
(folder / "pids").open("a").write(f"{os.getpid()}\\n")
while True:
    ready = select.select([sys.stdin], [], [], 0.02)[0]
    if ready:
        lines = os.read(0, 1 << 16).decode()
        if not lines:
            break
        seen += lines.count("\\n")
        (folder / "told").open("a").write(lines)
    elif (folder / "idle").exists():
        print(f"idle {(folder / 'idle').read_text() or seen}", flush=True)
(folder / "ended").touch()
"""


class Child:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = ImportProcess([sys.executable, "-c", CHILD, str(folder)])

    def lines(self, name: str) -> list[str]:
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    @property
    def pids(self) -> list[int]:
        return [int(x) for x in self.lines("pids")]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    made = Child(tmp_path)
    yield made
    made.process.close()


def test_it_begins_with_the_first_import_and_ends_with_its_parent(child: Child) -> None:
    assert child.pids == []
    for number in range(3):
        child.process.post(f"task-{number}", "p")
    until(lambda: child.lines("told") == ["task-0 p", "task-1 p", "task-2 p"])
    assert len(child.pids) == 1
    child.process.close()
    assert (child.folder / "ended").exists()
    with pytest.raises(errors.StoreUnavailable):
        child.process.post("late", "p")
    assert len(child.pids) == 1


def test_one_that_is_idle_ends_and_the_next_import_has_another(child: Child) -> None:
    child.process.post("first", "p")
    until(lambda: child.lines("told"))
    (child.folder / "idle").touch()
    until((child.folder / "ended").exists)
    (child.folder / "idle").unlink()
    child.process.post("second", "p")
    until(lambda: child.lines("told") == ["first p", "second p"])
    assert len(child.pids) == 2


def test_one_that_has_not_read_all_is_not_ended(child: Child) -> None:
    (child.folder / "idle").write_text("1")
    child.process.post("first", "p")
    child.process.post("second", "p")
    until(lambda: len(child.lines("told")) == 2)
    time.sleep(0.2)
    assert not (child.folder / "ended").exists()


def test_one_that_was_killed_is_replaced(child: Child, caplog: pytest.LogCaptureFixture) -> None:
    child.process.post("first", "p")
    until(lambda: child.lines("told"))
    os.kill(child.pids[0], signal.SIGKILL)
    until(lambda: "SIGKILL" in caplog.text)
    child.process.post("second", "p")
    until(lambda: child.lines("told") == ["first p", "second p"])


def test_one_that_dies_at_once_costs_no_request_its_answer(tmp_path: Path) -> None:
    """What is posted to it is lost with it, or refused: a reaper finds the import either way."""
    process = ImportProcess([sys.executable, "-c", ""])
    for number in range(20):
        with contextlib.suppress(errors.StoreUnavailable):
            process.post(f"task-{number}", "p")
        time.sleep(0.01)
    process.close()


def test_a_command_that_is_not_there_is_said_so() -> None:
    process = ImportProcess(["/nowhere/python"])
    with pytest.raises(errors.StoreUnavailable, match="can't be started"):
        process.post("task", "p")
    process.close()


# -- inside ----------------------------------------------------------------------------------------
class Runner:
    """Runs until it may end."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.go_on = threading.Event()
        self.stopped = False

    def may_take(self, task_id: str) -> bool:
        return not task_id.startswith("elsewhere")

    def take(self, task_id: str) -> None:
        self.taken.append(task_id)
        if task_id == "broken":
            raise RuntimeError("this one can't be run")
        self.go_on.wait(10)

    def stop(self) -> None:
        self.stopped = True
        self.go_on.set()


class Fed:
    def __init__(self, workers: int, idle: float) -> None:
        self.runner = Runner()
        self.feed = ImportWorkerLoop(self.runner, workers, 2, idle)
        source, to = os.pipe()
        answers, back = os.pipe()
        self.source, self.to = os.fdopen(source, "rb"), os.fdopen(to, "wb", buffering=0)
        self.answers, self.back = os.fdopen(answers, "rb"), os.fdopen(back, "wb")
        self.thread = threading.Thread(target=self.feed.run, args=(self.source, self.back), daemon=True)
        self.thread.start()

    def close(self) -> None:
        for file in (self.to, self.source, self.answers, self.back):
            if not file.closed:
                file.close()


@pytest.fixture
def fed() -> Iterator[Fed]:
    made = Fed(2, 0.2)
    yield made
    made.runner.go_on.set()
    made.to.close()
    made.thread.join(10)
    made.close()


def line(of: BinaryIO) -> str:
    return of.readline().decode()


def test_a_few_run_at_once_and_none_twice(fed: Fed) -> None:
    fed.to.write(b"a\nb\nc\na\nb")
    until(lambda: len(fed.runner.taken) == 2)
    fed.to.write(b"\nc\n")
    time.sleep(0.1)
    assert fed.runner.taken == ["a", "b"]
    fed.runner.go_on.set()
    assert line(fed.answers) == "idle 6\n"
    assert fed.runner.taken == ["a", "b", "c"]
    fed.to.write(b"a\n")  # once it has ended, it may come again
    assert line(fed.answers) == "idle 7\n"
    assert fed.runner.taken == ["a", "b", "c", "a"]


def test_one_that_can_not_be_run_keeps_nobody_from_running(fed: Fed) -> None:
    fed.runner.go_on.set()
    fed.to.write(b"broken\nbroken\na\n")
    assert line(fed.answers) == "idle 3\n"
    assert fed.runner.taken[-1] == "a"


def test_a_project_has_its_share_of_the_workers_and_no_more() -> None:
    made = Fed(4, 0.2)
    made.to.write(b"a1 a\na2 a\na3 a\nb1 b\n")
    until(lambda: sorted(made.runner.taken) == ["a1", "a2", "b1"])
    time.sleep(0.1)
    assert "a3" not in made.runner.taken, "there is a worker, but not for this project"
    made.runner.go_on.set()
    assert line(made.answers) == "idle 4\n"
    made.to.close()
    made.thread.join(10)
    made.close()


def test_what_runs_elsewhere_by_now_is_left_there(fed: Fed) -> None:
    fed.runner.go_on.set()
    fed.to.write(b"elsewhere\na\n")
    assert line(fed.answers) == "idle 2\n"
    assert fed.runner.taken == ["a"]


@pytest.mark.parametrize("how", ["its parent is gone", "a signal"])
def test_at_its_end_all_is_handed_over(fed: Fed, how: str) -> None:
    """``take`` hands over what it is given, once the runner is stopped."""
    fed.to.write(b"a\nb\nc\n")
    until(lambda: len(fed.runner.taken) == 2)
    if how == "a signal":
        fed.feed.end()
    else:
        fed.to.close()
    fed.thread.join(10)
    assert not fed.thread.is_alive()
    assert fed.runner.stopped
    assert fed.runner.taken == ["a", "b", "c"]
