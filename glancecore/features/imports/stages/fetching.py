"""The first part of an import: the data comes into the staging store, however often the connection breaks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace

from glancecore.domain import errors
from glancecore.features.imports.run import ImportRun
from glancecore.features.imports.stages.reservation import ImportReservation
from glancecore.features.imports.stages.verification import Expected
from glancecore.features.imports.stages.watch import Watch
from glancecore.features.imports.stages.work import MethodWork
from glancecore.ports.import_method import FetchedBody, Source
from glancecore.sdk.checkpoints import checkpoint
from glancecore.sdk.pace import Pace, PaceLimits, TooSlow

LOG = logging.getLogger(__name__)


def fetch(run: ImportRun, expected: Expected) -> None:
    """Nothing to do when the data is staged already, by its user or before a crash."""
    if run.method.source is not Source.FETCHED:
        return
    if run.image().staged is None:
        work = MethodWork(run, preparing=True)
        run.method.prepare(work)
        work.preparing = False
        ref = run.services.staged_data.ref(run.image_id)
        run.save(add=ref)
        checkpoint("fetch.intent")
        with Watch(run) as watch:
            algorithms = watch.over(lambda: expected.algorithms(run))  # a file of checksums is fetched, too
            staged, digests = run.services.staged_data.put(
                run.image(),
                ref,
                _noted(_resilient(run, work, watch)),
                reserve=ImportReservation(run).need,
                check_lease=run.check_alive,
                algorithms=algorithms,
            )
        checkpoint("fetch.before_record")
        known = replace(staged, arrived=digests)
        try:
            run.save(
                image=lambda x: x.with_staged(known).with_checkpoint(),
                drop=ref,
                reserved=staged.digests.size * len(run.task.stores),
            )
        except errors.LeaseLost:
            run.disown(ref)
            raise
        checkpoint("fetch.recorded")


def _resilient(run: ImportRun, work: MethodWork, watch: Watch) -> Iterator[bytes]:
    """All bytes from 0 on. When the source breaks off, it is asked again for what is missing; only attempts that bring
    nothing count.

    Raises FetchFailed when the content changed in between, after too many attempts, and for a source that is too
    slow."""
    at, validator, idle, total, last = 0, None, 0, None, ""  # type: int, str | None, int, int | None, str
    settings = run.services.settings
    pace, end = (
        Pace(PaceLimits(math.inf, settings.min_rate, settings.rate_window)),
        time.monotonic() + settings.fetch_timeout,
    )
    while True:
        before, ask_from, same_as = at, at, validator
        try:
            part = watch.over(lambda: run.method.fetch(work, ask_from, same_as))  # noqa: B023 (it is called at once)
            if part.offset != at:
                _check_same(part, validator, last)
            skip, validator, total = at - part.offset, part.validator, part.total
            for piece in _behind(_paced(_closing(part), pace, end), skip):
                at += len(piece)
                run.progress(at, total)
                yield piece
        except (errors.FetchFailed, errors.StoreUnavailable) as exc:
            if watch.failure is not None:
                raise watch.failure from exc
            idle, last = idle + 1 if at == before else 0, str(exc)
            if not exc.retryable or idle >= settings.attempts:
                raise
            LOG.info("image %s: the source broke off at byte %d (%s); going on", run.image_id, at, exc)
            run.pause(settings.pause * 2 ** min(idle, 5))
        else:
            return


def _paced(pieces: Iterator[bytes], pace: Pace, end: float) -> Iterator[bytes]:
    """Raises FetchFailed, not to be tried again."""
    while True:
        start = time.monotonic()
        piece = next(pieces, None)
        if piece is None:
            return
        now = time.monotonic()
        try:
            pace.add(now - start, len(piece))
        except TooSlow as exc:
            raise _final(f"the source is too slow: {exc}") from exc
        if now > end:
            raise _final("the source has not sent everything within [imports] fetch_timeout")
        yield piece


def _final(message: str) -> errors.FetchFailed:
    exc = errors.FetchFailed(message)
    exc.retryable = False
    return exc


def _check_same(part: FetchedBody, validator: str | None, last: str) -> None:
    """A source that can only begin at 0: what we have is read again and thrown away, if it surely is the same content.
    Raises FetchFailed."""
    if part.offset != 0 or validator is None or part.validator != validator:
        _close(part.pieces)
        raise _final(
            f"{last}; it can't be read on from there, as nothing tells that it is still the same"
            if validator is None
            else "the source changed while it was read"
        )


def _behind(pieces: Iterator[bytes], skip: int) -> Iterator[bytes]:
    for piece in pieces:
        if skip < len(piece):
            yield piece[skip:]
        skip = max(0, skip - len(piece))


def _closing(part: FetchedBody) -> Iterator[bytes]:
    try:
        yield from part.pieces
    finally:
        _close(part.pieces)


def _close(pieces: Iterator[bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close:
        close()


def _noted(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = True
    for piece in pieces:
        yield piece
        if first:
            first = False
            checkpoint("fetch.first_piece")
    checkpoint("fetch.all_pieces")
