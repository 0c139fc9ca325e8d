"""Long work on an image, held by a lease: how it begins, reserves room, and ends well or badly. Whatever happens, the
image is not stuck: when the process dies between, the reaper takes its lease over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from glancecore.domain import errors
from glancecore.domain.context import Initiator
from glancecore.domain.events import Event
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import BlobRef, Lease, Operation
from glancecore.domain.quota import Limits
from glancecore.kernel.leases import Leases
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.writer import Writer
from glancecore.ports.repository import Change, ImageChanged, ImageRepository, LeaseChanged, LeaseEnded, WithinLimits

LOG = logging.getLogger(__name__)
#: First reservation for data of unknown length, and the largest step by which it grows; bytes.
FIRST_STEP, LARGEST_STEP = 1 << 20, 256 << 20


UNLIMITED = Limits()
#: Statuses that an image has only while an operation works on it, or rests staged.
TRANSIENT = frozenset({Status.SAVING, Status.UPLOADING, Status.IMPORTING})
#: How often an image may be changed by others while an operation ends.
CHANGES = 30


def _no_events(_: Image) -> Sequence[Event]:
    return ()


class Reservation:
    """Bytes that are reserved before they are taken, in growing steps, so that parallel work can't overshoot a
    project's limit. ``save`` commits that so many are reserved, or raises QuotaExceeded; ``reserved`` is what is by
    now."""

    def __init__(self, reserved: Callable[[], int], save: Callable[[int], None]) -> None:
        self._reserved = reserved
        self._save = save
        self._step = FIRST_STEP

    def need(self, size: int, copies: int = 1) -> None:
        """Make sure that room for so many copies of ``size`` bytes is reserved. Raises QuotaExceeded, LeaseLost."""
        if size * copies <= self._reserved():
            return
        for wanted in ((size + self._step) * copies, size * copies):
            try:
                self._save(wanted)
            except errors.QuotaExceeded:
                if wanted == size * copies:
                    raise
            else:
                self._step = min(self._step * 2, LARGEST_STEP)
                return


class Held:
    """An image that this process works on."""

    def __init__(self, operations: Operations, image: Image, lease: Lease, limit: int | None) -> None:
        self.image = image
        #: Raises LeaseLost once somebody else has taken the image over; cheap enough for every piece of data.
        self.check = operations.leases.check(lease)
        self._operations = operations
        self._lease = lease
        self._limit = limit
        self._reservation = Reservation(lambda: self._lease.reserved, self._reserve)
        self._remove: Callable[[], None] = lambda: None
        self._belongs: Callable[[Image], bool] = lambda _: False

    def reserve(self, size: int) -> None:
        """Make sure that so many bytes are reserved for the image's project. Raises QuotaExceeded, LeaseLost."""
        if self._limit is not None:
            self._reservation.need(size)

    def _reserve(self, size: int) -> None:
        grown = replace(self._lease, reserved=size)
        self._operations.repository.commit(LeaseChanged(grown), WithinLimits(grown.project, Limits(bytes=self._limit)))
        self._lease = grown

    def made(self, remove: Callable[[], None], belongs: Callable[[Image], bool]) -> None:
        """The work has made something: ``remove`` takes it away, unless it ``belongs`` to the image by then."""
        self._remove, self._belongs = remove, belongs

    def finish(
        self,
        change: Callable[[Image], Image] = lambda x: x,
        *changes: Change,
        events: Callable[[Image], Sequence[Event]] = _no_events,
        initiator: Initiator | None = None,
    ) -> Image:
        """The image after ``change``, saved, and the lease ends. ``initiator``: see ``Writer.save``. Raises
        LeaseLost."""
        before = self.image
        for _ in range(CHANGES):
            made = change(before)
            saved = None if made == before else self._operations.writer.image(before, made)
            after = saved.after if saved else before
            try:
                self._operations.writer.save(
                    *([saved] if saved else []),
                    LeaseEnded(self._lease),
                    *changes,
                    events=events(after),
                    initiator=initiator,
                )
            except errors.ConcurrentChange:  # its metadata was changed meanwhile, or it is being deleted
                was, before = before, self._operations.repository.get_any(self.image.id)
                if before.version == was.version:  # it is something else that has changed
                    raise
                if before.status is Status.DELETING or (
                    self.image.status in TRANSIENT and before.status is not self.image.status
                ):
                    raise errors.LeaseLost(f"image {before.id} is {before.status.value}") from None
            else:
                return after
        raise errors.ConcurrentChange(f"image {self.image.id} keeps being changed")

    def give_up(self, cause: BaseException) -> None:
        """Nothing stays of the work, and the image goes back to its stable status with the reason. What can't be
        removed now is named by the lease, which expires and is the reaper's."""
        LOG.info("%s of image %s ended with %s: %s", self._lease.operation, self.image.id, type(cause).__name__, cause)
        try:
            if self._ours():
                self._remove()
                self._operations.release(
                    self._lease, str(cause) if isinstance(cause, errors.GlanceError) else f"the {self._word} broke off"
                )
        except errors.LeaseLost:
            LOG.info("image %s is not ours any more", self.image.id)
        except errors.GlanceError as exc:
            LOG.warning("image %s: can't clean up now (%s); the reaper will", self.image.id, exc)

    @property
    def _word(self) -> str:
        return "upload" if self._lease.operation in (Operation.UPLOAD, Operation.STAGE) else str(self._lease.operation)

    def _ours(self) -> bool:
        """Whether what was made may be removed. A commit whose answer was lost may have made it the image's: writing to
        the lease waits for such a commit, and fails when it has ended the lease."""
        try:
            self._operations.repository.commit(LeaseChanged(self._lease))
        except errors.LeaseLost:
            try:
                return not self._belongs(self._operations.repository.get_any(self.image.id))
            except errors.ImageNotFound:
                return True
        return True


class Operations:
    def __init__(self, repository: ImageRepository, writer: Writer, leases: Leases) -> None:
        self.repository = repository
        self.writer = writer
        self.leases = leases

    @contextmanager
    def hold(
        self,
        image: Image,
        after: Image | None,
        operation: str,
        *,
        stable: Status = Status.QUEUED,
        blobs: tuple[BlobRef, ...] = (),
        reserve: int = 0,
        limits: Limits = UNLIMITED,
        events: Callable[[Image], Sequence[Event]] = _no_events,
    ) -> Iterator[Held]:
        """The image, ``after`` the operation has begun, for the work of the ``with`` block, which ends with ``finish``.
        ``after`` None: the image stays as it is meanwhile. Work that raises Suspended is left to another process, as
        that of one that dies.

        ``stable``: the status that it goes back to when the work fails. ``blobs``: what the work may leave in stores,
        named before the first byte. ``reserve``: bytes for the image's project. Raises WrongStatus when the image has
        changed meanwhile, QuotaExceeded, and Gone when it was deleted or taken over during the work."""
        saved = None if after is None else self.writer.image(image, after)
        begun = saved.after if saved else image
        lease = self.leases.new(
            begun, operation, image.status if saved is None else stable, blobs=blobs, reserved=reserve
        )
        with self.noting(image if saved else None):
            self.begin(image, saved, lease, limits, events=events(begun))
        with self._held(Held(self, begun, lease, limits.bytes), lease) as held:
            yield held

    @contextmanager
    def noting(self, image: Image | None) -> Iterator[None]:
        """Work that has not begun yet, and is refused for what its data would take: the image, when it stays as it is,
        tells the reason."""
        try:
            yield
        except (errors.TooLarge, errors.QuotaExceeded) as exc:
            if image is not None and image.last_error != str(exc):
                try:
                    self.writer.save(self.writer.image(image, replace(image, last_error=str(exc))))
                except errors.GlanceError as other:
                    LOG.info("image %s: it does not tell why its data was refused: %s", image.id, other)
            raise

    @contextmanager
    def resume(self, lease: Lease) -> Iterator[Held]:
        """The work of a process that has died, under the lease that this one has taken over: for the work of the
        ``with`` block, which ends with ``finish``. Raises Gone when the image was deleted or taken over."""
        try:
            image = self.repository.get_any(lease.image_id)
        except errors.ImageNotFound as exc:
            self.leases.forget(lease)
            raise errors.Gone(f"image {lease.image_id} was deleted during its {lease.operation}") from exc
        with self._held(Held(self, image, lease, None), lease) as held:
            yield held

    @contextmanager
    def _held(self, held: Held, lease: Lease) -> Iterator[Held]:
        try:
            yield held
        except errors.Suspended:  # the lease expires, and another process resumes it
            raise
        except BaseException as exc:
            held.give_up(exc)
            if isinstance(exc, (errors.LeaseLost, errors.ImageNotFound)):
                raise errors.Gone(f"image {lease.image_id} was deleted during its {lease.operation}") from exc
            raise
        finally:
            self.leases.forget(lease)

    def begin(
        self,
        image: Image,
        saved: ImageChanged | None,
        lease: Lease,
        limits: Limits,
        *changes: Change,
        events: Sequence[Event] = (),
    ) -> None:
        """The commit that begins an operation: what ``saved`` makes of the image, its lease with what it reserves
        within ``limits``, and ``changes``. Raises WrongStatus when the image has changed meanwhile, QuotaExceeded."""
        within = Limits(bytes=limits.bytes, uploading=limits.uploading)
        more = [] if within == Limits() else [WithinLimits(image.owner, within)]
        try:
            self.writer.save(*([saved] if saved else []), self.leases.taken(lease), *changes, *more, events=events)
        except errors.ConcurrentChange as exc:
            self.leases.forget(lease)
            raise errors.WrongStatus(f"image {image.id} has changed meanwhile; look at its status") from exc
        except BaseException:
            self.leases.forget(lease)
            raise

    @on_concurrent_change
    def release(self, lease: Lease, last_error: str | None) -> None:
        """Give an operation up: the lease ends, and an image that is in the operation's own status goes back to its
        stable one, with the reason. What somebody else has made of it meanwhile stays.

        Raises LeaseLost when somebody else holds the image now."""
        try:
            image = self.repository.get_any(lease.image_id)
        except errors.ImageNotFound as exc:
            raise errors.LeaseLost(f"image {lease.image_id} is gone") from exc
        if image.status is Status.DELETING:
            raise errors.LeaseLost(f"image {image.id} is being deleted")
        if image.status not in TRANSIENT or image.status is lease.stable:
            self.writer.save(LeaseEnded(lease))
        else:
            self.writer.save(self.writer.image(image, image.give_up(lease.stable, last_error)), LeaseEnded(lease))
