"""Data on its way to an image: what was found out about it, where it waits, and what an import has made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Digests:
    """What one pass over the bytes found. Digests are lower-case hex; sizes are bytes. ``checksum``: the MD5, None
    where it is not made."""

    size: int
    checksum: str | None
    hash_algo: str
    hash_value: str
    virtual_size: int | None = None


@dataclass(frozen=True, slots=True)
class InspectionVerdict:
    """What the inspection of staged data found wrong: the error's code and its sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportCheckpoint:
    """What an import has done by the time when staged data became what it is, for another import that goes on from
    there: the steps that need not run again, and what disk_format, container_format and properties they, and the
    method, gave the image."""

    steps: tuple[str, ...] = ()
    formats: tuple[str | None, ...] = ()
    properties: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Staged:
    """Data that waits to be imported: where it lies, what the pass over it found, and whether it may become the
    image's.

    The verdict is not enforced at once, because a step (decompression, conversion) may still make other data of it:
    then it is not ``original``. ``arrived`` are digests, by algorithm, of the data as it came, beside those in
    ``digests`` if it is original."""

    store: str
    key: str
    url: str = field(repr=False)
    digests: Digests
    verdict: InspectionVerdict | None = None
    original: bool = True
    arrived: Mapping[str, str] = field(default_factory=dict)
    worked: ImportCheckpoint | None = None

    @property
    def known(self) -> dict[str, str]:
        """Digests of the data as it came, by algorithm."""
        if not self.original:
            return dict(self.arrived)
        own = {
            self.digests.hash_algo: self.digests.hash_value,
            **({"md5": self.digests.checksum} if self.digests.checksum else {}),
        }
        return {**own, **self.arrived}

    def become(self, made: Staged) -> Staged:
        """``made`` in place of this data, knowing what was known of it."""
        return replace(made, original=False, arrived=self.known, worked=self.worked)


@dataclass(frozen=True, slots=True)
class Importing:
    """What clients see of an import on the image: its task while it runs, the stores still to be written, those that
    failed. ``formats`` are disk_format and container_format as they were, ``properties`` what those were (None: absent)
    that the import has set."""

    task: str | None = None
    stores_left: tuple[str, ...] = ()
    stores_failed: tuple[str, ...] = ()
    formats: tuple[str | None, ...] = ()
    properties: tuple[tuple[str, str | None], ...] = ()
