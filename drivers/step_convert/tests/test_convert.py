"""The kit's rules, conversions by the real qemu-img, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from glancecore_step_convert.driver import Convert

from glancecore.domain import errors
from glancecore.testing.examples import make_image
from glancecore.testing.import_step import Bench, ImportStepConformance, make_step

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "images"))

import samples


class TestConvert(ImportStepConformance):
    good = samples.path("qcow2").read_bytes()
    image = {"disk_format": "qcow2", "container_format": "bare"}

    @pytest.fixture
    def step(self) -> Convert:
        return make_step(Convert)

    def test_it_may_run_again(self, step: Convert, bench: object) -> None:  # type: ignore[override]
        """After the first time the image is raw, and there is nothing to do."""
        work = bench()  # type: ignore[operator]
        step.run(work)
        after = work.data
        work.clean()
        step.run(work)
        assert (work.data, work.image.disk_format) == (after, "raw")


def run(tmp_path: Path, name: str, disk_format: str, **options: object) -> Bench:
    work = Bench(
        tmp_path, samples.path(name).read_bytes(), make_image(disk_format=disk_format, container_format="bare")
    )
    make_step(Convert, **options).run(work)
    return work


@pytest.mark.parametrize("source", ["qcow2", "vmdk", "vhd", "vhdx", "vdi"])
@pytest.mark.parametrize("target", ["raw", "qcow2", "vmdk"])
def test_it_becomes_what_the_operator_wants(tmp_path: Path, source: str, target: str) -> None:
    work = run(tmp_path, source, source, output_format=target)
    assert work.image.disk_format == target
    told = json.loads(
        subprocess.run(["qemu-img", "info", "--output=json", work.staged], capture_output=True, check=True).stdout
    )
    assert told["format"] == target
    same = subprocess.run(["qemu-img", "compare", samples.path(source), work.staged], capture_output=True, check=False)
    assert same.returncode == 0, same.stdout


@pytest.mark.parametrize(
    ("name", "disk_format"),
    [
        ("qcow2-backing-file", "qcow2"),
        ("qcow2-data-file", "qcow2"),
        ("vmdk-flat", "vmdk"),
        ("vmdk", "qcow2"),
        ("qcow2", "vmdk"),
    ],
)
def test_what_names_other_files_or_is_something_else_is_refused(tmp_path: Path, name: str, disk_format: str) -> None:
    """The inspection has refused these before; the step does not rely on it."""
    with pytest.raises(errors.ConversionFailed):
        run(tmp_path, name, disk_format)


@pytest.mark.parametrize(
    ("disk_format", "container"), [("aki", "bare"), ("iso", "bare"), ("qcow2", "ova"), ("raw", "bare")]
)
def test_what_is_no_disk_stays(tmp_path: Path, disk_format: str, container: str) -> None:
    data = samples.path("qcow2").read_bytes()
    work = Bench(tmp_path, data, make_image(disk_format=disk_format, container_format=container))
    make_step(Convert).run(work)
    assert (work.data, work.image.disk_format) == (data, disk_format)


def test_a_disk_larger_than_allowed_is_refused_before_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(errors.ConversionFailed, match="more than"):
        run(tmp_path, "qcow2", "qcow2", max_bytes=1 << 20)


def test_a_cancelled_conversion_ends_the_program(tmp_path: Path) -> None:
    slow = tmp_path / "slow.sh"
    slow.write_text('#!/bin/sh\nif [ $1 = info ]; then exec qemu-img "$@"; fi\necho $$ > $0.pid\nexec sleep 60\n')
    slow.chmod(0o755)
    work = Bench(
        tmp_path / "w",
        samples.path("qcow2").read_bytes(),
        make_image(disk_format="qcow2", container_format="bare"),
        stop_after=2,
    )
    with pytest.raises(errors.ImportCancelled):
        make_step(Convert, qemu_img=str(slow)).run(work)
    pid = int(Path(f"{slow}.pid").read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_a_conversion_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    slow = tmp_path / "slow.sh"
    slow.write_text('#!/bin/sh\nif [ $1 = info ]; then exec qemu-img "$@"; fi\nexec sleep 60\n')
    slow.chmod(0o755)
    with pytest.raises(errors.ConversionFailed, match="longer than 1 s"):
        run(tmp_path / "w", "qcow2", "qcow2", qemu_img=str(slow), max_seconds=1)


def test_processor_time_and_output_are_limited(tmp_path: Path) -> None:
    busy = tmp_path / "busy.sh"
    busy.write_text('#!/bin/sh\nif [ $1 = info ]; then exec qemu-img "$@"; fi\nwhile :; do :; done\n')
    busy.chmod(0o755)
    with pytest.raises(errors.ConversionFailed, match="processor time"):
        run(tmp_path / "w", "qcow2", "qcow2", qemu_img=str(busy), max_cpu_seconds=1)
    writer = tmp_path / "writer.sh"
    writer.write_text(
        '#!/bin/sh\nif [ $1 = info ]; then exec qemu-img "$@"; fi\nshift 6; exec dd if=/dev/zero of=$1 bs=1M\n'
    )
    writer.chmod(0o755)
    with pytest.raises(errors.ConversionFailed, match=f"larger than {64 << 20}"):
        run(tmp_path / "v", "qcow2", "qcow2", qemu_img=str(writer), max_bytes=64 << 20)


def test_a_missing_program_stops_the_start() -> None:
    with pytest.raises(errors.ConfigError, match="qemu-utils"):
        make_step(Convert, qemu_img="no-such-program")
