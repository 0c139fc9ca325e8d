"""The first part of an import: the data comes into the staging store, however often the connection breaks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from glancecore.domain import errors
from glancecore.domain.quota import Limits
from glancecore.imports.run import Run
from glancecore.imports.verification import Expected
from glancecore.imports.work import MethodWork
from glancecore.ports.import_method import Part, Source
from glancecore.services.checkpoints import reach
from glancecore.services.image_data import FIRST_STEP, LARGEST_STEP

LOG = logging.getLogger(__name__)


def fetch(run: Run, expected: Expected) -> None:
    """Nothing to do when the data is staged already, by its user or before a crash."""
    if run.method.source is not Source.FETCHED:
        return
    if run.image().staged is None:
        work = MethodWork(run)
        run.method.prepare(work)
        ref = run.parts.area.ref(run.lease)
        run.save(add=ref)
        reach("fetch.intent")
        staged, digests = run.parts.area.put(
            run.image(), ref, _noted(_resilient(run, work)), room=_Room(run).need, alive=run.check_alive,
            algorithms=expected.algorithms(run))
        reach("fetch.before_record")
        known = replace(staged, arrived=digests)
        try:
            run.save(image=lambda x: x.takes(known).worked(), drop=ref, reserved=staged.digests.size * len(run.task.stores))
        except errors.LeaseLost:
            run.disown(ref)
            raise
        reach("fetch.recorded")


def _resilient(run: Run, work: MethodWork) -> Iterator[bytes]:
    """All bytes from 0 on. When the source breaks off, it is asked again for what is missing; only attempts that bring nothing count.

    Raises FetchFailed when the content changed in between, or after too many attempts."""
    at, validator, idle, total, last = 0, None, 0, None, ""  # type: int, str | None, int, int | None, str
    settings = run.parts.settings
    while True:
        before = at
        try:
            part = run.method.fetch(work, at, validator)
            if part.offset != at:
                part = _skipped(part, at, validator, last)
            validator, total = part.validator, part.total
            for piece in _closing(part):
                at += len(piece)
                run.progress(at, total)
                yield piece
        except (errors.FetchFailed, errors.StoreUnavailable) as exc:
            idle, last = idle + 1 if at == before else 0, str(exc)
            if not exc.retryable or idle >= settings.attempts:
                raise
            LOG.info("image %s: the source broke off at byte %d (%s); going on", run.image_id, at, exc)
            run.pause(settings.pause * 2 ** min(idle, 5))
        else:
            return


def _skipped(part: Part, at: int, validator: str | None, last: str) -> Part:
    """A source that can only begin at 0: what we have is read again and thrown away, if it surely is the same content."""
    if part.offset != 0 or validator is None or part.validator != validator:
        _close(part.pieces)
        exc = errors.FetchFailed(f"{last}; it can't be read on from there, as nothing tells that it is still the same" if validator is None
                                 else "the source changed while it was read")
        exc.retryable = False
        raise exc

    def rest() -> Iterator[bytes]:
        seen = 0
        try:
            for piece in part.pieces:
                first, seen = seen, seen + len(piece)
                if seen > at:
                    yield piece[max(0, at - first):]
        finally:
            _close(part.pieces)

    return Part(at, part.total, rest(), part.validator)


def _closing(part: Part) -> Iterator[bytes]:
    try:
        yield from part.pieces
    finally:
        _close(part.pieces)


def _close(pieces: Iterator[bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close:
        close()


class _Room:
    """Reserves what is fetched, for each store that it will go to, in growing steps."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._copies = max(1, len(run.task.stores))
        self._limit = _limit(run)
        self._step = FIRST_STEP

    def need(self, seen: int) -> None:
        """Raises QuotaExceeded."""
        if self._limit is None or seen * self._copies <= self._run.lease.reserved:
            return
        for wanted in ((seen + self._step) * self._copies, seen * self._copies):
            try:
                self._run.save(reserved=wanted, limits=Limits(bytes=self._limit))
            except errors.QuotaExceeded:
                if wanted == seen * self._copies:
                    raise
            else:
                self._step = min(self._step * 2, LARGEST_STEP)
                return


def _limit(run: Run) -> int | None:
    """The owner's limit on bytes."""
    return run.parts.quota.limits(run.task.owner).bytes


def _noted(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = True
    for piece in pieces:
        yield piece
        if first:
            first = False
            reach("fetch.first_piece")
    reach("fetch.all_pieces")
