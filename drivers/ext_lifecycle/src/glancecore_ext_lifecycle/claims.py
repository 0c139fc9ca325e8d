"""Who makes a plan, and how many policies a project has: what is decided on top of what was read, and committed only on
top of that."""

from __future__ import annotations

import functools
import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from glancecore.domain import errors
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.record_repository import Record, RecordAdded, RecordChange, RecordChanged, RecordRemoved
from glancecore.sdk.records import saving

P = ParamSpec("P")
T = TypeVar("T")
#: How many policies a project has.
PROJECTS = Collection("lifecycle.projects")
#: Which project's images are looked through for a plan.
PLANNING = Collection("lifecycle.planning")
#: How long somebody of whom nothing is heard is waited for, before somebody else may go on.
CLAIM_TTL = timedelta(minutes=10)
_ATTEMPTS = 30


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def again(call: Callable[P, T]) -> Callable[P, T]:
    """``call`` reads what it changes; it is made again when its commit finds that changed."""

    @functools.wraps(call)
    def run(*args: P.args, **named: P.kwargs) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return call(*args, **named)
            except (errors.ConcurrentChange, errors.RecordExists):
                time.sleep(random.uniform(0, 0.03))  # noqa: S311 (no secret)
        return call(*args, **named)

    return run


class Claims:
    def __init__(self, kernel: Kernel, most: int) -> None:
        """``most``: policies that a project may have."""
        self._kernel = kernel
        self._records = kernel.records
        self._most = most

    def counting(self, owner: str | None, by: int, there: Callable[[], int]) -> RecordChange:
        """So many policies more. ``there``: how many the project has, where they were never counted. Raises
        QuotaExceeded."""
        record_id = _digest(owner)
        try:
            count = int(str(self._records.get(PROJECTS.name, record_id).data["policies"]))
        except errors.RecordNotFound:
            count = there()
        if by > 0 and count + by > self._most:
            raise errors.QuotaExceeded(f"your project has {count} policies; it may have {self._most}")
        return saving(self._records, Record(PROJECTS.name, record_id, {"policies": max(0, count + by)}))

    @contextmanager
    def planning(self, owner: str | None) -> Iterator[Callable[[], None]]:
        """One at a time looks through a project's images. Gives what is to be called from time to time. Raises
        Conflict."""
        now = self._kernel.clock()
        claim = Record(PLANNING.name, _digest(owner), {"since": stamp(now)}, expires_at=now + CLAIM_TTL)
        try:
            before = self._records.get(claim.collection, claim.id)
        except errors.RecordNotFound:
            held = [self._saved(owner, None, claim)]
        else:
            if before.expires_at is not None and now < before.expires_at:
                raise errors.Conflict(
                    f"a plan of your project is being made since {before.data['since']}; make the next one when it is"
                    " there"
                )
            held = [self._saved(owner, before, claim)]

        def renew() -> None:
            at = self._kernel.clock() + CLAIM_TTL
            if held[0].expires_at is None or at - held[0].expires_at > CLAIM_TTL / 10:
                held[0] = self._saved(owner, held[0], Record(claim.collection, claim.id, claim.data, expires_at=at))

        try:
            yield renew
        finally:
            with suppress(
                errors.RecordNotFound, errors.ConcurrentChange
            ):  # it took so long that somebody else has begun
                self._kernel.writer.save(RecordRemoved(held[0]))

    def _saved(self, owner: str | None, before: Record | None, claim: Record) -> Record:
        """Raises Conflict."""
        after = Record(
            claim.collection,
            claim.id,
            claim.data,
            expires_at=claim.expires_at,
            version=before.version + 1 if before else 1,
        )
        try:
            self._kernel.writer.save(RecordChanged(before, after) if before else RecordAdded(after))
        except (errors.RecordExists, errors.RecordNotFound, errors.ConcurrentChange):
            raise errors.Conflict(
                f"a plan of project {owner} is being made by somebody else; make the next one when it is there"
            ) from None
        return after


def _digest(owner: str | None) -> str:
    return hashlib.sha256((owner or "").encode()).hexdigest()
