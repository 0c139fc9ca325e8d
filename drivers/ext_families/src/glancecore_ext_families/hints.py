"""Where references have led lately: what is likely to be needed, so that it is read together. Nothing is believed that
is not read anew."""

from __future__ import annotations

import threading
from collections import OrderedDict

from glancecore.domain.context import Context
from glancecore_ext_families.family import FAMILIES, VERSIONS

_MOST = 8192


class Hints:
    """Of one process; thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str | None, str], tuple[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, ctx: Context, reference: str) -> list[tuple[str, str]]:
        """Collections and ids of the family and the version that it has led the caller's project to; none: to nothing
        yet."""
        with self._lock:
            family, image = self._known.get((ctx.project, reference), (None, None))
        return [] if family is None or image is None else [(FAMILIES.name, family), (VERSIONS.name, image)]

    def note(self, ctx: Context, reference: str, family: str, image: str) -> None:
        with self._lock:
            self._known[ctx.project, reference] = family, image
            self._known.move_to_end((ctx.project, reference))
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
