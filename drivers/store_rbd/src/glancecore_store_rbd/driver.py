"""Images in a pool of Ceph: one RBD image a blob, with the protected snapshot that Nova and Cinder clone from."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from functools import partial
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlsplit

import tenacity

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import MARKER, MARKER_SIZE, Cap, PlaceMarker, Store, StoredBlob, StoredPart
from glancecore_store_rbd import growing
from glancecore_store_rbd.cluster import Cluster, named_errors, rados, rbd
from glancecore_store_rbd.options import OPTIONS
from glancecore_store_rbd.transfer import Reader, Writer, begun, opened, total

LOG = logging.getLogger(__name__)
#: The snapshot's name, which the consumers of images know. It is made last: without it there is no blob.
SNAPSHOT = "snap"
#: Seconds that the cluster keeps believing in a client that was killed while it had an image open.
WATCH = 40.0
PING = 4.5


class RbdStore(Store):
    """Location: ``rbd://CLUSTER/POOL/IMAGE/snap``, all parts quoted."""

    plugin_api = "1.0"
    schemes = ("rbd",)
    options = OPTIONS
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE, Cap.LIST, Cap.MARK, Cap.PARTS})

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        if conf.rbd_store_chunk_size & (conf.rbd_store_chunk_size - 1):
            raise errors.ConfigError(
                f"[{name}] rbd_store_chunk_size = {conf.rbd_store_chunk_size}: give a power of two, such as 8"
            )
        self._cluster = Cluster(name, conf)
        self._rbd = rbd.RBD()

    def start(self) -> None:
        try:
            with named_errors(self.name):
                self._cluster.start()
                self._fsid = self._cluster.fsid
                self._choose_caps()
        except BaseException:
            self._cluster.close()
            raise

    def _choose_caps(self) -> None:
        """Parts are safe only where a writer that was overtaken can be shut out."""
        self.caps = type(self).caps
        if not self._cluster.connection.may_shut_out():
            self.caps -= {Cap.PARTS}
            LOG.warning(
                "store %s: uploads in pieces go by the staging store, as the Ceph user %s lacks the cap mon 'profile"
                " rbd'",
                self.name,
                self.conf.rbd_store_user,
            )

    def ping(self) -> None:
        """Asks in a thread: a cluster that is away makes the question wait for ``rados_operation_timeout``."""
        found: list[BaseException | None] = []

        def ask() -> None:
            try:
                with named_errors(self.name):
                    self._cluster.answer()
            except BaseException as exc:  # noqa: BLE001 (raised again below)
                found.append(exc)
            else:
                found.append(None)

        thread = threading.Thread(target=ask, name=f"ping-{self.name}", daemon=True)
        thread.start()
        thread.join(PING)
        if not found:
            raise errors.StoreUnavailable(f"store {self.name}: the cluster does not answer", self.name, "ping")
        if found[0] is not None:
            raise found[0]

    @property
    def place(self) -> str:
        return f"rbd:{self._fsid}/{self.conf.rbd_store_pool}"

    @property
    def properties(self) -> Mapping[str, object]:
        return {
            "chunk_size": self.conf.rbd_store_chunk_size << 20,
            "pool": self.conf.rbd_store_pool,
            "thin_provisioning": self.conf.rbd_thin_provisioning,
            "fsid": self._fsid,
        }

    def free(self) -> int:
        with named_errors(self.name):
            return self._cluster.free()

    # -- places ------------------------------------------------------------------------------------
    def markers(self) -> Sequence[PlaceMarker]:
        """An object beside those of the images: no image has its name."""
        return [PlaceMarker(f"rbd_store_pool = {self.conf.rbd_store_pool}", self._marker())]

    def mark(self, where: str, content: bytes) -> bytes:  # noqa: ARG002 - there is one place
        with self._pool() as pool, contextlib.suppress(rados.ObjectExists), rados.WriteOpCtx() as operation:
            operation.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
            operation.write_full(content)
            pool.operate_write_op(operation, MARKER)
        found = self._marker()
        if found is None:
            raise errors.StoreUnavailable(
                f"the marker of store {self.name} was removed while it was made", self.name, "mark"
            )
        return found

    def _marker(self) -> bytes | None:
        with self._pool() as pool:
            try:
                content: bytes = pool.read(MARKER, MARKER_SIZE + 1)
            except rados.ObjectNotFound:
                return None
            return content

    # -- writing -----------------------------------------------------------------------------------
    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        with self._pool() as pool:
            try:
                self._create(pool, key, size or 0)
            except rbd.ImageExists as exc:
                if not self._growing(pool, key):
                    raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put") from exc
                self._remove(pool, key)
                self._create(pool, key, size or 0)
            try:
                self._fill(pool, key, chunks, size)
            except BaseException:
                with contextlib.suppress(errors.BlobNotFound, rbd.ImageNotFound):
                    self._remove(pool, key)
                raise
        return self._url(key)

    def _create(self, pool: Any, key: str, size: int) -> None:
        order = (self.conf.rbd_store_chunk_size << 20).bit_length() - 1
        self._rbd.create(pool, key, size, order=order, old_format=False, features=rbd.RBD_FEATURE_LAYERING)

    def _fill(self, pool: Any, key: str, chunks: Iterable[bytes], size: int | None) -> None:
        with opened(pool, key) as image:
            writer = Writer(image, size, sparse=self.conf.rbd_thin_provisioning)
            try:
                total(chunks, writer, size)
            except BaseException:
                writer.abandon()
                raise
            image.create_snap(SNAPSHOT)
            image.protect_snap(SNAPSHOT)

    def _growing(self, pool: Any, key: str) -> growing.Turn | None:
        """Whose turn it is, when parts of ``key`` have begun to come and are not complete."""
        with rbd.Image(pool, key, read_only=True) as image:
            return None if _snapped(image) else growing.turn_of(pool, image.id())

    def delete(self, url: str) -> None:
        """An image that clones of the second format depend on goes to the trash, and from there when the last clone has
        gone."""
        key = self._key(url)
        with self._pool() as pool:
            with rbd.Image(pool, key) as image:
                names = {x["name"] for x in image.list_snaps()}
                if names - {SNAPSHOT}:
                    raise errors.BlobInUse(f"store {self.name}: it has snapshots of somebody else", self.name, "delete")
                if SNAPSHOT in names:
                    growing.end(self._cluster.connection, pool, image.id())
                    self._unsnap(image)
                elif growing.grows(pool, image.id()):
                    raise errors.BlobNotFound(f"store {self.name} does not have it", self.name, "delete")
            try:
                self._rbd.remove(pool, key)
            except rbd.ImageHasSnapshots:
                self._rbd.trash_move(pool, key, 0)
            except rbd.ImageBusy:
                if SNAPSHOT in names:
                    self._resnap(pool, key)
                raise
        if SNAPSHOT not in names:  # the rest of a deletion that broke off
            raise errors.BlobNotFound(f"store {self.name} does not have it", self.name, "delete")

    def discard(self, key: str) -> None:
        """Waits until the cluster has noticed that a killed writer is gone, unless it wrote a part: then it is shut
        out."""
        with self._pool() as pool, contextlib.suppress(rbd.ImageNotFound):
            self._remove(pool, key)

    def _remove(self, pool: Any, key: str) -> None:
        """Whatever is there of ``key``."""
        with rbd.Image(pool, key) as image:
            growing.end(self._cluster.connection, pool, image.id())
            for snapshot in image.list_snaps():
                if snapshot["name"] != SNAPSHOT:
                    raise errors.BlobInUse(
                        f"store {self.name}: it has snapshots of somebody else", self.name, "discard"
                    )
                self._unsnap(image)
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(rbd.ImageBusy),
            stop=tenacity.stop_after_delay(WATCH),
            wait=tenacity.wait_fixed(1),
            reraise=True,
        ):
            with attempt:
                try:
                    self._rbd.remove(pool, key)
                except rbd.ImageHasSnapshots:
                    self._rbd.trash_move(pool, key, 0)

    def _unsnap(self, image: Any) -> None:
        """Raises ImageBusy while clones of the first format depend on it; then it stays as it was."""
        if image.is_protected_snap(SNAPSHOT):
            image.unprotect_snap(SNAPSHOT)
        try:
            image.remove_snap(SNAPSHOT)
        except rbd.ImageBusy:
            image.protect_snap(SNAPSHOT)
            raise

    def _resnap(self, pool: Any, key: str) -> None:
        with rbd.Image(pool, key) as image:
            image.create_snap(SNAPSHOT)
            image.protect_snap(SNAPSHOT)

    # -- writing in parts --------------------------------------------------------------------------
    def begin_parts(self, owner: str | None, key: str, size: int | None = None) -> str:  # noqa: ARG002 - one pool for all, and an image grows
        with self._pool() as pool:
            try:
                self._create(pool, key, 0)
            except rbd.ImageExists:
                if self._growing(pool, key) == growing.Turn(growing.GONE):
                    self._remove(pool, key)
                    self._create(pool, key, 0)
            with rbd.Image(pool, key, read_only=True) as image:
                if _snapped(image):
                    raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "begin_parts")
                handle = str(image.id())
            growing.begin(pool, handle)
        return handle

    def put_part(self, key: str, handle: str, number: int, offset: int, chunks: Iterable[bytes]) -> None:  # noqa: ARG002 - the handle tells the image
        """What an earlier part has left from ``offset`` on does not count: it is cut off, so that thin zeros are
        zeros. Nobody is shut out, and no connection is made, for a client that sends nothing."""
        coming = begun(chunks)
        with growing.writing(self._cluster, self.name, handle, number, "put_part") as writing:
            if writing.image.size() != offset:
                writing.image.resize(offset)
            writer = Writer(writing.image, None, sparse=self.conf.rbd_thin_provisioning, start=offset)
            try:
                total(writing.watched(coming), writer, None)
            except BaseException:
                writing.settled = writer.abandon()
                raise

    def open_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> Iterator[bytes]:  # noqa: ARG002 - the handle tells the image
        size = sum(x.size for x in parts)
        with contextlib.ExitStack() as opened, named_errors(self.name):
            pool = opened.enter_context(self._cluster.pool())
            if not growing.grows(pool, handle):
                raise errors.BlobNotFound(f"store {self.name}: no such parts", self.name, "open_parts")
            image = opened.enter_context(rbd.Image(pool, image_id=handle, read_only=True))
            if image.size() < size:
                raise errors.StoreUnavailable(
                    f"store {self.name}: the parts have {image.size()} bytes, and not {size}", self.name, "open_parts"
                )
            return Reader(self.name, image, 0, size, partial(growing.grows, pool, handle), opened.pop_all().close)

    def complete_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> str:
        size = sum(x.size for x in parts)
        with self._pool() as pool:
            try:
                turn = growing.turn_of(pool, handle)
            except rados.ObjectNotFound:
                turn = growing.Turn(growing.GONE)
            if turn is None:  # said again
                with rbd.Image(pool, image_id=handle, read_only=True) as image:
                    if not _snapped(image, size):
                        raise errors.BlobNotFound(f"store {self.name}: no such parts", self.name, "complete_parts")
            elif turn.number == growing.GONE:
                self._refuse(pool, key)
            else:
                with growing.writing(self._cluster, self.name, handle, growing.COMPLETE, "complete_parts") as writing:
                    self._become(writing.image, size)
        return self._url(key)

    def _become(self, image: Any, size: int) -> None:
        """A blob of ``size`` bytes; also when who began that has died. Raises SizeMismatch when it has fewer."""
        if not _snapped(image, size):
            found = image.size()
            if found < size:
                raise errors.SizeMismatch(f"the parts have {found} bytes, and not {size}")
            if found > size:
                image.resize(size)
            image.flush()
            image.create_snap(SNAPSHOT)
        if not image.is_protected_snap(SNAPSHOT):
            image.protect_snap(SNAPSHOT)

    def _refuse(self, pool: Any, key: str) -> NoReturn:
        """To make a blob of parts that are not there."""
        with contextlib.suppress(rbd.ImageNotFound), rbd.Image(pool, key, snapshot=SNAPSHOT, read_only=True):
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "complete_parts")
        raise errors.BlobNotFound(f"store {self.name}: no such parts", self.name, "complete_parts")

    # -- reading -----------------------------------------------------------------------------------
    def canonical(self, url: str) -> str:
        return self._url(self._key(url))

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        key = self._key(url)
        with contextlib.ExitStack() as opened, named_errors(self.name):
            pool = opened.enter_context(self._cluster.pool())
            image = opened.enter_context(rbd.Image(pool, key, snapshot=SNAPSHOT, read_only=True))
            size = image.size()
            start = min(offset, size)
            wanted = size - start if length is None else min(length, size - start)
            alive = _Alive(pool, image)
            return Reader(self.name, image, start, wanted, alive, opened.pop_all().close)

    def size(self, url: str) -> int:
        key = self._key(url)
        with self._pool() as pool, rbd.Image(pool, key, snapshot=SNAPSHOT, read_only=True) as image:
            return int(image.size())

    def list(self) -> Iterator[StoredBlob]:
        with self._pool() as pool:
            names = self._rbd.list(pool)
        for name in names:
            with (
                self._pool() as pool,
                contextlib.suppress(rbd.ImageNotFound),
                rbd.Image(pool, name, snapshot=SNAPSHOT, read_only=True) as image,
            ):
                yield StoredBlob(name, self._url(name), int(image.size()), image.create_timestamp().replace(tzinfo=UTC))

    def close(self) -> None:
        self._cluster.close()

    # -- inside ------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _pool(self) -> Iterator[Any]:
        with named_errors(self.name), self._cluster.pool() as pool:
            yield pool

    def _key(self, url: str) -> str:
        """Raises BadLocation unless the URL is of this cluster and pool."""
        refused = errors.BadLocation(f"not a location of store {self.name}", self.name)
        try:
            place = urlsplit(url).path.split("/")
            key = unquote(place[2]) if len(place) == 4 else ""
            if not key or url != self._url(key):
                raise refused
        except ValueError:  # no URL at all
            raise refused from None
        return key

    def _url(self, key: str) -> str:
        return f"rbd://{self._fsid}/{quote(self.conf.rbd_store_pool, safe='')}/{quote(key, safe='')}/{SNAPSHOT}"


def _snapped(image: Any, size: int | None = None) -> bool:
    """Whether it is a blob. Raises SizeMismatch when that has not the ``size``."""
    found = next((int(x["size"]) for x in image.list_snaps() if x["name"] == SNAPSHOT), None)
    if found is not None and size is not None and found != size:
        raise errors.SizeMismatch(f"the blob has {found} bytes, and not {size}")
    return found is not None


class _Alive:
    """Whether an open image's snapshot still exists, asked of the image's header: one question of the cluster. The
    snapshot is the first that a deletion removes, so what was read before it was still there is right."""

    def __init__(self, pool: Any, image: Any) -> None:
        self._pool = pool
        self._header = f"rbd_header.{image.id()}"
        number = next(x["id"] for x in image.list_snaps() if x["name"] == SNAPSHOT)
        self._key = f"snapshot_{number:016x}"

    def __call__(self) -> bool:
        try:
            with rados.ReadOpCtx() as operation:
                found, _ = self._pool.get_omap_vals_by_keys(operation, (self._key,))
                self._pool.operate_read_op(operation, self._header)
                return any(name == self._key for name, _ in found)
        except rados.ObjectNotFound:
            return False
