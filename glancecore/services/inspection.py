"""Is the data what the image says, and is it safe? With oslo.utils' stream inspectors (contract 14.7).

Unsafe content is refused whatever container it is declared to be in; whether the format must match the declared
``disk_format`` is the operator's choice, and does not apply to containers that wrap the disk in a package.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass

from oslo_utils.imageutils import format_inspector

from glancecore.domain import errors

LOG = logging.getLogger(__name__)

#: Declared formats that have no inspector of their own: they accept what no inspector recognises.
_DETECTABLE = frozenset({"raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso"})
#: Content that each declared format accepts beside its own name. Kernels and ramdisks are no disks: the boot signature of
#: a Linux kernel looks like a partition table without partitions. A machine image may be a whole disk.
_ALSO = {"iso": frozenset({"gpt"}), "aki": frozenset({"gpt"}), "ari": frozenset({"gpt"}), "ami": frozenset({"gpt"})}
#: A VMDK that is only a description of other files, as qemu recognises it: comments, then the version. The inspectors
#: overlook one that is padded with zeros.
_DESCRIPTOR = re.compile(rb"\A(?:[ ]*(?:#[^\n]*)?\r?\n)*[ ]*version=[123]\r?\n", re.IGNORECASE)
_HEAD = 4096
#: Formats whose boot sector is not a partition table that anybody will mount.
_BOOT_SECTOR_UNCHECKED = frozenset({"iso", "aki", "ari"})


@dataclass(frozen=True, slots=True)
class InspectionRules:
    """The operator's choices."""

    require_match: bool = True
    wrapping_containers: frozenset[str] = frozenset()
    gpt_nonfatal: frozenset[str] = frozenset()
    vmdk_types: frozenset[str] = frozenset({"streamOptimized", "monolithicSparse"})


class Inspector:
    """Feed it the stream's pieces, then ask ``virtual_size``; raises FormatMismatch or UnsafeContent (BadContent).

    A declared format that can already be excluded raises while the stream runs, so a wrong upload ends early.
    """

    def __init__(self, disk_format: str, container_format: str, rules: InspectionRules) -> None:
        self._format = disk_format
        self._rules = rules
        self._must_match = rules.require_match and container_format not in rules.wrapping_containers
        self._inspectors = [cls() for cls in format_inspector.ALL_FORMATS.values()]
        self._live = list(self._inspectors)
        self._size = 0
        self._head = b""

    def eat(self, piece: bytes) -> None:
        self._size += len(piece)
        if len(self._head) < _HEAD:
            self._head = (self._head + bytes(piece[:_HEAD]))[:_HEAD]
        for inspector in self._live[:]:
            try:
                inspector.eat_chunk(piece)
            except Exception as exc:  # noqa: BLE001 (an inspector that can't parse is no match, whatever it raised)
                LOG.debug("not %s: %s", inspector.NAME, exc)
                self._live.remove(inspector)

    def conclude(self) -> int | None:
        """The virtual size in bytes. Raises FormatMismatch, UnsafeContent."""
        for inspector in self._inspectors:
            inspector.finish()
        if _DESCRIPTOR.match(self._head):
            raise errors.UnsafeContent("the data is a VMDK descriptor, which names other files")
        matches = [x for x in self._live if x.NAME != "raw" and x.format_match]
        for inspector in matches:
            self._check_safety(inspector)
        names = {x.NAME for x in matches}
        if self._must_match:
            self._check_match(names)
        if self._format in names:
            chosen = next(x for x in matches if x.NAME == self._format)
            return self._size if self._format in ("raw", "iso") else int(chosen.virtual_size)
        if self._format in ("raw", "iso") or not matches:
            return self._size
        return int(matches[0].virtual_size)

    def so_far(self) -> int | None:
        """What the data's beginning says, without the rest: the virtual size in bytes where it is known by now.

        Raises FormatMismatch and UnsafeContent for what is certain already; what only the end can tell is left to
        ``conclude``."""
        if _DESCRIPTOR.match(self._head):
            raise errors.UnsafeContent("the data is a VMDK descriptor, which names other files")
        matches = [x for x in self._live if x.NAME != "raw" and x.complete and x.format_match]
        for inspector in matches:
            self._check_safety(inspector)
        undecided = any(x.NAME == self._format and not x.complete for x in self._live)
        if self._must_match and not undecided:
            self._check_match({x.NAME for x in matches})
        return next((int(x.virtual_size) for x in matches if x.NAME == self._format and x.NAME not in ("raw", "iso")), None)

    def _check_match(self, names: Collection[str]) -> None:
        allowed = {self._format} | _ALSO.get(self._format, frozenset())
        if self._format == "raw":
            return  # any bytes are a raw disk; what they look like was checked for safety
        if self._format not in _DETECTABLE:
            if not set(names) <= allowed:
                raise errors.FormatMismatch(
                    f"disk_format is {self._format}, but the data looks like {', '.join(sorted(names))}")
            return
        if self._format not in names or not set(names) <= allowed:
            raise errors.FormatMismatch(
                f"disk_format is {self._format}, but the data looks like {', '.join(sorted(names)) or 'raw'}")

    def _check_safety(self, inspector: format_inspector.FileInspector) -> None:
        if inspector.NAME == "gpt" and self._format in _BOOT_SECTOR_UNCHECKED:
            return
        try:
            inspector.safety_check()
        except format_inspector.SafetyCheckFailed as exc:
            failed = set(exc.failures)
            if inspector.NAME == "gpt" and failed <= self._rules.gpt_nonfatal:
                LOG.warning("image content fails non-fatal safety checks: %s", ", ".join(sorted(failed)))
                return
            raise errors.UnsafeContent(
                f"the data is {inspector.NAME} and fails safety checks: {', '.join(sorted(failed))}") from exc
        except format_inspector.ImageFormatError as exc:
            raise errors.UnsafeContent(f"the data looks like {inspector.NAME} but can't be checked for safety: {exc}") from exc
