"""Real images of every format, and malicious ones, by name: ``path("qcow2")``.

Made by qemu-img or taken from Debian packages, kept in ``$LAB_DIR/images``. ``SAMPLES`` says what each one is.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lab

FOLDER = lab.LAB / "images"
MIB = 1 << 20
SIZE = 4 * MIB


@dataclass(frozen=True)
class Sample:
    """``disk_format``: what it is honestly declared as. ``danger``: why it must be refused; empty for a good image."""

    name: str
    disk_format: str
    make: Callable[[Path], None]
    virtual_size: int = SIZE
    danger: str = ""


def path(name: str) -> Path:
    """The file; made at the first call."""
    sample, file = SAMPLES[name], FOLDER / f"{name}.img"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = FOLDER / f"{name}.{os.getpid()}.part"
        try:
            sample.make(part)
            part.rename(file)
        finally:
            part.unlink(missing_ok=True)
    return file


def qemu_img(*args: str | Path) -> None:
    if shutil.which("qemu-img") is None:
        lab.need("qemu-utils")
    for _ in range(20):
        done = subprocess.run(
            ["qemu-img", *args], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        # it times its key derivation, and gives up where that took less than a tick of the kernel's clock
        if "Unable to get accurate CPU usage" not in done.stderr:
            break
    if done.returncode:
        raise RuntimeError(f"qemu-img {' '.join(map(str, args))}: {done.stderr}")


def _raw(file: Path) -> None:
    """No magic of any format at its start, and not compressible."""
    file.write_bytes(b"\x01" * 512 + random.Random(7).randbytes(SIZE - 512))


def _converted(kind: str, *options: str) -> Callable[[Path], None]:
    return lambda file: qemu_img("convert", "-f", "raw", "-O", kind, *options, path("raw"), file)


def _luks(file: Path) -> None:
    qemu_img(
        "create",
        "-f",
        "luks",
        "--object",
        "secret,id=s,data=secret",
        "-o",
        "key-secret=s,iter-time=10",
        file,
        str(SIZE),
    )


def _packaged(package: str, source: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        if not Path(source).exists():
            lab.need(package)
        shutil.copy(source, file)

    return make


def _edited(name: str, *edits: tuple[int, bytes]) -> Callable[[Path], None]:
    """A copy of another sample with some bytes replaced: (offset, bytes)."""

    def make(file: Path) -> None:
        data = bytearray(path(name).read_bytes())
        for offset, new in edits:
            data[offset : offset + len(new)] = new
        file.write_bytes(data)

    return make


def _backed(file: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", file, str(SIZE))


def _with_data_file(file: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={file}.data,data_file_raw=on", file, str(SIZE))
    Path(f"{file}.data").unlink(missing_ok=True)


def _gpt(file: Path) -> None:
    """A disk with a protective MBR and one partition in a valid GPT."""
    sectors = SIZE // 512
    disk = bytearray(SIZE)
    disk[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, sectors - 1)
    disk[510:512] = b"\x55\xaa"
    linux = bytes.fromhex("af3dc60f838472478e793d69d8477de4")
    entries = struct.pack(
        "<16s16sQQQ72s", linux, random.Random(1).randbytes(16), 2048, sectors - 34, 0, "root".encode("utf-16-le")
    ).ljust(128 * 128, b"\0")

    def header(here: int, other: int, table: int) -> bytes:
        def pack(checksum: int) -> bytes:
            return struct.pack(
                "<8sIIIIQQQQ16sQIII",
                b"EFI PART",
                0x10000,
                92,
                checksum,
                0,
                here,
                other,
                34,
                sectors - 34,
                random.Random(2).randbytes(16),
                table,
                128,
                128,
                zlib.crc32(entries),
            )

        return pack(zlib.crc32(pack(0)))

    disk[512 : 512 + 92], disk[1024 : 1024 + len(entries)] = header(1, sectors - 1, 2), entries
    disk[-512 : -512 + 92] = header(sectors - 1, 1, sectors - 33)
    disk[-33 * 512 : -512] = entries
    file.write_bytes(disk)


VMDK_DESCRIPTOR = b"""# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="%s"

RW 8192 FLAT "/etc/passwd" 0

ddb.adapterType = "ide"
"""


def _descriptor(create_type: bytes) -> Callable[[Path], None]:
    """A VMDK that is only text, and names another file as its data."""
    return lambda file: _write(file, (VMDK_DESCRIPTOR % create_type).ljust(64 * 1024, b"\0"))


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def _vmdk_of_type(create_type: bytes) -> Callable[[Path], None]:
    """A sparse VMDK whose embedded descriptor claims another type."""

    def make(file: Path) -> None:
        data = path("vmdk").read_bytes()
        old = b'createType="monolithicSparse"'
        new = b'createType="%s"' % create_type
        file.write_bytes(data.replace(old, new.ljust(len(old), b"\n"), 1))

    return make


SAMPLES = {
    sample.name: sample
    for sample in (
        Sample("raw", "raw", _raw),
        Sample("gpt", "raw", _gpt),
        Sample("qcow2", "qcow2", _converted("qcow2")),
        Sample("qcow2-compressed", "qcow2", _converted("qcow2", "-c")),
        Sample("qcow2-v2", "qcow2", _converted("qcow2", "-o", "compat=0.10")),
        Sample("vmdk", "vmdk", _converted("vmdk", "-o", "subformat=monolithicSparse")),
        Sample("vmdk-stream", "vmdk", _converted("vmdk", "-o", "subformat=streamOptimized")),
        Sample("vhd", "vhd", _converted("vpc", "-o", "force_size=on")),
        Sample("vhdx", "vhdx", _converted("vhdx")),
        Sample("vdi", "vdi", _converted("vdi")),
        Sample("iso", "iso", _packaged("ipxe", "/usr/lib/ipxe/ipxe.iso"), virtual_size=2 * MIB),
        Sample("kernel", "aki", _packaged("ipxe", "/boot/ipxe.lkrn"), virtual_size=0),
        Sample("luks", "raw", _luks),
        Sample("qed", "raw", _converted("qed"), danger="a format that nobody declared"),
        Sample("qcow2-backing-file", "qcow2", _backed, danger="reads another file of the host"),
        Sample("qcow2-data-file", "qcow2", _with_data_file, danger="its data is another file of the host"),
        # the highest bits of the incompatible features; none is defined there
        Sample(
            "qcow2-unknown-feature",
            "qcow2",
            _edited("qcow2", (72, b"\xff")),
            danger="needs a feature that nobody knows",
        ),
        Sample(
            "qcow2-bad-version",
            "qcow2",
            _edited("qcow2", (4, struct.pack(">I", 9))),
            danger="a version that nobody knows",
        ),
        Sample("vmdk-flat", "vmdk", _descriptor(b"monolithicFlat"), danger="its data is another file of the host"),
        Sample("vmdk-bad-type", "vmdk", _descriptor(b"nonsense"), danger="a type that nobody knows"),
        Sample(
            "vmdk-claims-flat", "vmdk", _vmdk_of_type(b"monolithicFlat"), danger="says that its data is another file"
        ),
        Sample(
            "gpt-broken", "raw", _edited("gpt", (450, b"\x00")), danger="a partition table that readers disagree about"
        ),
        Sample("luks-bad-version", "raw", _edited("luks", (6, b"\x00\x09")), danger="a version that nobody knows"),
    )
}
SAFE = tuple(name for name, sample in SAMPLES.items() if not sample.danger)
UNSAFE = tuple(name for name, sample in SAMPLES.items() if sample.danger)


@functools.cache
def data(name: str) -> bytes:
    return path(name).read_bytes()
