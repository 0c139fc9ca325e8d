"""The inspectors of disk formats: those of oslo.utils, stricter where qemu and other readers follow what they overlook.

Each recognises its format by the first bytes, however short the data is, so that what can't be judged is not taken for
harmless. A violation says in a word what is wrong. ``docs/formats.md`` has the table of all of them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from oslo_utils.imageutils import format_inspector as oslo

#: Bytes of a VMDK's descriptor that qemu reads whatever its header says.
_DESCRIPTOR = 20 * 512
#: VMDK types whose data is in the file itself.
VMDK_TYPES = frozenset({"monolithicSparse", "streamOptimized"})
#: A VMDK that is only a description of other files, as qemu guesses it (and somewhat wider): blank lines and comments,
#: then the version.
_TEXT = re.compile(rb"(?:#[^\n]*\n|[ \t\r\n]+)*+version=\d", re.IGNORECASE)
#: Formats that qemu guesses by their first bytes and that no image is declared as, but for ploop. They name no other
#: files.
_OTHERS = {
    b"WithoutFreeSpace": "ploop",
    b"WithouFreSpacExt": "ploop",
    b"Bochs Virtual HD Image": "bochs",
    b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop": "cloop",
}


def _violation(text: str) -> oslo.SafetyViolation:
    return oslo.SafetyViolation(text)


class Qcow2(oslo.QcowInspector):
    """Also extended L2 entries, bit 4 of the incompatible features. Version 2 has no features: other bytes are
    there."""

    I_FEATURES_MAX_BIT = 5

    @property
    def format_match(self) -> bool:
        return bytes(self.region("header").data[:4]) == b"QFI\xfb"

    def check_data_file(self) -> None:
        if self.qemu_header_info.get("version") != 2:
            super().check_data_file()


class Qed(oslo.QEDInspector):
    @property
    def format_match(self) -> bool:
        return bytes(self.region("header").data[:4]) == b"QED\0"


class Vdi(oslo.VDIInspector):
    """Dynamic and fixed ones without a parent."""

    def _initialize(self) -> None:
        super()._initialize()
        self.add_safety_check(oslo.SafetyCheck("parent", self.check_parent))

    @property
    def format_match(self) -> bool:
        return bytes(self.region("header").data[0x40:0x44]) == b"\x7f\x10\xda\xbe"

    def check_parent(self) -> None:
        header = self.region("header").data
        if struct.unpack_from("<I", header, 0x4C)[0] not in (1, 2) or any(header[0x1A8:0x1C8]):
            raise _violation("it has a parent")


class Vhdx(oslo.VHDXInspector):
    """No parent locator, no log that is to be replayed over what was inspected."""

    PARENT_LOCATOR = "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"
    HEADERS = (64 << 10, 128 << 10)

    def _initialize(self) -> None:
        super()._initialize()
        for number, at in enumerate(self.HEADERS):
            self.new_region(f"header {number}", oslo.CaptureRegion(at, 80))
        self.add_safety_check(oslo.SafetyCheck("metadata", self.check_metadata))
        self.add_safety_check(oslo.SafetyCheck("log", self.check_log))

    def check_metadata(self) -> None:
        if not self.has_region("vds") or len(self.region("vds").data) != 8:
            raise _violation("its metadata can't be read")
        table = bytes(self.region("metadata").data)
        (count,) = struct.unpack_from("<H", table, 10)
        if any(self._guid(table[at : at + 16]) == self.PARENT_LOCATOR for at in range(32, 32 + 32 * count, 32)):
            raise _violation("it has a parent")

    def check_log(self) -> None:
        """Of the header that counts: the one with the larger number."""
        headers = [bytes(self.region(f"header {x}").data) for x in range(len(self.HEADERS))]
        if any(max(headers, key=lambda x: struct.unpack_from("<Q", x, 8)[0] if x.startswith(b"head") else -1)[48:64]):
            raise _violation("it was not closed: its log is to be replayed")


@dataclass(frozen=True, slots=True)
class VhdFooter:
    """``kind``: 2 fixed, 3 dynamic, 4 differencing. ``size`` of the disk in bytes."""

    kind: int
    size: int


def vhd_footer(block: bytes) -> VhdFooter | None:
    """What 512 bytes say, when they are the footer of a VHD: with its checksum, which chance does not make."""
    if len(block) != 512 or not block.startswith(b"conectix"):
        return None
    size, kind, checksum = struct.unpack_from(">48xQ4xII", block)
    return VhdFooter(kind, size) if (~(sum(block) - sum(block[64:68])) & 0xFFFFFFFF) == checksum else None


class Vhd(oslo.VHDInspector):
    """A dynamic one, which begins with a copy of its footer; fixed ones have theirs at the end only."""

    def _initialize(self) -> None:
        super()._initialize()
        self.add_safety_check(oslo.SafetyCheck("kind", self.check_kind))

    @property
    def virtual_size(self) -> int:
        return int(struct.unpack_from(">Q", self.region("header").data, 48)[0])

    def check_kind(self) -> None:
        kind = struct.unpack_from(">I", self.region("header").data, 60)[0]
        if kind != 3:
            raise _violation("it has a parent" if kind == 4 else "it is neither fixed nor dynamic")


class Vmdk(oslo.VMDKInspector):
    """One sparse file with its descriptor in it, which names no other file. Texts may be of any encoding: ASCII is
    looked for."""

    def __init__(self, types: Collection[str] = VMDK_TYPES) -> None:
        self._types = {x.lower().encode() for x in VMDK_TYPES} & {x.lower().encode() for x in types}
        super().__init__()

    def _initialize(self) -> None:
        self.new_region("header", oslo.CaptureRegion(0, 512))
        self.add_safety_check(oslo.SafetyCheck("descriptor", self.check_descriptor))

    def post_process(self) -> None:
        if not self.region("header").complete or not self.format_match or self.has_region("descriptor"):
            return
        *_, sectors, end = self._header()
        self.new_region("descriptor", oslo.CaptureRegion(512, max(_DESCRIPTOR, min(sectors * 512, self.DESC_MAX_SIZE))))
        if end == self.GD_AT_END:  # a second header at the end counts
            self.new_region("footer", oslo.EndCaptureRegion(1536))
            self.add_safety_check(oslo.SafetyCheck("footer", self.check_footer))

    def region_complete(self, region_name: str) -> None:
        """Nothing is read before all is there."""

    def _header(self) -> tuple[int, int, int, int, int]:
        """Version, capacity, sector and sectors of the descriptor, place of the grain directory."""
        version, capacity, sector, sectors, end = struct.unpack_from("<4xI4xQ8xQQ12xQ", self.region("header").data)
        return version, capacity, sector, sectors, end

    @property
    def format_match(self) -> bool:
        return bytes(self.region("header").data[:4]) in (b"KDMV", b"COWD")

    @property
    def complete(self) -> bool:
        """The descriptor may be shorter than what is looked at: then the data's end decides."""
        return (
            self.region("header").complete
            and self.has_region("descriptor")
            and (self._finished or self.region("descriptor").complete)
            and (not self.has_region("footer") or self.region("footer").complete)
        )

    @property
    def virtual_size(self) -> int:
        return self._header()[1] * 512

    def check_descriptor(self) -> None:
        version, capacity, sector, sectors, _ = self._header()
        data, size = bytes(self.region("descriptor").data), min(sectors * 512, self.DESC_MAX_SIZE)
        if (
            self.region("header").data[:4] != b"KDMV"
            or version not in (1, 2, 3)
            or not capacity
            or sector != 1
            or not sectors
        ):
            raise _violation("its header is not that of a sparse file")
        if len(data) < size:
            raise _violation("it ends in its descriptor")
        text, ended, _rest = data[:size].partition(b"\0")
        if not ended and data[size:].partition(b"\0")[0]:
            raise _violation("its descriptor goes on behind its end")
        self._check_text(text.lower())

    def _check_text(self, text: bytes) -> None:
        extents = []
        for line in map(bytes.strip, text.split(b"\n")):
            if re.match(rb"(rw|rdonly|noaccess)\s", line):
                extents.append(line)
            elif line and not line.startswith((b"#", b"ddb")) and not re.match(rb"[^\s=]+\s*=", line):
                raise _violation("its descriptor has a line that nobody knows")
        kinds = re.findall(rb'^[ \t]*createtype="([^"\n]*)"', text, re.MULTILINE)
        if len(kinds) != 1 or text.count(b"createtype") != 1 or kinds[0] not in self._types:
            raise _violation("its createType is not accepted")
        if b"parentfilename" in text or set(re.findall(rb"parentcid\s*=\s*\"?([^\s\"]*)", text)) - {b"ffffffff"}:
            raise _violation("it has a parent")
        if len(extents) != 1 or b"/" in extents[0] or not re.match(rb"\S+\s+\d+\s+sparse\s", extents[0]):
            raise _violation("it has parts in other files")


def inspectors(vmdk_types: Collection[str]) -> list[oslo.FileInspector]:
    """New ones of all formats that are known, but for raw."""
    stricter: dict[str, Callable[[], Any]] = {
        "qcow2": Qcow2,
        "qed": Qed,
        "vdi": Vdi,
        "vhdx": Vhdx,
        "vhd": Vhd,
        "vmdk": lambda: Vmdk(vmdk_types),
    }
    return [stricter.get(name, cls)() for name, cls in oslo.ALL_FORMATS.items() if name != "raw"]


def other_format(head: bytes) -> str | None:
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)


def is_vmdk_descriptor(head: bytes, *, declared: bool) -> bool:
    """Whether a reader takes the beginning for a VMDK that names other files. ``declared``: it is told that it is a
    VMDK, so it looks at any text, up to the first zero."""
    if _TEXT.match(head):
        return True
    return declared and not head.startswith((b"KDMV", b"COWD")) and b"createtype" in head.partition(b"\0")[0].lower()
