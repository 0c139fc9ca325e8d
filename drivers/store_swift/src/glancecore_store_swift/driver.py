"""Images as objects in OpenStack Swift: one object each, or segments and a manifest when they are large."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import chain

from swiftclient import ClientException

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import Cap, PlaceMarker, Store, StoredBlob, StoredPart
from glancecore.sdk.multipart import UploadPart, send_in_parts
from glancecore_store_swift.account import Account
from glancecore_store_swift.checks import check
from glancecore_store_swift.cluster import MB, MOST_SEGMENTS, Cluster
from glancecore_store_swift.containers import Containers
from glancecore_store_swift.logins import logins
from glancecore_store_swift.options import OPTIONS
from glancecore_store_swift.places import KEY, Place, Places
from glancecore_store_swift.reader import read_object
from glancecore_store_swift.segments import PREFIX, dynamic_prefix, head_of, objects, remove, segment_name, segments
from glancecore_store_swift.tempurl import confined, temp_url
from glancecore_store_swift.uploads import SMALL, TYPE, UPLOAD, Uploads

LIBRARY_LOG = logging.getLogger("swiftclient")
#: ``ping`` must return within 5 s: a login and a request, each of which connects and waits.
_PING_SECONDS = 1.2
#: How long the right to begin a download is good: what Swift's clock may be wrong by.
_READ_SECONDS = 3600.0


class SwiftStore(Store):
    """Location: ``swift+config://store-id/container/key``; Glance's other forms are read too, see ``places``."""

    plugin_api = "1.0"
    schemes = ("swift+config", "swift", "swift+https", "swift+http")
    options = OPTIONS
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE, Cap.LIST, Cap.PRESIGN, Cap.MARK, Cap.PARTS})
    #: With each image in its owner's account: nobody may walk through all accounts, none of them is the store's place,
    #: and who may write to it could change what has come and is not complete.
    multi_tenant_caps = caps - {Cap.LIST, Cap.MARK, Cap.PARTS}
    least_part = SMALL
    most_parts = MOST_SEGMENTS

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        check(name, conf)
        reference, known = logins(name, conf)
        self._accounts = {
            each: Account(name, conf, login, timeout=conf.swift_store_timeout, retries=conf.swift_store_retry_put_count)
            for each, login in known.items()
        }
        self._tenants: bool = conf.swift_store_multi_tenant
        if self._tenants:
            self.caps = self.multi_tenant_caps
        self._places = Places(
            name,
            reference,
            self._accounts,
            conf.swift_store_container,
            conf.swift_store_multiple_containers_seed,
            tenants=self._tenants,
        )
        self._account = self._places.account
        self._pinged = Account(
            name, conf, known[reference], timeout=min(conf.swift_store_timeout, _PING_SECONDS), retries=0
        )
        self._cluster = Cluster()
        self._containers = Containers(name, conf, self._places, self._cluster)
        self._uploads = Uploads(name, conf, self._cluster)

    # -- the store itself --------------------------------------------------------------------------
    def create(self) -> None:
        self._containers.create()

    def start(self) -> None:
        # it logs the headers of every request at INFO, unless the operator has set its level
        if LIBRARY_LOG.level == logging.NOTSET:
            LIBRARY_LOG.setLevel(logging.WARNING)
        _ = self._account.storage_url  # a wrong login is told before a wrong container
        with suppress(errors.StoreError), self._account.connection("start") as connection:
            self._cluster.about = connection.get_capabilities(self._account.storage_url)  # operators may hide it
        self.most_parts = self._cluster.most_segments
        if self._cluster.lacks("slo"):
            raise errors.ConfigError(
                f"[{self.name}] this Swift has no static large objects: add slo to its proxy servers' pipeline"
            )
        largest = self._cluster.largest_object
        if self.conf.swift_store_large_object_size * MB > largest:
            raise errors.ConfigError(
                f"[{self.name}] swift_store_large_object_size = {self.conf.swift_store_large_object_size}: this Swift"
                f" takes objects up to {largest // MB} MB; give that or less"
            )
        self._containers.prepare()

    def ping(self) -> None:
        try:
            self._containers.look(self._pinged, "ping")
        except errors.BlobNotFound as exc:
            raise errors.StoreUnavailable(f"store {self.name}: the container is gone", self.name, "ping") from exc

    @property
    def place(self) -> str:
        return f"swift:{self._places.name}"

    @property
    def properties(self) -> Mapping[str, object]:
        return {
            "container": self.conf.swift_store_container,
            "large_object_size": self.conf.swift_store_large_object_size,
            "large_object_chunk_size": self.conf.swift_store_large_object_chunk_size,
        }

    def close(self) -> None:
        for account in (*self._accounts.values(), self._pinged):
            account.close()

    # -- places ------------------------------------------------------------------------------------
    def markers(self) -> Sequence[PlaceMarker]:
        """One for all containers that images are spread to, in the one whose name they begin with."""
        if self._tenants:
            return super().markers()
        return [PlaceMarker(f"swift_store_container = {self.conf.swift_store_container}", self._containers.marker())]

    def mark(self, where: str, content: bytes) -> bytes:
        if self._tenants:
            return super().mark(where, content)
        return self._containers.mark(content)

    # -- writing -----------------------------------------------------------------------------------
    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        return self.put_for(None, key, chunks, size)

    def put_for(self, owner: str | None, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        place = self._places.of(key, owner)
        self._containers.make(place)
        if head_of(place, "put") is not None:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put")
        try:
            self._uploads.write(place, chunks, size)
        except BaseException:
            with suppress(errors.StoreError):
                self._containers.unmake(place, "put")
            raise
        return self._places.url(place)

    # -- writing in parts: segments of one upload, which the handle names with the container -------
    def begin_parts(self, owner: str | None, key: str, size: int | None = None) -> str:
        if Cap.PARTS not in self.caps:
            return super().begin_parts(owner, key, size)
        place = self._places.of(key)
        self._containers.make(place)
        if head_of(place, "begin_parts") is not None:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "begin_parts")
        handle = f"{secrets.token_hex(8)}.{place.container}"
        with place.account.connection("begin_parts") as connection:
            connection.put_object(place.container, self._begun(place, handle).key, b"", content_type=TYPE)
        return handle

    def put_part(self, key: str, handle: str, number: int, offset: int, chunks: Iterable[bytes]) -> None:
        if Cap.PARTS not in self.caps:
            return super().put_part(key, handle, number, offset, chunks)
        place, begun = self._parts_of(key, handle)
        largest = self._cluster.largest_object
        name = self._segment(place, handle, number)

        def send(part: UploadPart) -> None:
            if part.number > 1:
                raise errors.TooLarge(f"a piece that goes to store {self.name} as a whole has at most {largest} bytes")
            self._uploads.put_segment(place, name, part)

        send_in_parts(chunks, send, lambda _number: largest, 1, self.conf.swift_upload_buffer_dir or None)
        if head_of(begun, "put_part") is None:  # all was completed, or discarded, meanwhile
            remove(place.account, [(place.container, name)], "put_part", 1)
            raise self._unknown("put_part")
        return None

    def complete_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> str:
        if Cap.PARTS not in self.caps:
            return super().complete_parts(key, handle, parts)
        place = Place(self._account, handle.partition(".")[2], key)
        head = head_of(place, "complete_parts")
        if head is None:
            self._parts_of(key, handle)
            sent = [(self._segment(place, handle, x.number), None, x.size) for x in parts]
            try:
                self._uploads.put_manifest(place, handle.partition(".")[0], sent)
            except errors.StoreError as exc:
                if (
                    not isinstance(exc.__cause__, ClientException)
                    or exc.__cause__.http_status != HTTPStatus.BAD_REQUEST
                ):
                    raise
                said = (exc.__cause__.http_response_content or b"").lower()
                if b"size mismatch" in said or b"404 not found" in said:
                    raise errors.SizeMismatch("the parts are not all there, with these sizes") from exc
                # a segment that is on a server that is away is told by a 400, too
                raise errors.StoreUnavailable(
                    f"store {self.name}: not all parts can be found at the moment", self.name, "complete_parts"
                ) from exc
        elif head.get(UPLOAD) != handle.partition(".")[0]:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "complete_parts")
        named = {self._segment(place, handle, x.number) for x in parts}
        others = [
            x["name"]
            for x in objects(place.account, place.container, "complete_parts", prefix=f"{PREFIX}{key}/")
            if x["name"] not in named
        ]
        remove(
            place.account,
            [(place.container, x) for x in others],
            "complete_parts",
            self.conf.swift_store_segment_threads,
        )
        return self._places.url(place)

    def _parts_of(self, key: str, handle: str) -> tuple[Place, Place]:
        """Where they are, and what says that they were begun. Raises BlobNotFound."""
        place = Place(self._account, handle.partition(".")[2], key)
        begun = self._begun(place, handle)
        if head_of(begun, "put_part") is None:
            raise self._unknown("put_part")
        return place, begun

    def _begun(self, place: Place, handle: str) -> Place:
        return Place(place.account, place.container, f"{PREFIX}{place.key}/{handle.partition('.')[0]}/begun")

    def _segment(self, place: Place, handle: str, number: int) -> str:
        return segment_name(place.key, handle.partition(".")[0], number)

    def _unknown(self, operation: str) -> errors.BlobNotFound:
        return errors.BlobNotFound(f"store {self.name}: no such parts", self.name, operation)

    def delete(self, url: str) -> None:
        place = self._places.find(url, "delete")
        if not self._remove(place, "delete"):
            raise self._absent("delete")

    def discard(self, key: str) -> None:
        self.discard_for(None, key)

    def discard_for(self, owner: str | None, key: str) -> None:
        if self._places.possible(owner):  # else ``put_for`` has refused it
            self._remove(self._places.of(key, owner), "discard")

    # -- reading -----------------------------------------------------------------------------------
    def canonical(self, url: str) -> str:
        return self._places.url(self._places.find(url, "canonical"))

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        place = self._places.find(url, "open")
        if length == 0:
            self.size(url)
            return iter(())
        return read_object(place, offset, length, self.conf.swift_store_retry_get_count, lambda: self._confined(place))

    def size(self, url: str) -> int:
        head = head_of(self._places.find(url, "size"), "size")
        if head is None:
            raise self._absent("size")
        return int(head["content-length"])

    def presign(self, url: str, seconds: float) -> str:
        place = self._places.find(url, "presign")
        if head_of(place, "presign") is None:
            raise self._absent("presign")
        return temp_url(place, seconds, self.conf, self._cluster.about)

    def list(self) -> Iterator[StoredBlob]:
        if self._tenants:
            return super().list()
        return chain.from_iterable(map(self._listed, self._containers.names()))

    # -- inside ------------------------------------------------------------------------------------
    def _remove(self, place: Place, operation: str) -> bool:
        """The segments first: when it ends in the middle, what is left can still be found. Was it there?"""
        head = head_of(place, operation)
        remove(place.account, segments(place, head, operation), operation, self.conf.swift_store_segment_threads)
        try:
            if head is not None:
                with place.account.connection(operation) as connection:
                    connection.delete_object(place.container, place.key)
        except errors.BlobNotFound:
            head = None
        self._containers.unmake(place, operation)
        return head is not None

    def _confined(self, place: Place) -> str | None:
        """The login may read all accounts, and what lies in a project's account the project may replace by a link to
        another's."""
        return confined(place, _READ_SECONDS, self.conf, self._cluster.about) if self._places.alone(place) else None

    def _listed(self, container: str) -> Iterator[StoredBlob]:
        dynamic: set[str] = set()
        for entry in objects(self._account, container, "list", delimiter="/"):
            key = entry.get("name", "")
            if not KEY.fullmatch(key) or not self._places.owns(container, key) or key.rstrip("0123456789") in dynamic:
                continue
            place, size = Place(self._account, container, key), int(entry["bytes"])
            if not size:  # nothing, or Glance's manifest, whose segments come next
                head = head_of(place, "list")
                if head is None:
                    continue
                size = int(head["content-length"])
                found = dynamic_prefix(head)
                if found and found[0] == container:
                    dynamic.add(found[1])
            yield StoredBlob(
                key, self._places.url(place), size, datetime.fromisoformat(entry["last_modified"]).replace(tzinfo=UTC)
            )

    def _absent(self, operation: str) -> errors.BlobNotFound:
        return errors.BlobNotFound(f"the image's data is not in store {self.name}", self.name, operation)
