"""Is the data what the image says, and is it safe? By the inspectors of ``disk_formats`` (the table is in
docs/formats.md).

Unsafe content is refused whatever container it is declared to be in, and so is what begins as a known format and can't
be judged. Whether the format must match the declared ``disk_format`` is the operator's choice, and does not apply to
containers that wrap the disk in a package."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from oslo_utils.imageutils import format_inspector

from glancecore.domain import errors
from glancecore.domain.staged import InspectionVerdict
from glancecore.kernel.transfer import disk_formats

LOG = logging.getLogger(__name__)

#: What a disk may hold from its first byte on: a raw one, and one in a format that only adds something at its end.
_ON_A_DISK = frozenset({"gpt", "iso", "luks"})
#: What each declared format may look like. Kernels and ramdisks are no disks: the boot signature of a Linux kernel
#: looks like a partition table without partitions. A machine image may be a whole disk.
MAY_BE = {
    "raw": _ON_A_DISK,
    "iso": frozenset({"iso", "gpt"}),
    "aki": frozenset({"gpt"}),
    "ari": frozenset({"gpt"}),
    "ami": frozenset({"gpt"}),
    **{x: frozenset({x}) for x in ("qcow2", "vhd", "vhdx", "vmdk", "vdi", "ploop")},
}
#: Those that the data must be recognised as.
MUST_BE = frozenset({"qcow2", "vhd", "vhdx", "vmdk", "vdi", "iso"})
#: Formats whose boot sector is not a partition table that anybody will mount.
_BOOT_SECTOR_UNCHECKED = frozenset({"iso", "aki", "ari"})
#: Bytes of the beginning that are kept; of a declared VMDK, what is read as its descriptor.
_HEAD, _VMDK_HEAD = 4096, 1 << 20
#: After so many bytes the beginning has told all that it can.
BEGINNING = 8 << 20
#: A larger disk there is not: offsets in files are 63 bits.
_LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class InspectionRules:
    """The operator's choices."""

    require_match: bool = True
    wrapping_containers: frozenset[str] = frozenset()
    gpt_nonfatal: frozenset[str] = frozenset()
    vmdk_types: frozenset[str] = disk_formats.VMDK_TYPES


class Inspector:
    """Feed it the stream's pieces, then ask for the virtual size; raises FormatMismatch or UnsafeContent (BadContent).

    What the beginning shows raises while the stream runs, so a wrong upload ends early.
    """

    #: Whatever is wrong is raised.
    verdict: InspectionVerdict | None = None

    def __init__(self, disk_format: str, container_format: str, rules: InspectionRules) -> None:
        self._format = disk_format
        self._rules = rules
        self._must_match = rules.require_match and container_format not in rules.wrapping_containers
        self._inspectors = disk_formats.inspectors(rules.vmdk_types)
        self._live = list(self._inspectors)
        self._size = 0
        self._head = bytearray()
        self._most = _VMDK_HEAD if disk_format == "vmdk" else _HEAD
        self._tail = b""

    def update(self, piece: bytes) -> None:
        """Raises FormatMismatch, UnsafeContent as soon as the data is known to be wrong."""
        begun = self._size
        self._size += len(piece)
        self._head += piece[: max(0, self._most - len(self._head))]
        self._tail = bytes(piece[-512:]) if len(piece) >= 512 else (self._tail + piece)[-512:]
        for inspector in self._live[:]:
            try:
                inspector.eat_chunk(piece)
            except Exception as exc:  # whatever it raised, it can't parse
                self._live.remove(inspector)
                if inspector.format_match:
                    raise errors.UnsafeContent(
                        f"the data begins as {inspector.NAME} and can't be checked for safety: {exc}"
                    ) from exc
                LOG.debug("not %s: %s", inspector.NAME, exc)
        if begun < BEGINNING:
            self.so_far()

    def finish(self) -> int | None:
        """The virtual size in bytes. Raises FormatMismatch, UnsafeContent."""
        for inspector in self._live:
            inspector.finish()
        found = self._checked(final=True)
        names = {x.NAME for x in found}
        footer = self._footer(names)
        if self._must_match:
            self._check_match(names | ({"vhd"} if footer else set()), final=True, fixed_vhd=footer is not None)
        if self._format in ("raw", "iso"):
            return self._size
        if footer and self._format == "vhd":
            return _possible(footer.size)
        chosen = next((x for x in found if x.NAME == self._format), found[0] if found else None)
        return self._size if chosen is None else _possible(int(chosen.virtual_size))

    def so_far(self) -> int | None:
        """What the data's beginning says, without the rest: the virtual size in bytes where it is known by now.

        Raises FormatMismatch and UnsafeContent for what is certain already; what only the end can tell is left to
        ``finish``."""
        found = self._checked(final=False)
        if self._must_match:
            self._check_match({x.NAME for x in found}, final=False)
        return next(
            (
                _possible(int(x.virtual_size))
                for x in found
                if x.NAME == self._format and x.complete and x.NAME != "iso"
            ),
            None,
        )

    @property
    def wants_end(self) -> bool:
        """Whether only the end tells what the data is: a fixed VHD has its footer there."""
        return self._format == "vhd" and not any(x.NAME == "vhd" and x.format_match for x in self._live)

    def ends(self, size: int, tail: bytes) -> int | None:
        """``so_far`` for data of ``size`` bytes of which the last 512 are known as well as the beginning."""
        self._size, self._tail = size, tail
        names = {x.NAME for x in self._checked(final=False)}
        footer = self._footer(names)
        if self._must_match:
            self._check_match(names | ({"vhd"} if footer else set()), final=True, fixed_vhd=footer is not None)
        return _possible(footer.size) if footer else None

    # -- inside ------------------------------------------------------------------------------------
    def _checked(self, *, final: bool) -> list[format_inspector.FileInspector]:
        """What the data looks like, found safe as far as there is enough of it. Raises UnsafeContent."""
        if disk_formats.is_vmdk_descriptor(bytes(self._head), declared=self._format == "vmdk"):
            raise errors.UnsafeContent("the data is a VMDK descriptor, which names other files")
        found = [x for x in self._live if x.format_match]
        if any(x.NAME == "luks" for x in found):  # its random bytes may look like the mark of a boot sector
            found = [x for x in found if x.NAME != "gpt"]
        for inspector in found:
            if final or inspector.complete:
                self._check_safety(inspector)
        return found

    def _footer(self, names: Collection[str]) -> disk_formats.VhdFooter | None:
        """Of a fixed VHD. Raises UnsafeContent when it says what the beginning does not."""
        footer = disk_formats.vhd_footer(self._tail)
        if footer is None or self._size <= len(self._tail):
            return None
        if footer.kind == 4:
            raise errors.UnsafeContent("the data ends as a VHD that has a parent")
        return footer if footer.kind == 2 and "vhd" not in names and footer.size <= self._size - 512 else None

    def _check_match(self, names: Collection[str], *, final: bool, fixed_vhd: bool = False) -> None:
        other = disk_formats.other_format(bytes(self._head[:64]))
        seen = set(names) | ({other} if other else set())
        allowed = MAY_BE.get(self._format, frozenset())
        if self._format == "vhd" and (fixed_vhd or not final) and not seen & MUST_BE - {"vhd", "iso"}:
            allowed = allowed | _ON_A_DISK  # a fixed one is a raw disk until its end
        if not seen <= allowed:
            raise errors.FormatMismatch(
                f"disk_format is {self._format}, but the data looks like {', '.join(sorted(seen))}"
            )
        if self._format in MUST_BE and self._format not in seen and (final or self._excluded()):
            raise errors.FormatMismatch(
                f"disk_format is {self._format}, but the data looks like {', '.join(sorted(seen)) or 'raw'}"
            )

    def _excluded(self) -> bool:
        """Whether the beginning is long enough to know that the data is not of the declared format."""
        if self._format == "vhd":
            return False  # a fixed one is known by its end
        own = next((x for x in self._live if x.NAME == self._format), None)
        return own is None or own.complete or (self._format != "iso" and self._size >= 512)

    def _check_safety(self, inspector: format_inspector.FileInspector) -> None:
        if inspector.NAME == "gpt" and self._format in _BOOT_SECTOR_UNCHECKED:
            return
        try:
            inspector.safety_check()
        except format_inspector.SafetyCheckFailed as exc:
            failed = set(exc.failures)
            if inspector.NAME == "gpt" and failed <= self._rules.gpt_nonfatal:
                LOG.warning(
                    "image data is taken although checks of its partition table fail: %s", ", ".join(sorted(failed))
                )
                return
            raise errors.UnsafeContent(
                f"the data is {inspector.NAME} and fails safety checks:"
                f" {', '.join(f'{x} ({exc.failures[x]})' for x in sorted(failed))}"
            ) from exc
        except format_inspector.ImageFormatError as exc:
            raise errors.UnsafeContent(
                f"the data begins as {inspector.NAME} and is too short to be checked for safety"
            ) from exc


def _possible(size: int) -> int:
    if size > _LARGEST:
        raise errors.UnsafeContent(f"the data says that it is a disk of {size} bytes, and there is none so large")
    return size
