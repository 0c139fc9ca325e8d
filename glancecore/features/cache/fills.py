"""Which entries this process fills, and for whom: so that one project leaves the others threads and room."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from glancecore.domain.image import Image


@dataclass(frozen=True, slots=True)
class FillPlace:
    """One that is taken. ``project``: for whom; None: for nobody, or it is not known."""

    project: str | None
    image_id: str
    size: int


class FillPlaces:
    """``at_once``: downloads of this process that fill the cache, each with a thread; half of them may be one
    project's, and beyond its first one its entries take at most half of ``room``, in bytes. Thread-safe."""

    def __init__(self, at_once: int, room: int) -> None:
        self._at_once = at_once
        self._room = room
        self._taken: Counter[FillPlace] = Counter()
        self._changed = threading.Lock()

    def look(self, project: str | None, image: Image) -> tuple[bool, FillPlace | None]:
        """Whether a download may look for an entry to fill or to follow, and its place to fill one, which it gives
        back: none where the image's is filled already."""
        place = _place(project, image)
        with self._changed:
            if any(x.image_id == image.id for x in self._taken):
                return True, None
            if not self._free(place):
                return False, None
            self._taken[place] += 1
        return True, place

    def add(self, project: str | None, image: Image) -> FillPlace:
        """For one that is filled anew while who filled it, or was about to, still has a place."""
        place = _place(project, image)
        with self._changed:
            self._taken[place] += 1
        return place

    def give_back(self, place: FillPlace) -> None:
        with self._changed:
            self._taken[place] -= 1
            self._taken = +self._taken

    def _free(self, wanted: FillPlace) -> bool:
        own = [x for x in self._taken.elements() if x.project == wanted.project]
        return self._taken.total() < self._at_once and (
            not own or (len(own) < self._at_once // 2 and sum(x.size for x in own) + wanted.size <= self._room // 2)
        )


def _place(project: str | None, image: Image) -> FillPlace:
    return FillPlace(project, image.id, image.size or 0)
