"""Moves the data of all images out of a store: each has a proven copy elsewhere before the one there goes.

A copy is made under a lease that names it before its first byte, and goes in another one: a process that dies leaves
nothing half, and another run goes on."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from glancecore.domain import errors
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Location, LocationStatus, Status
from glancecore.domain.lease import BlobRef, Operation
from glancecore.features.copies.extension import CopiesExtension
from glancecore.features.copies.inventory import being_written_to, held_in
from glancecore.features.copies.use_cases import WITH_DATA, CopyVerdict
from glancecore.features.images.extension import ImagesExtension
from glancecore.kernel.core import CoreTools
from glancecore.kernel.operations import Held
from glancecore.kernel.transfer.downloads import Download
from glancecore.kernel.transfer.draining import AGE, Draining
from glancecore.kernel.transfer.hashing import Hashes
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.periodic.pace import JobPace
from glancecore.ports.periodic import JobContext
from glancecore.ports.upkeep import MoveOutcome, MoveResult, Order
from glancecore.sdk.checkpoints import checkpoint

#: Seconds between two looks at what is left because somebody works on it.
_LOOK = 1.0
#: Operations that are undone or finished there and then.
_SHORT = frozenset({Operation.UPLOAD, Operation.DELETE, Operation.DROP_LOCATION, Operation.MOVE})
#: Proves data that has no hash: what was read and what was written are compared.
_OWN_HASH = "sha256"


def refuse_last(stores: Stores, store_id: str, draining: Draining) -> None:
    """Raises ConfigError for a store that may not be drained: data for which no store is named would have nowhere to
    go. ``draining``: as the database says now."""
    ways = [x.id for x in stores.unnamed]
    if store_id in ways and not any(
        x.id != store_id and x.available and x.writable and x.id not in draining for x in stores.unnamed
    ):
        others = [x for x in stores.ids if x not in ways]
        raise errors.ConfigError(
            f"ID: data for which no store is named goes to {' or '.join(ways)}, and would have nowhere to go: name a"
            " store that takes data in [glance_store] fallback_stores, or make it the default_backend, on every"
            f" node{f', such as {others[0]}' if others else ''}"
        )


class Evacuation:
    def __init__(self, tools: CoreTools, turn: JobContext, order: Order) -> None:
        """Raises ConfigError when it can't begin."""
        self._tools = tools
        self._turn = turn
        self._order = order
        self._pace = JobPace(turn, order.rate)
        self._stores = tools.stores
        self._copies = tools.of(CopiesExtension).use_cases
        self._locations = tools.of(ImagesExtension).locations
        self._check()

    def run(self) -> Iterator[MoveResult]:
        """Each image as it is done, or given up; those that somebody works on when the others are done. Raises
        JobStopped."""
        failed: set[str] = set()
        idle = time.monotonic()
        while True:
            busy: dict[str, str] = {}
            for seen in held_in(self._tools.database, self._order.origin):
                self._turn.check()
                done = self._move(seen.id) if seen.id not in failed else None
                if done is None:
                    continue
                if done.outcome is MoveOutcome.BUSY:
                    busy[done.image] = done.why
                    continue
                if done.outcome is MoveOutcome.FAILED:
                    failed.add(done.image)
                idle = time.monotonic()
                yield done
            for image in being_written_to(self._tools.database, self._order.origin):
                busy.setdefault(image.id, f"its data is being written to store {self._order.origin}")
            if self._turn.dry_run or not busy or time.monotonic() - idle >= self._order.patience:
                yield from (MoveResult(image, MoveOutcome.BUSY, why=why) for image, why in busy.items())
                return
            self._tools.core.reaper.take_over(_SHORT)  # of processes that have died, also when no other one runs
            self._turn.pause(_LOOK)

    # -- inside ------------------------------------------------------------------------------------
    def _check(self) -> None:
        origin, to = self._order.origin, self._order.to
        for store_id, option in ((origin, "FROM"), (to, "--to")):
            if store_id is not None and store_id not in self._stores.ids:
                raise errors.ConfigError(
                    f"{option}: no store {store_id!r} among those of [DEFAULT] enabled_backends; there are:"
                    f" {', '.join(self._stores.ids)}"
                )
        since = Draining(self._tools.database).since(origin)
        if since is None and not self._turn.dry_run:
            raise errors.ConfigError(
                f"FROM: store {origin} takes new data while it is emptied; first run: glance-manage store drain"
                f" {origin}"
            )
        if to == origin:
            raise errors.ConfigError(f"--to: store {origin} is the one that is emptied; name another one")
        targets = [self._stores.get(to)] if to is not None else [x for x in self._stores.unnamed if x.id != origin]
        if not any(x.available and x.writable for x in targets):
            said = f"store {to} takes no new data" if to is not None else "no store takes data for which none is named"
            raise errors.ConfigError(
                f"--to: {said}; name one that is there, writable and not draining, of {', '.join(self._stores.ids)}"
            )
        if since is not None:  # until then other processes may not know it
            self._turn.pause(min(AGE, max(0.0, AGE - (datetime.now(UTC) - since).total_seconds())))

    def _move(self, image_id: str) -> MoveResult | None:
        """None when there is nothing to be done any more."""
        try:
            image = self._tools.database.images.get_any(image_id)
            if not self._there(image):
                marked = any(x.store == self._order.origin for x in image.locations)
                return MoveResult(image.id, MoveOutcome.BUSY, why="its copy is being removed") if marked else None
            if image.status is Status.PENDING_DELETE:
                return MoveResult(
                    image.id,
                    MoveOutcome.FAILED,
                    why=(
                        "it is deleted and waits for its end: run glance-scrubber when its time has "
                        "come, or bring it back"
                    ),
                )
            if image.status not in WITH_DATA:
                return MoveResult(image.id, MoveOutcome.BUSY, why=f"it is {image.status.value}")
            return self._move_whole(image)
        except errors.ImageNotFound:
            return None
        except errors.JobStopped:
            raise
        except (errors.ImageBusy, errors.WrongStatus, errors.LeaseLost, errors.ConcurrentChange, errors.Gone) as exc:
            return MoveResult(image_id, MoveOutcome.BUSY, why=str(exc))
        except errors.GlanceError as exc:
            cause = f": {exc.__cause__}" if isinstance(exc.__cause__, errors.GlanceError) else ""
            return MoveResult(image_id, MoveOutcome.FAILED, why=f"{exc}{cause}")

    def _move_whole(self, image: Image) -> MoveResult:
        """Raises ImageNotFound, ImageBusy, Gone and the like, HashMismatch, DataDamaged, StoreError."""
        kept, doubtful = self._elsewhere(image)
        target = self._target(image) if kept is None else self._stores.get(kept.store)
        if target.id in doubtful:
            raise errors.DataDamaged(
                f"its copy in store {target.id} is not what it was, or can't be read: run glance-periodic run auditor"
            )
        done = (
            MoveResult(image.id, MoveOutcome.DROPPED, target.id)
            if kept is not None
            else MoveResult(image.id, MoveOutcome.MOVED, target.id, image.size or 0)
        )
        if self._turn.dry_run:
            return done
        if kept is None:
            kept = self._copy(self._readable(image), target)
            checkpoint("move.copied")
        for location in self._there(self._tools.database.images.get_any(image.id)):
            if location.status is LocationStatus.DAMAGED:
                self._copies.drop_damaged(image.id, location.url)
        self._locations.leave(image.id, self._order.origin, kept.url)
        return done

    def _there(self, image: Image) -> list[Location]:
        return [x for x in image.live_locations if x.store == self._order.origin]

    def _elsewhere(self, image: Image) -> tuple[Location | None, set[str]]:
        """A good copy in another store that stays, read and proven, if there is one; and the stores whose copy proved
        to be none."""
        doubtful: set[str] = set()
        for location in self._stores.by_preference(x for x in image.good_locations if self._stays(x)):
            if self._turn.dry_run or self._is_whole(image, location):
                return location, doubtful
            doubtful.add(location.store)
        return None, doubtful

    def _stays(self, location: Location) -> bool:
        if location.store == self._order.origin or location.store not in self._stores.ids:
            return False
        store = self._stores.get(location.store)
        return (
            store.id == self._order.to
            if self._order.to is not None
            else store.available and store.vouches and not store.draining
        )

    def _is_whole(self, image: Image, location: Location) -> bool:
        if _expected(image)[1] is not None:
            return self._copies.inspect(image, location, self._pace.passed).verdict is CopyVerdict.GOOD
        return self._digest(location) == self._digest(self._there(image)[0])

    def _digest(self, location: Location) -> str:
        reading = _Reading(self._stores.holding(location).open(location.url), _OWN_HASH, self._pace.passed)
        for _ in reading:
            pass
        return reading.digest

    def _target(self, image: Image) -> StoreFacade:
        if self._order.to is not None:
            return self._stores.get(self._order.to)
        found = self._stores.for_data(None, image.size)
        if found.id != self._order.origin:
            return found
        # it does not drain yet, or that is not known here yet; of one that takes data again, nothing goes elsewhere
        known = self._turn.dry_run or self._order.origin in Draining(self._tools.database)
        for other in self._stores.unnamed if known else ():
            if other.id != self._order.origin and other.available and other.writable:
                return other
        raise errors.StoreUnavailable("no other store takes data for which none is named: name one with --to", found.id)

    def _readable(self, image: Image) -> Image:
        """The image, with a good copy: one that was marked as damaged may be right again. Raises DataDamaged."""
        if image.good_locations:
            return image
        for location in self._there(image):
            if (
                _expected(image)[1] is None
                or self._copies.inspect(image, location, self._pace.passed).verdict is not CopyVerdict.GOOD
            ):
                continue
            if (found := self._copies.mark(image.id, location.url, LocationStatus.ACTIVE)) is not None:
                return found
        raise errors.DataDamaged(
            "its data is damaged, and there is no good copy: bring the store's data back from a backup, or delete the"
            " image"
        )

    def _copy(self, image: Image, target: StoreFacade) -> Location:
        """One more copy, proven, by the first copy that is good."""
        download = Download(image, self._stores.readable(image, [self._order.origin]), self._stores)
        for first in range(download.copies):
            try:
                return self._copy_from(image, download.read(first), target)
            except errors.HashMismatch:
                if first == download.copies - 1:
                    raise
                image = self._tools.database.images.get_any(image.id)
        raise errors.DataDamaged("there is no good copy")

    def _copy_from(self, image: Image, pieces: Iterator[bytes], target: StoreFacade) -> Location:
        after = replace(image, attempt=image.attempt + 1)
        ref = BlobRef(target.id, after.blob_key, image.owner)
        with self._tools.core.operations.hold(image, after, Operation.MOVE, stable=image.status, blobs=(ref,)) as held:
            checkpoint("move.held")
            algorithm, expected = _expected(image)
            reading = _Reading(pieces, algorithm, self._passing(held))
            location = target.put(ref.key, _proved(reading, expected), image.size, owner=ref.owner)
            held.made(lambda: target.delete(location.url), lambda x: any(y.url == location.url for y in x.locations))
            checkpoint("move.after_put")
            if expected is None and self._digest(location) != reading.digest:
                raise errors.DataDamaged(f"store {target.id} gives other data than it was given")
            held.finish(
                lambda x: replace(x, locations=(*x.locations, location)),
                events=lambda x: [ImageEvent(EventType.IMAGE_UPDATE, x)],
            )
        return location

    def _passing(self, held: Held) -> Callable[[int], None]:
        def passing(count: int) -> None:
            held.check()
            self._pace.passed(count)

        return passing


def _expected(image: Image) -> tuple[str, str | None]:
    """The strongest hash that the image has, and its value; None when it has none."""
    if image.hash_algo and image.hash_value:
        return image.hash_algo, image.hash_value
    return ("md5", image.checksum) if image.checksum else (_OWN_HASH, None)


class _Reading:
    """Data, with the digest of it when it has passed."""

    def __init__(self, pieces: Iterator[bytes], algorithm: str, passing: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._hashes = Hashes([algorithm])
        self._algorithm = algorithm
        self._passing = passing
        self.digest = ""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._pieces:
                self._hashes.update(piece)
                self._passing(len(piece))
                yield piece
            self.digest = self._hashes.result()[self._algorithm]
        finally:
            self._hashes.close()
            close: Callable[[], None] | None = getattr(self._pieces, "close", None)
            if close:
                close()


def _proved(reading: _Reading, expected: str | None) -> Iterator[bytes]:
    """The pieces. Raises HashMismatch from inside the stream, so that a store does not publish what is wrong."""
    first = True
    for piece in reading:
        yield piece
        if first:
            first = False
            checkpoint("move.first_piece")
    if expected is not None and not hmac.compare_digest(reading.digest, expected):
        raise errors.HashMismatch("its stored data is damaged: its hash is not the recorded one")
