"""Progress on a terminal."""

from __future__ import annotations

import sys

import tqdm

from osc_glancecore.files import Progress


class Bar(Progress):
    """On standard error; nothing where that is no terminal."""

    def __init__(self, what: str, size: int) -> None:
        self._bar = tqdm.tqdm(
            total=size,
            desc=what,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            disable=not sys.stderr.isatty(),
            file=sys.stderr,
        )

    def at(self, offset: int) -> None:
        self._bar.update(offset - self._bar.n)

    def add(self, count: int) -> None:
        self._bar.update(count)

    def close(self) -> None:
        self._bar.close()
