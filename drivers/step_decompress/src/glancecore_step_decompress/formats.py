"""The compressed formats: how each is recognised, and its data in pieces of bounded size.

Every reader takes bounded memory: no member, block, window or directory makes it hold more than ``max_memory``.
``check`` is called with each read of the packed data, so that data of which nothing comes out can't keep a cancelled
import alive."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from backports import zstd

from glancecore.domain import errors
from glancecore.ports.store import CHUNK

#: Name -> the bytes that files of it begin with.
MAGIC = {
    "gzip": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
    "lzma": b"\x5d\x00\x00",
    "zip": b"PK\x03\x04",
}
#: What follows b"BZh" and a digit: a block, or the end of a file without any.
_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")
#: An engine that has ended copies what it has not used: so it gets little at a time, or many small members cost the
#: square of their number.
_BITE = 16 << 10
#: Bytes of a zip archive that are read at once, of its directory above all: room for a thousand entries.
_DIRECTORY = 128 << 10


def recognise(path: Path) -> str | None:
    with path.open("rb") as src:
        head = src.read(16)
    name = next((name for name, magic in MAGIC.items() if head.startswith(magic)), None)
    if (name == "bzip2" and not (head[3:4] in b"123456789" and head[4:10] in _BZIP2)) or (
        name == "lzma" and not _is_lzma(head)
    ):
        return None
    return name


def _is_lzma(head: bytes) -> bool:
    """The format has no magic: a dictionary of 2^n or 3 * 2^n bytes, and a length below 256 GiB or unknown, as xz
    demands."""
    window, length = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    power = window // 3 if window % 3 == 0 else window
    return len(head) > 13 and power.bit_count() == 1 and (length < 1 << 38 or length == (1 << 64) - 1)


def opened(name: str, path: Path, max_memory: int, check: Callable[[], None]) -> Iterator[bytes]:
    """Raises DecompressionRefused when the data is damaged or not one file, and what ``check`` raises."""
    try:
        with _Packed(path, check) as src:
            yield from _READERS[name](src, max_memory)
    except (
        zlib.error,
        lzma.LZMAError,
        zstd.ZstdError,
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OverflowError,
        struct.error,
    ) as exc:
        raise errors.DecompressionRefused(
            f"the {name} data can't be unpacked: it is damaged, encrypted, or needs too much memory"
        ) from exc


class _Packed(io.FileIO):
    """A file that is read in pieces of at most ``_DIRECTORY`` bytes, and with each one checks whether that is still
    wanted."""

    def __init__(self, path: Path, check: Callable[[], None]) -> None:
        super().__init__(path)
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        """Raises DecompressionRefused for more at once than any honest archive needs."""
        self._check()
        found = super().read(_DIRECTORY + 1 if size is None or size < 0 else min(size, _DIRECTORY + 1)) or b""
        if len(found) > _DIRECTORY:
            raise errors.DecompressionRefused("the zip archive has too many entries; it must have one file")
        return found


class _Engine(Protocol):
    """As ``lzma`` and ``zstd`` have it. ``needs_input``: more output can only come of more input."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """``zlib`` in the same dress. Its window is 32 KiB."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


def _members(src: _Packed, make: Callable[[], _Engine]) -> Iterator[bytes]:
    """All members, one after the other, and zeros as padding between them. Raises EOFError when one is cut or
    damaged."""
    engine = make()
    raw = src.read(_BITE)
    while True:
        try:
            piece = engine.decompress(raw, CHUNK)
        except OSError as exc:  # what bzip2 raises for damaged data
            raise EOFError from exc
        raw = b""
        if piece:
            yield piece
        if engine.eof:
            raw = engine.unused_data.lstrip(b"\0")
            while not raw:
                more = src.read(_BITE)
                if not more:
                    return
                raw = more.lstrip(b"\0")
            engine = make()
        elif engine.needs_input:
            raw = src.read(_BITE)
            if not raw:
                raise EOFError


def _gzip(src: _Packed, _max_memory: int) -> Iterator[bytes]:
    return _members(src, _Gzip)


def _xz(src: _Packed, max_memory: int) -> Iterator[bytes]:
    return _members(src, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=max_memory))


def _lzma(src: _Packed, max_memory: int) -> Iterator[bytes]:
    return _members(src, lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=max_memory))


def _bzip2(src: _Packed, _max_memory: int) -> Iterator[bytes]:
    """A block is 900 kB at most, and takes four times as much memory."""
    return _members(src, bz2.BZ2Decompressor)


def _zstd(src: _Packed, max_memory: int) -> Iterator[bytes]:
    window: dict[int, int] = {zstd.DecompressionParameter.window_log_max: min(max(10, max_memory.bit_length() - 1), 31)}
    return _members(src, lambda: zstd.ZstdDecompressor(options=window))


def _zip(src: _Packed, _max_memory: int) -> Iterator[bytes]:
    """One file in it, not encrypted, of a method that streams."""
    with zipfile.ZipFile(src) as archive:
        members = [x for x in archive.infolist() if not x.is_dir()]
        if len(members) != 1:
            raise errors.DecompressionRefused(f"the zip archive has {len(members)} files; it must have one")
        if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise errors.DecompressionRefused("the zip archive uses a method other than stored and deflated")
        with archive.open(members[0]) as member:
            while piece := member.read(_DIRECTORY // 2):
                yield piece


_READERS: dict[str, Callable[[_Packed, int], Iterator[bytes]]] = {
    "gzip": _gzip,
    "xz": _xz,
    "zstd": _zstd,
    "bzip2": _bzip2,
    "lzma": _lzma,
    "zip": _zip,
}
