"""An image that grows by parts, each written from whatever process, until it gets its snapshot and is a blob.

Its header says whose turn it is: the number of the newest part, and the address by which the cluster knows the
connection that its bytes come by. Who comes next has the cluster shut that connection out, and then takes the turn in
one atomic step, which fails when somebody else has come between. So each part has a connection of its own, and a writer
that was overtaken, however late it wakes up, is refused by the cluster itself."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from glancecore.domain import errors
from glancecore_store_rbd.cluster import Cluster, Connection, named_errors, rados, rbd
from glancecore_store_rbd.transfer import opened

#: Numbers behind those of all parts: all are complete; all were discarded.
COMPLETE = (1 << 63) - 2
GONE = COMPLETE + 1
_BEGUN = -1
_KEY = "glance_turn"
#: Seconds after which a writer looks whether the turn is still its own: the cluster does not shut it out for ever.
_LOOK = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """``number``: of the newest part. ``writer``: the address of the connection that it comes by, empty when it has
    come."""

    number: int
    writer: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.writer}"

    @classmethod
    def parsed(cls, text: str) -> Turn:
        number, _, writer = text.partition(" ")
        return cls(int(number), writer)


class Writing:
    """The right to write to ``image`` over a connection of its own. ``settled``: nothing is under way to it."""

    image: Any

    def __init__(self, look: Callable[[], None]) -> None:
        self.settled = True
        self._look = look

    def watched(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """``pieces``, as long as nobody has taken the turn. Raises BlobInUse, BlobNotFound."""
        looked = _passed()
        for piece in pieces:
            if _passed() - looked > _LOOK:
                self._look()
                looked = _passed()
            yield piece


def _passed() -> float:
    """Seconds, also those in which the machine stood still."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def begin(pool: Any, image_id: str) -> None:
    """What was begun before goes on."""
    _swap(pool, image_id, None, Turn(_BEGUN))


def turn_of(pool: Any, image_id: str) -> Turn | None:
    """None of an image that does not grow: it is complete, or is not made of parts. Raises rados.ObjectNotFound."""
    with rados.ReadOpCtx() as operation:
        found, _ = pool.get_omap_vals_by_keys(operation, (_KEY,))
        pool.operate_read_op(operation, _header(image_id))
        return next((Turn.parsed(bytes(value).decode()) for _, value in found), None)


def grows(pool: Any, image_id: str) -> bool:
    """And was not discarded."""
    try:
        return turn_of(pool, image_id) not in {None, Turn(GONE)}
    except rados.ObjectNotFound:
        return False


@contextmanager
def writing(cluster: Cluster, store: str, image_id: str, number: int, operation: str) -> Iterator[Writing]:
    """Nobody with a smaller number, or who had this one before, writes any more. In the end, where nothing went wrong,
    all parts have come, and when they are ``COMPLETE`` the image grows no more. Raises BlobNotFound, BlobInUse when
    somebody with a larger number has come, and what Ceph's errors mean."""
    overtaken = errors.BlobInUse(f"store {store}: a newer part is written, or all are complete", store, operation)

    def look() -> None:
        with cluster.pool() as pool:
            if turn_of(pool, image_id) != mine:
                raise overtaken

    with named_errors(store), cluster.apart() as (connection, pool):
        mine = Turn(number, connection.address)
        if not _taken(connection, pool, image_id, mine):
            raise overtaken
        made = Writing(look)
        try:
            with opened(pool, image_id=image_id) as made.image:
                yield made
            if not _swap(pool, image_id, mine, None if number == COMPLETE else Turn(number)):
                raise overtaken
        except (rbd.Error, rados.Error):
            look()
            raise
        except BaseException:
            if made.settled:
                with suppress(rados.Error):
                    _swap(pool, image_id, mine, Turn(number))
            raise


def end(connection: Connection, pool: Any, image_id: str) -> None:
    """Nobody writes to it any more. ``pool`` is that of the ``connection``."""
    with suppress(rados.ObjectNotFound):
        while grows(pool, image_id):
            _taken(connection, pool, image_id, Turn(GONE))


def _taken(connection: Connection, pool: Any, image_id: str, mine: Turn) -> bool:
    """Take the turn, unless it is that of a larger number. The writer who had it is shut out before: who dies in
    between leaves its address there."""
    while True:
        found = turn_of(pool, image_id)
        if found is None or found.number > mine.number:
            return False
        if found.writer:
            connection.shut_out(found.writer)
        if _swap(pool, image_id, found, mine):
            return True


def _swap(pool: Any, image_id: str, before: Turn | None, after: Turn | None) -> bool:
    """In one atomic step, unless it is not ``before`` any more. Raises rados.ObjectNotFound."""
    with rados.WriteOpCtx() as operation:
        operation.omap_cmp(_KEY, "" if before is None else str(before))
        if after is None:
            pool.remove_omap_keys(operation, (_KEY,))
        else:
            pool.set_omap(operation, (_KEY,), (str(after).encode(),))
        try:
            pool.operate_write_op(operation, _header(image_id))
        except rados.OSError as exc:
            if exc.errno != errno.ECANCELED:
                raise
            return False
    return True


def _header(image_id: str) -> str:
    return f"rbd_header.{image_id}"
