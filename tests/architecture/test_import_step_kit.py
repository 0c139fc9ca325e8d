"""The kit for import steps can fail: each saboteur breaks one rule, and the test of that rule tells. The step of the
documentation passes it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore.testing.examples import make_image
from glancecore.testing.import_step import Bench, ImportStepConformance, make_step

Kit = ImportStepConformance


class ChecksumStep(ImportStep):
    """Record the SHA-256 of the staged file as the property ``sha256``."""

    def run(self, work: ImportWork) -> None:
        digest = hashlib.sha256()
        with work.staged.open("rb") as src:
            work.check_alive()
            while chunk := src.read(1 << 20):
                work.check_alive()
                digest.update(chunk)
        work.set_properties(sha256=digest.hexdigest())

    def undo(self, work: ImportWork) -> None:
        work.remove_properties("sha256")


class TestChecksumStep(ImportStepConformance):
    @pytest.fixture
    def step(self) -> ChecksumStep:
        return make_step(ChecksumStep)


class InPlace(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        super().run(work)
        work.staged.chmod(0o600)
        work.staged.write_bytes(b"other")


class DropsOthers(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        super().run(work)
        work.remove_properties("mine")


class ChangesSilently(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        super().run(work)
        out = work.scratch / "out"
        out.write_bytes(work.staged.read_bytes())
        work.replace(out)


class Counts(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        super().run(work)
        work.set_properties(runs=str(int(work.image.properties.get("runs") or 0) + 1))


class NeverUndoes(ChecksumStep):
    def undo(self, work: ImportWork) -> None:
        pass


class UndoesTooMuch(ChecksumStep):
    def undo(self, work: ImportWork) -> None:
        work.remove_properties(*work.image.properties)


class Deaf(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        work.set_properties(sha256=hashlib.sha256(work.staged.read_bytes()).hexdigest())


class Swallows(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        try:
            super().run(work)
        except errors.ImportCancelled:
            work.set_properties(sha256="")


class ShowsPaths(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        super().run(work)
        if len(work.staged.read_bytes()) < 10:
            raise errors.StepFailed(f"{work.staged} is too short")


class Crashes(ChecksumStep):
    def run(self, work: ImportWork) -> None:
        super().run(work)
        if not work.staged.read_bytes():
            raise IndexError("first byte")


class OneAtATime(ChecksumStep):
    _running: Any = None

    def run(self, work: ImportWork) -> None:
        import time

        self._running = work
        time.sleep(0.05)
        self._running.set_properties(sha256="x" if self._running is work else "y")
        super().run(self._running)


class OutsideOfScratch(ChecksumStep):
    changes_data = True

    def run(self, work: ImportWork) -> None:
        super().run(work)
        out = work.scratch.parent / "out"
        out.write_bytes(b"x")
        work.replace(out)


class MakesFirst(ChecksumStep):
    """Room is asked for when all is written."""

    changes_data = True

    def run(self, work: ImportWork) -> None:
        super().run(work)
        out = work.scratch / "out"
        out.write_bytes(os.urandom(8 << 20))
        work.replace(out)


@pytest.mark.parametrize(
    ("saboteur", "test", "arguments"),
    [
        (MakesFirst, Kit.test_it_asks_for_room_before_it_writes, ()),
        (InPlace, Kit.test_it_keeps_what_is_not_its_own, ()),
        (DropsOthers, Kit.test_it_keeps_what_is_not_its_own, ()),
        (ChangesSilently, Kit.test_only_a_step_that_says_so_changes_the_data, ()),
        (Counts, Kit.test_it_may_run_again, ()),
        (NeverUndoes, Kit.test_undo_takes_everything_back, ()),
        (UndoesTooMuch, Kit.test_undo_may_come_early_and_often, ()),
        (Deaf, Kit.test_it_stops_when_it_is_told_to, ()),
        (Deaf, Kit.test_it_says_often_that_it_lives, ()),
        (Swallows, Kit.test_it_stops_when_it_is_told_to, ()),
        (ShowsPaths, Kit.test_strange_data_is_taken_or_refused_with_a_sentence, (b"",)),
        (Crashes, Kit.test_strange_data_is_taken_or_refused_with_a_sentence, (b"",)),
        (OneAtATime, Kit.test_two_images_at_once, ()),
        (OutsideOfScratch, Kit.test_it_keeps_what_is_not_its_own, ()),
    ],
)
def test_the_kit_catches(
    saboteur: type[ImportStep], test: Callable[..., None], arguments: tuple[object, ...], tmp_path: Path
) -> None:
    count = 0

    def bench(data: bytes | None = None, **more: Any) -> Bench:
        nonlocal count
        count += 1
        return Bench(
            tmp_path / str(count),
            Kit.good if data is None else data,
            make_image(properties={"mine": "kept"}, **Kit.image),
            **more,
        )

    with pytest.raises(BaseException) as told:
        test(Kit(), make_step(saboteur), bench, *arguments)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | IndexError), told.value
