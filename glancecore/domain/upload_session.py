"""An upload in pieces: what is kept of it between two requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from glancecore.domain import errors
from glancecore.domain.context import Initiator
from glancecore.domain.lease import BlobRef

#: In the location of several parts, where the name of each stands.
PLACE = "{part}"
#: Parts that one session may have at most.
MOST_PARTS = 100_000
#: Of them, runs of equal ones.
MOST_RUNS = 5_000
#: Sessions that one is joined of, at most: clients name them all in one header, of which servers take 8 KiB.
MOST_PARTIALS = 50


class SessionState(StrEnum):
    #: It takes bytes.
    OPEN = "open"
    #: All bytes are there; they become the image's, or its staged data.
    FINISHING = "finishing"
    #: The image is active, or has staged data.
    DONE = "done"
    #: It was given up; the image is queued again.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PieceDigest:
    """What the sender says that all bytes of a request have: they are taken whole, or not at all. ``algorithm`` is one
    of hashlib's."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class PartRun:
    """Parts that lie behind each other: ``count`` of ``size`` bytes, with the numbers from ``first`` on. ``url`` is
    their location with ``PLACE`` where the name of each stands; empty for parts that the target has taken."""

    first: int
    count: int
    size: int
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UploadSession:
    """``id`` can't be guessed. ``offset``: bytes that are durable, and where the next one goes. ``length``: of the
    whole in bytes, None while it is not known. ``note``: what the dialect wants to remember, texts by name.
    ``last_error``: why it was given up, in a user's words. ``cleaned``: it has ended, and none of its bytes is left.
    Times are aware UTC.

    ``tag`` tells its parts from those of others; ``parts`` are those that count, ``next`` is a number that no part has
    had. ``target`` is the store that the image was promised to, ``staging`` the one where parts wait. ``version``
    counts saves and is the compare-and-set key.

    ``key``: the target takes the parts itself, and makes the blob of that name of them; None: they wait in the staging
    store. ``handle``: what the target calls the parts, None before the first one. ``ends``: the number of the last part
    is given.

    ``to_stage``: all of it becomes data that is staged for a later import, and ``target`` is the staging store; else
    the image's data.

    A target may want parts of some size: smaller ones, always the last that have come, wait in the staging store until
    there are enough for one. ``taken`` is a number that no part in the target has had.

    Who writes a part claims its number first: ``next - 1`` in the staging store and ``taken - 1`` in the target, before
    it is known which of them the part goes to. What went to the staging store gives the target's back. So ``taken`` is
    never more than ``next``, one claim is open at most, and parts in ``parts`` have smaller numbers than those, in
    rising order. A writer that was overtaken has a smaller number than who came behind it: by that the target knows it.

    A joint session gets no bytes: it is joined of partial ones, in the order of their ids in ``joined``, which is empty
    until the end and None for others. Its ``length`` is what they have all together. A partial one has the tag of its
    joint one, an underscore, and its own; ``busy`` names the request that works on it."""

    id: str
    image_id: str
    owner: str | None
    tag: str
    target: str
    staging: str
    expires_at: datetime
    offset: int = 0
    length: int | None = None
    state: SessionState = SessionState.OPEN
    note: Mapping[str, str] = field(default_factory=dict)
    last_error: str | None = None
    parts: tuple[PartRun, ...] = ()
    next: int = 0
    initiator: Initiator = field(default_factory=Initiator)
    cleaned: bool = False
    joined: tuple[str, ...] | None = None
    busy: str | None = None
    key: str | None = None
    handle: str | None = field(default=None, repr=False)
    ends: bool = False
    taken: int = 0
    to_stage: bool = False
    version: int = 1

    @property
    def complete(self) -> bool:
        """Whether all bytes are there."""
        return self.length is not None and self.offset == self.length

    @property
    def waiting(self) -> int:
        """Bytes that wait in the staging store."""
        return sum(x.count * x.size for x in self.parts if x.url)

    @property
    def staged(self) -> bool:
        """Whether something of it may be, or have been, in the staging store."""
        return self.key is None or self.next > self.taken

    @property
    def live(self) -> bool:
        """Whether something of it is still to come."""
        return self.state in (SessionState.OPEN, SessionState.FINISHING)

    @property
    def partial(self) -> bool:
        """Whether it becomes a part of a joint session."""
        return "_" in self.tag

    @property
    def place(self) -> str:
        """How the names of its parts begin; nothing is called so itself."""
        return f"{self.image_id}.{self.tag}"

    @property
    def leased(self) -> str:
        """The place that the image's lease names: its own, or its joint session's."""
        return f"{self.image_id}.{self.tag.partition('_')[0]}"

    @property
    def blob(self) -> BlobRef | None:
        """What the target makes of the parts, where it takes them itself. Staged data is nobody's but the service's
        own."""
        return None if self.key is None else BlobRef(self.target, self.key, None if self.to_stage else self.owner)

    def part(self, number: int) -> str:
        """The name of a part in the staging store."""
        return f"{self.place}_{number}"

    def urls(self) -> Iterator[str]:
        """The locations in the staging store of the parts that count, in their order."""
        for run in self.parts:
            for number in range(run.first, run.first + run.count) if run.url else ():
                yield run.url.replace(PLACE, self.part(number))

    # -- transitions -------------------------------------------------------------------------------
    def of_length(self, length: int) -> UploadSession:
        """Its length is known from now on. Raises Conflict when it was another, SizeMismatch when more is there
        already."""
        if self.length is not None and self.length != length:
            raise errors.SizeMismatch(f"the upload was declared to have {self.length} bytes, and now {length}")
        if length < self.offset:
            raise errors.SizeMismatch(f"the upload has {self.offset} bytes already, and {length} are declared")
        return replace(self, length=length)

    def claimed(self) -> UploadSession:
        """Somebody writes the part ``next - 1`` from now on, or ``taken - 1`` in the target: no other one has that
        number. Raises LimitExceeded when there are no more."""
        if self.next >= MOST_PARTS:
            raise self.too_many()
        return replace(self, next=self.next + 1, taken=self.taken + 1)

    def unclaimed(self) -> UploadSession:
        """Nobody has written the part ``next - 1``: its number is for the next one."""
        return replace(self, next=self.next - 1, taken=self.taken - 1)

    def ending(self) -> UploadSession:
        """The target is to take what waits as the part ``taken - 1``, the last one; who goes on gives it the same
        number, as it is the same part."""
        return replace(self, next=self.next + 1, taken=self.taken + 1, ends=True)

    def took(self, size: int, handle: str) -> UploadSession:
        """The target has taken ``size`` bytes as the part ``taken - 1``: those that waited, and what came behind them.
        Raises LimitExceeded when there are too many."""
        parts = self._with(PartRun(self.taken - 1, 1, size, ""), tuple(x for x in self.parts if not x.url))
        return replace(self, parts=parts, offset=sum(x.count * x.size for x in parts), handle=handle)

    def grown(self, number: int, size: int, url: str) -> UploadSession:
        """With one more part, which is durable at ``url``. Raises LimitExceeded when there are too many."""
        parts = self._with(PartRun(number, 1, size, url.replace(self.part(number), PLACE)), self.parts)
        return replace(self, parts=parts, offset=self.offset + size, taken=self.taken - 1)

    def gathered(self, number: int, size: int, url: str) -> UploadSession:
        """The same, but with all that waited in this part as well."""
        taken = tuple(x for x in self.parts if not x.url)
        parts = (*taken, PartRun(number, 1, size, url.replace(self.part(number), PLACE)))
        return replace(self, parts=parts, offset=sum(x.count * x.size for x in parts), taken=self.taken - 1)

    def _with(self, run: PartRun, parts: tuple[PartRun, ...]) -> tuple[PartRun, ...]:
        last = parts[-1] if parts else None
        if last is not None and replace(last, count=1, first=run.first) == run and last.first + last.count == run.first:
            parts = (*parts[:-1], replace(last, count=last.count + 1))
        else:
            parts = (*parts, run)
        if len(parts) > MOST_RUNS or self.next > MOST_PARTS:
            raise self.too_many()
        return parts

    def too_many(self) -> errors.LimitExceeded:
        """There are no numbers left."""
        return errors.LimitExceeded(
            f"the upload has {self.offset} bytes in too many pieces; end it, and begin again with larger ones"
        )

    def finishing(self) -> UploadSession:
        return replace(self, state=SessionState.FINISHING, last_error=None)

    def joining(self, partials: Sequence[UploadSession], target: str, note: Mapping[str, str]) -> UploadSession:
        """All bytes are there, in ``partials``, in their order."""
        size = sum(x.offset for x in partials)
        return replace(
            self.finishing(), joined=tuple(x.id for x in partials), offset=size, length=size, target=target, note=note
        )

    def ended(self, state: SessionState, last_error: str | None = None) -> UploadSession:
        return replace(self, state=state, last_error=last_error)

    def emptied(self) -> UploadSession:
        """Its bytes are gone."""
        return replace(self, parts=(), cleaned=True)
