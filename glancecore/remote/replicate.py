"""Bringing images from one place to another, so that it can be broken off at any time and run again.

An image that is there with the same data is not sent again; data that is there half goes on where it ended, where the
place can do so. Every byte is hashed on its way, and what does not match the source's own hash is removed again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import tenacity

from glancecore.remote.record import RemoteError, RemotePlace, RemoteRecord
from glancecore.remote.server import BROKEN

#: How often the data of an image is sent again after its connection broke.
ATTEMPTS = 4
WAIT = 1.0


class ReplicationOutcome(StrEnum):
    COPIED = "copied"
    UPDATED = "updated"
    SAME = "same"
    SKIPPED = "skipped"
    FAILED = "failed"
    MISSING = "missing"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Line:
    image: str
    outcome: ReplicationOutcome
    text: str = ""


@dataclass(slots=True)
class Result:
    lines: list[Line] = field(default_factory=list)
    bytes: int = 0

    @property
    def counts(self) -> Counter[str]:
        return Counter(x.outcome.value for x in self.lines)

    @property
    def bad(self) -> bool:
        return any(
            x.outcome in (ReplicationOutcome.FAILED, ReplicationOutcome.MISSING, ReplicationOutcome.DIFFERENT)
            for x in self.lines
        )


#: Called with the image and the bytes of it that were moved just now.
Progress = Callable[[RemoteRecord, int], None]


class Replication:
    """``without``: fields that are not carried. ``only``: image ids; empty: all. ``metadata_only``: no data is
    moved."""

    def __init__(
        self,
        source: RemotePlace,
        target: RemotePlace,
        *,
        without: tuple[str, ...] = (),
        only: tuple[str, ...] = (),
        metadata_only: bool = False,
        progress: Progress = lambda _record, _count: None,
    ) -> None:
        self._source, self._target, self._without, self._only = source, target, without, only
        self._metadata_only, self._progress = metadata_only, progress

    def run(self, told: Callable[[Line], None] = lambda _: None) -> Result:
        result = Result()
        for record in self._wanted():
            try:
                line = self._copy(record.without(self._without), result)
            except (RemoteError, *BROKEN) as exc:
                line = Line(record.id, ReplicationOutcome.FAILED, str(exc))
            result.lines.append(line)
            told(line)
        return result

    def compare(self) -> Result:
        result = Result()
        for record in self._wanted():
            there = self._target.find(record.id)
            if there is None:
                result.lines.append(
                    Line(record.id, ReplicationOutcome.MISSING, f"{self._target.name} has no such image")
                )
                continue
            texts = _differences(record.without(self._without), there.without(self._without))
            result.lines.append(
                Line(record.id, ReplicationOutcome.DIFFERENT if texts else ReplicationOutcome.SAME, "; ".join(texts))
            )
        return result

    def _wanted(self) -> Iterator[RemoteRecord]:
        if not self._only:
            yield from self._source.images()
            return
        for image_id in self._only:
            found = self._source.find(image_id)
            if found is None:
                raise RemoteError(f"{self._source.name} has no image {image_id}")
            yield found

    def _copy(self, record: RemoteRecord, result: Result) -> Line:
        there = self._target.find(record.id)
        if there is not None and there.has_data and record.has_data and not _same_data(record, there):
            return Line(
                record.id,
                ReplicationOutcome.FAILED,
                f"{self._target.name} has other data under this id; it is left as it is",
            )
        if not record.has_data and record.status != "queued":
            return Line(record.id, ReplicationOutcome.SKIPPED, f"it is {record.status}")
        if there is None:
            self._target.create(record)
        elif not there.has_data and there.status != "queued":
            return Line(record.id, ReplicationOutcome.SKIPPED, f"it is {there.status} in {self._target.name}")
        moved = record.has_data and not self._metadata_only and (there is None or not there.has_data)
        if moved:
            result.bytes += self._send(record, begun=there is None or self._target.held(record.id) > 0)
        changed = self._target.finish(record)
        return Line(
            record.id,
            ReplicationOutcome.COPIED
            if moved or there is None
            else ReplicationOutcome.UPDATED
            if changed
            else ReplicationOutcome.SAME,
        )

    def _send(self, record: RemoteRecord, *, begun: bool) -> int:
        """``begun``: what is there of it is ours, and goes when the data is wrong."""
        sending = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(BROKEN),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential(WAIT),
            reraise=True,
        )
        count: int = sending(self._send_once, record, begun=begun)
        return count

    def _send_once(self, record: RemoteRecord, *, begun: bool) -> int:
        passing = _Passing(record, self._target, self._progress)
        try:
            self._target.write(record, passing.of(self._source))
        except _Wrong as exc:
            if begun:
                self._target.remove(record.id)
            raise RemoteError(str(exc)) from exc
        there = self._target.find(record.id)
        if (
            there is not None
            and there.digest
            and record.digest
            and there.hash_algo == record.hash_algo
            and there.digest != record.digest
        ):
            self._target.remove(record.id)
            raise RemoteError(f"{self._target.name} has stored other data than it was sent; it was removed there")
        return passing.count


class _Wrong(Exception):
    """The data is not what its hash says."""


class _Passing:
    """Hashes what passes; the last piece is held back until the hash is known to be right, so that wrong data never
    becomes whole."""

    def __init__(self, record: RemoteRecord, target: RemotePlace, progress: Progress) -> None:
        self._record, self._target, self._progress = record, target, progress
        self._digest = hashlib.new(record.digest[0], usedforsecurity=False) if record.digest else None
        self.count = 0

    def of(self, source: RemotePlace) -> Iterator[bytes]:
        held, offset = b"", self._target.held(self._record.id)
        for piece in self._target.begun(self._record) if offset else ():
            self._take(piece)
        for piece in source.read(self._record, offset):
            self._take(piece)
            if held:
                yield held
            held = piece
            self.count += len(piece)
        if self._digest is not None and self._record.digest and self._digest.hexdigest() != self._record.digest[1]:
            raise _Wrong(f"{source.name}: the data has another {self._record.digest[0]} than the image says")
        if held:
            yield held

    def _take(self, piece: bytes) -> None:
        if self._digest is not None:
            self._digest.update(piece)
        self._progress(self._record, len(piece))


def total(place: RemotePlace) -> tuple[int, int]:
    """Number of images with data, and their bytes."""
    sizes = [x.size or 0 for x in place.images() if x.has_data]
    return len(sizes), sum(sizes)


def _same_data(one: RemoteRecord, other: RemoteRecord) -> bool:
    if one.hash_algo and one.hash_algo == other.hash_algo:
        return one.hash_value == other.hash_value
    if one.checksum and other.checksum:
        return one.checksum == other.checksum
    return (
        one.size == other.size
    )  # two clouds that hash in different ways, without the MD5: no more can be known without reading both


def _differences(one: RemoteRecord, other: RemoteRecord) -> list[str]:
    """In words. Owner and the like differ between clouds: name them in ``without``."""
    found = [
        f"{name}: {one.fields.get(name)!r}, there {other.fields.get(name)!r}"
        for name in sorted({*one.fields, *other.fields})
        if _plain(one.fields.get(name)) != _plain(other.fields.get(name))
    ]
    if one.has_data != other.has_data:
        found.append(f"status: {one.status}, there {other.status}")
    elif one.has_data and not _same_data(one, other):
        found.append("the data is different")
    return found


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, list) else value
