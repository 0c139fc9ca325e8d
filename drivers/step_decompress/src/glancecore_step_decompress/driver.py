"""Compressed images are unpacked before they go to the stores; a bomb is refused before it fills the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glancecore.domain import errors
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore_step_decompress.formats import MAGIC, opened, recognise
from glancecore_step_decompress.options import OPTIONS, SECTION

#: Bytes that may come out whatever the ratio.
FREE = 64 << 20


class Decompress(ImportStep):
    """Unpack gzip, xz, zstd, bzip2, lzma and zip (one file). Other data, and images with container_format compressed,
    stay as they are."""

    plugin_api = "1.0"
    options = OPTIONS
    section = SECTION
    isolated = False
    changes_data = True
    takes_anything = True

    def start(self) -> None:
        unknown = set(self.conf.formats) - set(MAGIC)
        if unknown:
            raise errors.ConfigError(
                f"[{SECTION}] formats: {', '.join(sorted(unknown))} can't be unpacked; choose of {', '.join(MAGIC)}"
            )

    def run(self, work: ImportWork) -> None:
        if work.image.container_format == "compressed":
            return
        packed = work.staged
        name = recognise(packed)
        if name is None or name not in self.conf.formats:
            return
        out = work.scratch / "unpacked"
        with out.open("wb") as file:
            for piece in self._within_limits(
                work, packed, opened(name, packed, self.conf.max_memory, work.check_alive)
            ):
                file.write(piece)
        work.replace(out)

    def _within_limits(self, work: ImportWork, packed: Path, pieces: Iterator[bytes]) -> Iterator[bytes]:
        size, seen = packed.stat().st_size, 0
        most = self.conf.max_bytes or self.config.image_size_cap
        for piece in pieces:
            seen += len(piece)
            if seen > most:
                raise errors.DecompressionRefused(f"more than {most} bytes come out of the compressed data")
            if seen > FREE and seen > size * self.conf.max_ratio:
                raise errors.DecompressionRefused(
                    f"{size} compressed bytes become more than {seen}: beyond the ratio of {self.conf.max_ratio:g} that"
                    " is allowed"
                )
            work.reserve(seen)
            work.progress(seen)
            yield piece
