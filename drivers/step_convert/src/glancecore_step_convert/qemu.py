"""Running qemu-img under limits: it parses what strangers send."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_concurrency import processutils

from glancecore.domain import errors

#: What qemu calls the formats that images are declared to be. An ISO is for booting as a CD: it stays one.
NAMES = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vdi": "vdi",
    "ploop": "parallels",
}
#: Seconds between two looks at a running conversion.
POLL_INTERVAL = 0.2
#: Limits of ``qemu-img info``, which reads headers only.
INFO_CPU, INFO_MEMORY, INFO_SECONDS = 30, 1 << 30, 60


@dataclass(frozen=True, slots=True)
class Limits:
    cpu: float
    seconds: float
    memory: int
    output: int


@dataclass(frozen=True, slots=True)
class Info:
    """What qemu-img says of a disk. ``virtual_size`` in bytes."""

    format: str
    virtual_size: int
    create_type: str | None


def info(program: str, path: Path, name: str) -> Info:
    """Raises ConversionFailed for data that names other files, or is none of this format."""
    limits = processutils.ProcessLimits(cpu_time=INFO_CPU, address_space=INFO_MEMORY)
    try:
        out, _ = processutils.execute(
            program,
            "info",
            "--output=json",
            "-f",
            name,
            str(path),
            prlimit=limits,
            timeout=INFO_SECONDS,
            log_errors=processutils.LOG_ALL_ERRORS,
            env_variables={**os.environ, "LC_ALL": "C"},
        )
        found: dict[str, Any] = json.loads(out)
    except (processutils.ProcessExecutionError, subprocess.TimeoutExpired, OSError, ValueError) as exc:
        raise errors.ConversionFailed("the data can't be read as what disk_format says") from exc
    details = found.get("format-specific", {}).get("data", {})
    if any(found.get(x) for x in ("backing-filename", "full-backing-filename", "backing-filename-format")):
        raise errors.ConversionFailed("the disk has a backing file, which is not taken")
    if details.get("data-file") or details.get("data-file-raw"):
        raise errors.ConversionFailed("the disk has an external data file, which is not taken")
    if any(x.get("filename") not in (None, str(path)) for x in details.get("extents", ())):
        raise errors.ConversionFailed("the disk has parts in other files, which are not taken")
    if details.get("encrypted") or found.get("encrypted"):
        raise errors.ConversionFailed("the disk is encrypted and can't be converted")
    return Info(str(found.get("format")), int(found.get("virtual-size", 0)), details.get("create-type"))


def convert(
    program: str,
    source: Path,
    source_format: str,
    target: Path,
    target_format: str,
    limits: Limits,
    look: Callable[[int], None],
) -> None:
    """``look`` is called every ``POLL_INTERVAL`` seconds with the bytes written; what it raises ends the program.
    Raises ConversionFailed."""
    prlimit = processutils.ProcessLimits(cpu_time=int(limits.cpu), address_space=limits.memory, file_size=limits.output)
    words: Sequence[str] = [program, "convert", "-f", source_format, "-O", target_format, str(source), str(target)]
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(  # noqa: S603 (no shell; the words are ours)
            [*_limited(prlimit), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        try:
            _wait(process, target, limits, look)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode:
            raise errors.ConversionFailed(_reason(process.returncode, target, limits))


def _limited(limits: processutils.ProcessLimits) -> list[str]:
    """oslo.concurrency's own wrapper, which sets the limits and then becomes the program."""
    return [sys.executable, "-m", "oslo_concurrency.prlimit", *limits.prlimit_args(), "--"]


def _wait(process: subprocess.Popen[bytes], target: Path, limits: Limits, look: Callable[[int], None]) -> None:
    end = time.monotonic() + limits.seconds
    while True:
        try:
            process.wait(POLL_INTERVAL)
        except subprocess.TimeoutExpired:
            look(_written(target))
            if time.monotonic() > end:
                raise errors.ConversionFailed(f"the conversion took longer than {limits.seconds:g} seconds") from None
        else:
            return


def _written(target: Path) -> int:
    try:
        return target.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _reason(code: int, target: Path, limits: Limits) -> str:
    number = -code if code < 0 else code - 128
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return f"the conversion took more than {limits.cpu:g} seconds of processor time, or was ended"
    if number == signal.SIGXFSZ or (target.exists() and target.stat().st_size >= limits.output):
        return f"the converted disk would be larger than {limits.output} bytes"
    return "the disk could not be converted: it is damaged, or too large when converted"
