"""The conformance kit for import steps: one test for each rule of ``glancecore.ports.import_step``.

    class TestMine(ImportStepConformance):
        @pytest.fixture
        def step(self): ...         # a started step, from make_step
        good = b"data that it works on"

What the step does to good data is the driver's own test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from oslo_config import cfg

from glancecore.domain import errors, fields
from glancecore.domain.image import Image
from glancecore.ports.import_method import MethodRequest
from glancecore.ports.import_step import ImportStep
from glancecore.testing.examples import make_image

AnyStep = TypeVar("AnyStep", bound=ImportStep)
#: Most bytes that may be read or made between two calls of check_alive or progress.
MOST_UNCHECKED = 32 << 20
#: Most bytes that may be made before room for them is asked for.
MOST_UNRESERVED = 4 << 20


def make_step(cls: type[AnyStep], **options: Any) -> AnyStep:
    """A started step of ``cls`` whose section holds ``options``, and nothing that the driver did not declare."""
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.IntOpt("image_size_cap", default=1 << 40)])
    name = cls.section or "step"
    conf.register_group(cfg.OptGroup(name))
    conf.register_opts(list(cls.options), group=name)
    conf([])
    for option, value in options.items():
        conf.set_override(option, value, group=None if option == "image_size_cap" else name)
    step = cls(conf[name], conf)
    step.start()
    return step


class Bench:
    """An ``ImportWork`` on one file in a folder. ``stop_after``: the call of check_alive, progress or reserve that
    raises; ``room``: most bytes that may be reserved."""

    def __init__(
        self,
        folder: Path,
        data: bytes,
        image: Image | None = None,
        *,
        roles: Sequence[str] = ("member",),
        stop_after: int | None = None,
        room: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "staged"
        self._file.write_bytes(data)
        self._scratch = folder / "scratch"
        self._scratch.mkdir(exist_ok=True)
        self.image = image or make_image(disk_format="raw", container_format="bare", properties={"mine": "kept"})
        self.request = MethodRequest({"name": "web-download"}, tuple(roles))
        self.calls = 0
        self._stop_after = stop_after
        self._room = room
        self.reserved = 0
        self.replaced: list[bytes] = []
        self._read_only()

    def _read_only(self) -> None:
        self._file.chmod(0o400)

    @property
    def staged(self) -> Path:
        return self._file

    @property
    def scratch(self) -> Path:
        return self._scratch

    def check_alive(self) -> None:
        self.calls += 1
        if self._stop_after is not None and self.calls > self._stop_after:
            raise errors.ImportCancelled("the import was cancelled")

    def progress(self, bytes: int, total: int | None = None) -> None:  # noqa: A002 (the port's name)
        assert bytes >= 0, "progress counts from 0"
        assert total is None or bytes <= total, "more than all"
        self.check_alive()

    def reserve(self, size: int) -> None:
        self.check_alive()
        if self._room is not None and size > self._room:
            raise errors.QuotaExceeded(f"there is room for {self._room} bytes")
        self.reserved = max(self.reserved, size)

    def replace(self, path: Path) -> None:
        assert path.parent == self._scratch, "made outside of scratch"
        assert path.is_file(), "replaced by something that is no file"
        assert not path.is_symlink(), "replaced by a link"
        self.reserve(path.stat().st_size)
        self.replaced.append(path.read_bytes())
        self._file.chmod(0o600)
        path.replace(self._file)
        self._read_only()

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        self.image = replace(
            self.image,
            disk_format=disk_format or self.image.disk_format,
            container_format=container_format or self.image.container_format,
        )

    def set_properties(self, **properties: str) -> None:
        for name, value in properties.items():
            assert not fields.is_base(name), f"{name} is no property"
            assert not fields.is_reserved(name), f"{name} is reserved"
            assert isinstance(value, str), f"{name} is no text"
        self.image = replace(self.image, properties={**self.image.properties, **properties})

    def remove_properties(self, *names: str) -> None:
        self.image = replace(self.image, properties={k: v for k, v in self.image.properties.items() if k not in names})

    @property
    def data(self) -> bytes:
        return self._file.read_bytes()

    def clean(self) -> None:
        """As the engine does when the step has ended."""
        for inner in self._scratch.iterdir():
            inner.unlink()


Make = Callable[..., Bench]


class ImportStepConformance:
    """``good``: data that the step works on; ``image``: what it is declared to be."""

    good: ClassVar[bytes] = b"some data" * 1000
    image: ClassVar[dict[str, Any]] = {"disk_format": "raw", "container_format": "bare"}
    #: Does the step read or make the data? One that only looks at the image need not call check_alive.
    reads = True

    @pytest.fixture
    def step(self) -> ImportStep:
        raise NotImplementedError("give the kit a started step")

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Make:
        count = 0

        def make(data: bytes | None = None, **more: Any) -> Bench:
            nonlocal count
            count += 1
            return Bench(
                tmp_path / str(count),
                self.good if data is None else data,
                make_image(properties={"mine": "kept"}, **self.image),
                **more,
            )

        return make

    def test_it_keeps_what_is_not_its_own(self, step: ImportStep, bench: Make) -> None:
        work = bench()
        step.run(work)
        assert work.image.properties.get("mine") == "kept"
        if not work.replaced:
            assert work.data == self.good, "the staged file was changed in place"

    def test_only_a_step_that_says_so_changes_the_data(self, step: ImportStep, bench: Make) -> None:
        work = bench()
        step.run(work)
        assert step.changes_data or not work.replaced, "it replaces data: set changes_data"

    def test_it_may_run_again(self, step: ImportStep, bench: Make) -> None:
        """The process may die in it, or after it and before that was noted."""
        once, twice = bench(), bench()
        step.run(once)
        step.run(twice)
        twice.clean()
        step.run(twice)
        assert twice.data == once.data
        assert twice.image.properties == once.image.properties

    def test_undo_takes_everything_back(self, step: ImportStep, bench: Make) -> None:
        work = bench()
        before = work.image.properties
        step.run(work)
        work.clean()
        step.undo(work)
        assert work.image.properties == before

    def test_undo_may_come_early_and_often(self, step: ImportStep, bench: Make) -> None:
        work = bench()
        before = work.image.properties
        step.undo(work)
        step.undo(work)
        assert work.image.properties == before
        assert work.data == self.good

    def test_it_stops_when_it_is_told_to(self, step: ImportStep, bench: Make) -> None:
        if not self.reads:
            return
        work = bench(stop_after=0)
        with pytest.raises(errors.ImportCancelled):
            step.run(work)
        step.undo(work)
        assert work.image.properties == {"mine": "kept"}
        assert work.data == self.good

    def test_it_says_often_that_it_lives(self, step: ImportStep, bench: Make) -> None:
        if not self.reads:
            return
        work = bench()
        step.run(work)
        assert work.calls >= max(1, len(self.good) // MOST_UNCHECKED), "call check_alive at least once a second"

    def test_it_asks_for_room_before_it_writes(self, step: ImportStep, bench: Make) -> None:
        """``reserve``, as it goes: what a project may not have is not written first."""
        whole = bench()
        step.run(whole)
        if not whole.replaced:
            return
        work = bench(room=0)
        with pytest.raises(errors.QuotaExceeded):
            step.run(work)
        written = sum(x.stat().st_blocks * 512 for x in work.scratch.iterdir())
        assert written <= MOST_UNRESERVED, f"{written} bytes were written before it asked for room: call reserve"
        assert not work.replaced

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x00",
            os.urandom(5000),
            b"QFI\xfb" + bytes(600),
            b"\x1f\x8b\x08junk",
            b"PK\x03\x04junk",
            b"\xfd7zXZ\x00junk",
            b"\x28\xb5\x2f\xfdjunk",
        ],
    )
    def test_strange_data_is_taken_or_refused_with_a_sentence(self, step: ImportStep, bench: Make, data: bytes) -> None:
        work = bench(data)
        try:
            step.run(work)
        except errors.GlanceError as exc:
            text = str(exc)
            assert text, "an error needs a sentence"
            assert "/" not in text.replace("and/or", ""), f"the sentence names a path: {text}"
            assert work.data == data, "the staged file was changed in place"

    def test_two_images_at_once(self, step: ImportStep, bench: Make) -> None:
        from concurrent.futures import ThreadPoolExecutor

        works = [bench() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(step.run, works))
        assert len({x.data for x in works}) == 1
        assert len({tuple(sorted(x.image.properties.items())) for x in works}) == 1
