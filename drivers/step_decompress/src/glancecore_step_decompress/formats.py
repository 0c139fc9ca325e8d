"""The compressed formats: how each is recognised, and its data in pieces of bounded size.

Every reader takes bounded memory: no member, block or window makes it hold more than ``max_memory``.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from backports import zstd

from glancecore.domain import errors
from glancecore.ports.store import CHUNK

#: Name -> the bytes that files of it begin with.
MAGIC = {"gzip": b"\x1f\x8b\x08", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd", "zip": b"PK\x03\x04"}


def recognise(path: Path) -> str | None:
    with path.open("rb") as src:
        head = src.read(8)
    return next((name for name, magic in MAGIC.items() if head.startswith(magic)), None)


def opened(name: str, path: Path, max_memory: int) -> Iterator[bytes]:
    """Raises DecompressionRefused when the data is damaged or not one file."""
    try:
        yield from _READERS[name](path, max_memory)
    except (zlib.error, lzma.LZMAError, zstd.ZstdError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as exc:
        raise errors.DecompressionRefused(f"the {name} data can't be unpacked: it is damaged, encrypted, or needs too much memory") from exc


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


def _members(path: Path, make: Callable[[], _Engine]) -> Iterator[bytes]:
    """All members, one after the other, and zeros as padding between them. Raises EOFError when one is cut."""
    with path.open("rb") as src:
        engine = make()
        raw = src.read(CHUNK)
        while True:
            piece = engine.decompress(raw, CHUNK)
            raw = b""
            if piece:
                yield piece
            if engine.eof:
                raw = engine.unused_data.lstrip(b"\0")
                while not raw:
                    more = src.read(CHUNK)
                    if not more:
                        return
                    raw = more.lstrip(b"\0")
                engine = make()
            elif engine.needs_input:
                raw = src.read(CHUNK)
                if not raw:
                    raise EOFError


def _gzip(path: Path, _max_memory: int) -> Iterator[bytes]:
    return _members(path, _Gzip)


def _xz(path: Path, max_memory: int) -> Iterator[bytes]:
    return _members(path, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=max_memory))


def _zstd(path: Path, max_memory: int) -> Iterator[bytes]:
    window: dict[int, int] = {zstd.DecompressionParameter.window_log_max: min(max(10, max_memory.bit_length() - 1), 31)}
    return _members(path, lambda: zstd.ZstdDecompressor(options=window))


def _zip(path: Path, _max_memory: int) -> Iterator[bytes]:
    """One file in it, not encrypted, of a method that streams."""
    with zipfile.ZipFile(path) as archive:
        members = [x for x in archive.infolist() if not x.is_dir()]
        if len(members) != 1:
            raise errors.DecompressionRefused(f"the zip archive has {len(members)} files; it must have one")
        if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise errors.DecompressionRefused("the zip archive uses a method other than stored and deflated")
        with archive.open(members[0]) as src:
            yield from _read(src)


def _read(src: IO[bytes]) -> Iterator[bytes]:
    while piece := src.read(CHUNK):
        yield piece


_READERS: dict[str, Callable[[Path, int], Iterator[bytes]]] = {"gzip": _gzip, "xz": _xz, "zstd": _zstd, "zip": _zip}
