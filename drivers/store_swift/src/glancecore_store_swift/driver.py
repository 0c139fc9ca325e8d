"""Images as objects in OpenStack Swift: one object each, or segments and a manifest when they are large."""

from __future__ import annotations

import hashlib
import logging
import secrets
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import chain
from typing import Any

from swiftclient import ClientException

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import CHUNK, MARKER, MARKER_SIZE, Cap, PlaceMarker, Store, StoredBlob, StoredPart, agreed
from glancecore.sdk.multipart import PartStopped, UploadPart, exactly, send_in_parts
from glancecore_store_swift.account import Account
from glancecore_store_swift.logins import logins
from glancecore_store_swift.options import OPTIONS
from glancecore_store_swift.places import KEY, Place, Places
from glancecore_store_swift.reader import read_object
from glancecore_store_swift.segments import (
    PREFIX,
    Headers,
    dynamic_prefix,
    is_static,
    manifest,
    objects,
    remove,
    segment_name,
    segments,
)
from glancecore_store_swift.tempurl import confined, key_header, temp_url
from glancecore_store_swift.trouble import store_errors

MB = 1 << 20
#: Images up to this size are kept in memory until they are complete, so that they can be sent again.
SMALL = 8 * MB
#: What a cluster that does not tell allows at least.
_MOST_SEGMENTS = 1000
LOG = logging.getLogger(__name__)
LIBRARY_LOG = logging.getLogger("swiftclient")
_LARGEST_OBJECT = 5 << 30
#: ``ping`` must return within 5 s: a login and a request, each of which connects and waits.
_PING_SECONDS = 1.2
#: Tells uploads apart: whose object is it that is there?
_UPLOAD = "x-object-meta-upload"
_TYPE = "application/octet-stream"
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
    most_parts = _MOST_SEGMENTS

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        _check(name, conf)
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
        self._about: Mapping[str, Any] = {}
        self._made: set[str] = set()

    # -- the store itself --------------------------------------------------------------------------
    def create(self) -> None:
        if not self._tenants and self.conf.swift_store_create_container_on_put:
            try:
                self._look(self._account, "create")
            except errors.BlobNotFound:
                self._make(Place(self._account, self.conf.swift_store_container, ""))

    def start(self) -> None:
        if (
            LIBRARY_LOG.level == logging.NOTSET
        ):  # it logs the headers of every request at INFO, unless the operator has set its level
            LIBRARY_LOG.setLevel(logging.WARNING)
        _ = self._account.storage_url  # a wrong login is told before a wrong container
        with suppress(errors.StoreError), self._account.connection("start") as connection:
            self._about = connection.get_capabilities(self._account.storage_url)  # operators may hide it
        self.most_parts = self._about.get("slo", {}).get("max_manifest_segments", _MOST_SEGMENTS)
        if self._about and "slo" not in self._about:
            raise errors.ConfigError(
                f"[{self.name}] this Swift has no static large objects: add slo to its proxy servers' pipeline"
            )
        largest = self._about.get("swift", {}).get("max_file_size", _LARGEST_OBJECT)
        if self.conf.swift_store_large_object_size * MB > largest:
            raise errors.ConfigError(
                f"[{self.name}] swift_store_large_object_size = {self.conf.swift_store_large_object_size}: this Swift"
                f" takes objects up to {largest // MB} MB; give that or less"
            )
        if self._tenants:
            self._check_tenants()
        else:
            self._prepare()

    def ping(self) -> None:
        try:
            self._look(self._pinged, "ping")
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
        return [PlaceMarker(f"swift_store_container = {self.conf.swift_store_container}", self._marker())]

    def mark(self, where: str, content: bytes) -> bytes:
        if self._tenants:
            return super().mark(where, content)
        container = self.conf.swift_store_container
        self._make(Place(self._account, container, MARKER))

        def write() -> None:
            with suppress(errors.BlobExists), self._account.connection("mark") as connection:
                connection.put_object(
                    container,
                    MARKER,
                    content,
                    len(content),
                    content_type="application/json",
                    headers={"If-None-Match": "*"},
                )

        found = agreed(self._marker, write)
        if found is None:
            raise errors.StoreUnavailable(
                f"the marker of store {self.name} was removed while it was made", self.name, "mark"
            )
        return found

    def _marker(self) -> bytes | None:
        try:
            with self._account.connection("markers") as connection:
                _, pieces = connection.get_object(
                    self.conf.swift_store_container, MARKER, resp_chunk_size=MARKER_SIZE + 1
                )
                with closing(pieces):
                    content: bytes = next(pieces, b"")
                if len(content) > MARKER_SIZE:  # the rest is not read, so the connection can't be used again
                    raise errors.StoreUnavailable(
                        f"store {self.name}: what is named as its marker is none", self.name, "markers"
                    )
                return content
        except errors.BlobNotFound:
            return None

    # -- writing -----------------------------------------------------------------------------------
    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        return self.put_for(None, key, chunks, size)

    def put_for(self, owner: str | None, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        place = self._places.of(key, owner)
        self._make(place)
        if self._head(place, "put") is not None:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put")
        try:
            self._write(place, chunks, size)
        except BaseException:
            with suppress(errors.StoreError):
                self._unmake(place, "put")
            raise
        return self._places.url(place)

    def _write(self, place: Place, chunks: Iterable[bytes], size: int | None) -> None:
        upload, source = secrets.token_hex(8), iter(exactly(chunks, size))
        first, ended = _first(source, min(SMALL, MB * self.conf.swift_store_large_object_size))
        if ended:
            self._put_object(place, upload, first, sum(map(len, first)), repeat=True)
        elif size is not None and size <= self.conf.swift_store_large_object_size * MB:
            self._put_object(place, upload, chain(first, source), size, repeat=False)
        else:
            self._put_segments(place, upload, chain(first, source), size)

    # -- writing in parts: segments of one upload, which the handle names with the container -------
    def begin_parts(self, owner: str | None, key: str, size: int | None = None) -> str:
        if Cap.PARTS not in self.caps:
            return super().begin_parts(owner, key, size)
        place = self._places.of(key)
        self._make(place)
        if self._head(place, "begin_parts") is not None:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "begin_parts")
        handle = f"{secrets.token_hex(8)}.{place.container}"
        with place.account.connection("begin_parts") as connection:
            connection.put_object(place.container, self._begun(place, handle).key, b"", content_type=_TYPE)
        return handle

    def put_part(self, key: str, handle: str, number: int, offset: int, chunks: Iterable[bytes]) -> None:
        if Cap.PARTS not in self.caps:
            return super().put_part(key, handle, number, offset, chunks)
        place, begun = self._parts_of(key, handle)
        largest = self._about.get("swift", {}).get("max_file_size", _LARGEST_OBJECT)
        name = self._segment(place, handle, number)

        def send(part: UploadPart) -> None:
            if part.number > 1:
                raise errors.TooLarge(f"a piece that goes to store {self.name} as a whole has at most {largest} bytes")
            self._put_segment(place, name, part)

        send_in_parts(chunks, send, lambda _number: largest, 1, self.conf.swift_upload_buffer_dir or None)
        if self._head(begun, "put_part") is None:  # all was completed, or discarded, meanwhile
            remove(place.account, [(place.container, name)], "put_part", 1)
            raise self._unknown("put_part")
        return None

    def complete_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> str:
        if Cap.PARTS not in self.caps:
            return super().complete_parts(key, handle, parts)
        place = Place(self._account, handle.partition(".")[2], key)
        head = self._head(place, "complete_parts")
        if head is None:
            self._parts_of(key, handle)
            sent = [(self._segment(place, handle, x.number), None, x.size) for x in parts]
            try:
                self._put_manifest(place, handle.partition(".")[0], sent)
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
        elif head.get(_UPLOAD) != handle.partition(".")[0]:
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
        if self._head(begun, "put_part") is None:
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
        head = self._head(self._places.find(url, "size"), "size")
        if head is None:
            raise self._absent("size")
        return int(head["content-length"])

    def presign(self, url: str, seconds: float) -> str:
        place = self._places.find(url, "presign")
        if self._head(place, "presign") is None:
            raise self._absent("presign")
        return temp_url(place, seconds, self.conf, self._about)

    def list(self) -> Iterator[StoredBlob]:
        if self._tenants:
            return super().list()
        return chain.from_iterable(map(self._listed, self._containers()))

    # -- inside: writing ---------------------------------------------------------------------------
    def _put_object(self, place: Place, upload: str, chunks: Iterable[bytes], size: int, *, repeat: bool) -> None:
        """``repeat``: ``chunks`` is a list, and can be sent again."""
        body = _Body(chunks)
        try:
            with closing(body), place.account.connection("put", repeat=repeat) as connection:
                etag = connection.put_object(
                    place.container,
                    place.key,
                    body,
                    size,
                    content_type=_TYPE,
                    headers={"If-None-Match": "*", _UPLOAD: upload},
                )
        except errors.BlobExists:
            # an answer that was lost, and a second request that met what the first one had made
            if not self._is_ours(place, upload):
                raise
            etag = body.md5
        except errors.StoreError:
            self._clean_up(place, upload, [])
            raise
        except _SourceFailed:
            raise body.failure or errors.StoreError(f"store {self.name} failed", self.name, "put") from None
        if etag != body.md5:
            self._clean_up(place, upload, [])
            raise errors.StoreUnavailable(f"store {self.name}: Swift got other bytes than were sent", self.name, "put")

    def _put_segments(self, place: Place, upload: str, chunks: Iterable[bytes], size: int | None) -> None:
        begun: list[str] = []

        def send(part: UploadPart) -> tuple[str, str, int]:
            name = segment_name(place.key, upload, part.number)
            begun.append(name)
            return name, self._put_segment(place, name, part), part.size

        try:
            sent = send_in_parts(
                chunks,
                send,
                self._room(size),
                self.conf.swift_store_segment_threads,
                self.conf.swift_upload_buffer_dir or None,
            )
            self._put_manifest(place, upload, sent)
        except BaseException:
            self._clean_up(place, upload, begun)
            raise

    def _put_segment(self, place: Place, name: str, part: UploadPart) -> str:
        """Its ETag."""
        body = _Body(part)
        try:
            with closing(body), place.account.connection("put") as connection:
                etag: str = connection.put_object(place.container, name, body, part.size, content_type=_TYPE)
        except _SourceFailed:
            raise body.failure or PartStopped from None
        if etag != body.md5:
            raise errors.StoreUnavailable(f"store {self.name}: Swift got other bytes than were sent", self.name, "put")
        return etag

    def _put_manifest(self, place: Place, upload: str, sent: Sequence[tuple[str, str | None, int]]) -> None:
        try:
            with place.account.connection("put") as connection:
                connection.put_object(
                    place.container,
                    place.key,
                    manifest(place.container, sent),
                    content_type=_TYPE,
                    query_string="multipart-manifest=put",
                    headers={"If-None-Match": "*", _UPLOAD: upload},
                )
        except errors.BlobExists:
            if not self._is_ours(place, upload):
                raise
        head = self._head(place, "put")
        if head is None or not is_static(head) or int(head["content-length"]) != sum(each[2] for each in sent):
            raise errors.StoreUnavailable(
                f"store {self.name}: Swift made no large object of the segments", self.name, "put"
            )

    def _room(self, size: int | None) -> Any:
        """Bytes of the segment of a number: as configured, but more where the manifest could not name as many.

        Of an unknown size, the segments become larger as they become more.
        """
        most = self._about.get("slo", {}).get("max_manifest_segments", _MOST_SEGMENTS)
        largest = self._about.get("swift", {}).get("max_file_size", _LARGEST_OBJECT)
        segment = self.conf.swift_store_large_object_chunk_size * MB
        if size is not None:
            return lambda _number: min(largest, max(segment, -(-size // most)))
        return lambda number: min(largest, segment << (number - 1) * 4 // most)

    def _clean_up(self, place: Place, upload: str, names: Iterable[str]) -> None:
        """What an upload that failed has left. Trouble here must not hide why it failed: ``discard`` comes later."""
        with suppress(errors.StoreError):
            head = self._head(place, "put")
            # when it is not there, a request that was given up may still make it: a later deletion prevents that
            mine = [place.key] if head is None or head.get(_UPLOAD) == upload else []
            remove(
                place.account,
                [(place.container, name) for name in (*mine, *names)],
                "put",
                self.conf.swift_store_segment_threads,
            )

    def _is_ours(self, place: Place, upload: str) -> bool:
        head = self._head(place, "put")
        return head is not None and head.get(_UPLOAD) == upload

    def _remove(self, place: Place, operation: str) -> bool:
        """The segments first: when it ends in the middle, what is left can still be found. Was it there?"""
        head = self._head(place, operation)
        remove(place.account, segments(place, head, operation), operation, self.conf.swift_store_segment_threads)
        try:
            if head is not None:
                with place.account.connection(operation) as connection:
                    connection.delete_object(place.container, place.key)
        except errors.BlobNotFound:
            head = None
        self._unmake(place, operation)
        return head is not None

    # -- inside: containers ------------------------------------------------------------------------
    def _prepare(self) -> None:
        try:
            self._look(self._account, "start")
        except errors.BlobNotFound:
            if not self.conf.swift_store_create_container_on_put:
                raise errors.ConfigError(
                    f"[{self.name}] swift_store_container = {self.conf.swift_store_container} does not exist: make it,"
                    " or set swift_store_create_container_on_put = true"
                ) from None
            away = errors.PlaceMissing(f"store {self.name}: the container is gone", self.name, "start")
            away.add_note(
                f"[{self.name}] swift_store_container: {self.conf.swift_store_container} does not exist: bring it back,"
                " or name the right one"
            )
            raise away from None

    def _check_tenants(self) -> None:
        """May this login use other projects' accounts? Looking at one that is not there makes none."""
        if self._about and "tempurl" not in self._about:
            raise errors.ConfigError(
                f"[{self.name}] swift_store_multi_tenant: this Swift has no temporary URLs, which images in other"
                " accounts are read with: add tempurl to its proxy servers' pipeline"
            )
        try:
            with self._account.of("glancecore-may-it").connection("start") as connection:
                connection.head_account()
        except errors.BlobNotFound:
            return
        except errors.StoreForbidden as exc:
            raise errors.ConfigError(
                f"[{self.name}] swift_store_multi_tenant: Swift lets"
                f" {self._account.login.account}:{self._account.login.user} into no other project's account: give it"
                " the reseller admin role (tempauth: .reseller_admin; Keystone: the reseller_admin_role of Swift's"
                " keystoneauth)"
            ) from exc

    def _look(self, account: Account, operation: str) -> None:
        """Raises BlobNotFound when the container is not there."""
        with account.connection(operation) as connection:
            if self._tenants:
                with suppress(errors.BlobNotFound), store_errors(self.name, operation):
                    connection.head_account()  # it comes with the first image
            elif self.conf.swift_store_multiple_containers_seed:
                connection.head_account()  # none of the containers must be there
            else:
                connection.head_container(self.conf.swift_store_container)

    def _make(self, place: Place) -> None:
        """Once for each shared container in a process; making one that exists changes nothing."""
        if self._tenants:
            self._make_own(place)
        elif self.conf.swift_store_create_container_on_put and place.container not in self._made:
            with self._account.connection("put") as connection:
                connection.put_container(place.container)
            self._made.add(place.container)

    def _make_own(self, place: Place) -> None:
        who = ",".join(
            self.conf.swift_store_admin_tenants
            if self._account.login.version == "1"
            else [f"{project}:*" for project in self.conf.swift_store_admin_tenants]
        )
        access = {"X-Container-Read": who, "X-Container-Write": who} if who else {}
        try:
            with place.account.connection("put") as connection:
                connection.put_container(
                    place.container, headers={**key_header(place.account, place.container, self.conf), **access}
                )
        except errors.BlobNotFound as exc:
            raise errors.StoreForbidden(
                f"store {self.name}: the image's owner has no account in Swift, and Swift makes none: make it, or set "
                "account_autocreate in its proxy servers",
                self.name,
                "put",
            ) from exc

    def _unmake(self, place: Place, operation: str) -> None:
        """The image's own container goes with it, unless its owner has put something else there."""
        if not self._places.alone(place):
            return
        with suppress(errors.BlobNotFound), place.account.connection(operation) as connection:
            try:
                connection.delete_container(place.container)
            except ClientException as exc:
                if exc.http_status != HTTPStatus.CONFLICT:
                    raise
                LOG.info("store %s: container %s stays: it is not empty", self.name, place.container)

    def _confined(self, place: Place) -> str | None:
        """The login may read all accounts, and what lies in a project's account the project may replace by a link to
        another's."""
        return confined(place, _READ_SECONDS, self.conf, self._about) if self._places.alone(place) else None

    def _containers(self) -> Iterator[str]:
        name, seed = self.conf.swift_store_container, self.conf.swift_store_multiple_containers_seed
        yield name
        marker = f"{name}_" if seed else ""
        while marker:
            with self._account.connection("list") as connection:
                page = connection.get_account(marker=marker, limit=1000, prefix=f"{name}_")[1]
            for container in page:
                yield container["name"]
            marker = page[-1]["name"] if page else ""

    def _listed(self, container: str) -> Iterator[StoredBlob]:
        dynamic: set[str] = set()
        for entry in objects(self._account, container, "list", delimiter="/"):
            key = entry.get("name", "")
            if not KEY.fullmatch(key) or not self._places.owns(container, key) or key.rstrip("0123456789") in dynamic:
                continue
            place, size = Place(self._account, container, key), int(entry["bytes"])
            if not size:  # nothing, or Glance's manifest, whose segments come next
                head = self._head(place, "list")
                if head is None:
                    continue
                size = int(head["content-length"])
                found = dynamic_prefix(head)
                if found and found[0] == container:
                    dynamic.add(found[1])
            yield StoredBlob(
                key, self._places.url(place), size, datetime.fromisoformat(entry["last_modified"]).replace(tzinfo=UTC)
            )

    def _head(self, place: Place, operation: str) -> Headers | None:
        try:
            with place.account.connection(operation) as connection:
                head: Headers = connection.head_object(place.container, place.key)
                return head
        except errors.BlobNotFound:
            return None

    def _absent(self, operation: str) -> errors.BlobNotFound:
        return errors.BlobNotFound(f"the image's data is not in store {self.name}", self.name, operation)


class _SourceFailed(Exception):
    """Ends a request whose source has failed. No OSError: the client libraries take those for trouble with the
    connection."""


class _Body:
    """What is sent, with its MD5. ``failure``: what its source raised.

    Its last piece is held back until the source has ended: when all the bytes that were announced have come, Swift has
    the object."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.failure: BaseException | None = None
        self.reset()

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    def reset(self, *_args: Any, **_kwargs: Any) -> None:
        """Asked for before it is sent again."""
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._left = self._pieces()

    def read(self, _size: int = -1) -> bytes | memoryview:
        """The next piece, whatever is asked for: the HTTP library asks for 16 KiB at a time, which is slow, and takes
        more as well."""
        piece = next(self._left, b"")
        self._md5.update(piece)
        return piece

    def close(self) -> None:
        """Lets go of the last piece: the HTTP library's answers, which hold the body, live until the garbage collector
        comes."""
        self._left.close()

    def _pieces(self) -> Generator[bytes | memoryview]:
        held: bytes | memoryview = b""
        try:
            for piece in self._chunks:
                for each in (piece,) if len(piece) <= CHUNK else _cut(memoryview(piece).cast("B")):
                    if each and held:
                        yield held
                    held = each or held
        except GeneratorExit:
            raise
        except BaseException as exc:
            self.failure = exc
            raise _SourceFailed from exc
        yield held


def _cut(large: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(large), CHUNK):
        yield large[start : start + CHUNK]


def _first(source: Iterator[bytes], size: int) -> tuple[list[bytes], bool]:
    """The first ``size`` bytes of ``source`` and what came with them; whether that is all of it, and not more than
    ``size``."""
    pieces, came = list[bytes](), 0
    for piece in source:
        pieces.append(bytes(piece))
        came += len(piece)
        if came > size:
            return pieces, False
    return pieces, True


def _check(name: str, conf: Section) -> None:
    """Raises ConfigError."""
    container = conf.swift_store_container
    if (
        not container
        or "/" in container
        or len(container.encode()) > 256 - 33
        or not container.isprintable()
        or container in {".", ".."}
    ):
        raise errors.ConfigError(
            f"[{name}] swift_store_container = {container!r}: give a name without slashes, of at most 223 bytes"
        )
    if conf.swift_store_multiple_containers_seed and not conf.swift_store_create_container_on_put:
        raise errors.ConfigError(
            f"[{name}] swift_store_multiple_containers_seed makes containers: set swift_store_create_container_on_put ="
            " true, or the seed to 0"
        )
    if conf.swift_store_multi_tenant and not conf.swift_store_create_container_on_put:
        raise errors.ConfigError(
            f"[{name}] swift_store_multi_tenant makes a container for each image: set"
            " swift_store_create_container_on_put = true"
        )
    if conf.swift_store_multi_tenant and conf.swift_store_multiple_containers_seed:
        raise errors.ConfigError(
            f"[{name}] swift_store_multiple_containers_seed spreads images in one account: set it to 0, or "
            "swift_store_multi_tenant to false"
        )
    if conf.swift_store_large_object_chunk_size * MB > _LARGEST_OBJECT:
        raise errors.ConfigError(
            f"[{name}] swift_store_large_object_chunk_size: it is more than Swift takes in one object; set"
            f" {_LARGEST_OBJECT // MB} at most"
        )
    _check_files(name, conf)


def _check_files(name: str, conf: Section) -> None:
    if conf.swift_store_cacert:
        try:
            with open(conf.swift_store_cacert, "rb"):  # noqa: PTH123
                pass
        except OSError as exc:
            raise errors.ConfigError(
                f"[{name}] swift_store_cacert = {conf.swift_store_cacert} can't be read"
                f" ({(exc.strerror or '').lower()}): name a file of PEM certificates that the service may read"
            ) from None
    try:
        with tempfile.TemporaryFile(dir=conf.swift_upload_buffer_dir or None):
            pass
    except OSError as exc:
        raise errors.ConfigError(
            f"[{name}] swift_upload_buffer_dir = {conf.swift_upload_buffer_dir or tempfile.gettempdir()} can't be"
            f" written to ({(exc.strerror or '').lower()}): name a folder that the service may write to"
        ) from None
