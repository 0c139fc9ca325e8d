"""Images as objects in an S3 service: one request each, or in parts when they are large."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from itertools import chain
from typing import Any, ClassVar

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import Cap, PlaceMarker, Store, StoredBlob, StoredPart
from glancecore.sdk.multipart import UploadPart, exactly, send_in_parts
from glancecore_store_s3.bucket import Bucket
from glancecore_store_s3.client import Clients, address, check
from glancecore_store_s3.options import OPTIONS
from glancecore_store_s3.parts import UPLOAD, ObjectParts
from glancecore_store_s3.reader import read_object
from glancecore_store_s3.trouble import status_of, store_errors

MB = 1 << 20
#: Images up to this size are kept in memory, the others in files.
SMALL = 8 * MB
#: Objects and uploads that are asked for at a time.
PAGE = 1000
#: Of an unknown size, parts become twice as large this often.
_STEPS = 8
_LARGEST_PART = 5 << 30
_PING_SECONDS = 2.0
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_URL = re.compile(r"s3(?:\+https?)?://([^\s?#]+)/([^/\s?#]+)/([^/\s?#]+)", re.ASCII)


class S3Store(Store):
    """Location: ``s3://host/bucket/key``; Glance's ``s3+https://access:secret@host/bucket/key`` are read too."""

    plugin_api = "1.0"
    schemes = ("s3", "s3+https", "s3+http")
    options = OPTIONS
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE, Cap.LIST, Cap.PRESIGN, Cap.MARK, Cap.PARTS})
    #: The service wants 5 MiB. What is not complete can't be read.
    least_part = 8 * MB

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        check(name, conf)
        endpoint = address(name, "s3_store_host", conf.s3_store_host)
        signing = (
            address(name, "s3_store_presign_host", conf.s3_store_presign_host)
            if conf.s3_store_presign_host
            else endpoint
        )
        try:
            with tempfile.TemporaryFile(dir=conf.s3_store_buffer_dir or None):
                pass
        except OSError as exc:
            raise errors.ConfigError(
                f"[{name}] s3_store_buffer_dir = {conf.s3_store_buffer_dir or tempfile.gettempdir()} can't be written"
                f" to ({(exc.strerror or '').lower()}): name a folder that the service may write to"
            ) from None
        self.most_parts = conf.s3_store_max_parts
        self._bucket = conf.s3_store_bucket
        self._host = endpoint.partition("://")[2]
        clients = Clients(conf)
        self._client = clients.made(endpoint, timeout=conf.s3_store_timeout, retries=conf.s3_store_retries)
        self._parts = ObjectParts(name, self._client, self._bucket, conf.s3_store_thread_pools)
        pinged = clients.made(endpoint, timeout=min(conf.s3_store_timeout, _PING_SECONDS), retries=0)
        self._place = Bucket(name, conf, self._client, pinged)
        self._signing = clients.made(signing, timeout=conf.s3_store_timeout, retries=0)

    # -- the store itself --------------------------------------------------------------------------
    def create(self) -> None:
        self._place.create()

    def start(self) -> None:
        self._place.prepare()

    def ping(self) -> None:
        self._place.ping()

    @property
    def place(self) -> str:
        return f"s3:{self._host}/{self._bucket}"

    @property
    def properties(self) -> Mapping[str, object]:
        return {
            "s3_store_large_object_size": self.conf.s3_store_large_object_size,
            "s3_store_large_object_chunk_size": self.conf.s3_store_large_object_chunk_size,
            "s3_store_thread_pools": self.conf.s3_store_thread_pools,
            "bucket": self._bucket,
        }

    def close(self) -> None:
        self._place.close()
        for each in (self._client, self._signing):
            each.close()

    # -- places ------------------------------------------------------------------------------------
    def markers(self) -> Sequence[PlaceMarker]:
        return [PlaceMarker(f"s3_store_bucket = {self._bucket}", self._place.marker())]

    def mark(self, where: str, content: bytes) -> bytes:  # noqa: ARG002 - there is one place
        return self._place.mark(content)

    # -- writing -----------------------------------------------------------------------------------
    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        if self._head(key, "put") is not None:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put")
        upload, source, large = (
            secrets.token_hex(8),
            iter(exactly(chunks, size)),
            self.conf.s3_store_large_object_size * MB,
        )
        first, ended = _first(source, min(SMALL, large))
        if ended:
            self._put_object(key, upload, b"".join(first))
        elif size is not None and size <= large:
            # with room for more, so that it is sent when the source has ended, and not when all its bytes have come
            send_in_parts(
                chain(first, source),
                lambda part: self._put_object(key, upload, _File(part)),
                lambda _number: large + 1,
                1,
                self._folder,
            )
        else:
            self._put_parts(key, upload, chain(first, source), size)
        return self._url(key)

    def delete(self, url: str) -> None:
        key = self._find(url, "delete")
        if self._head(key, "delete") is None:
            raise self._absent("delete")
        with store_errors(self.name, "delete"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def discard(self, key: str) -> None:
        for upload in list(self._uploads(key)):
            self._abort(key, upload, "discard")
        self._parts.forget(key, "discard")
        with store_errors(self.name, "discard"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    # -- writing in parts: the handle is what tells the object from others, and the upload ---------
    def begin_parts(self, owner: str | None, key: str, size: int | None = None) -> str:  # noqa: ARG002 - one bucket for all
        if self._head(key, "begin_parts") is not None:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "begin_parts")
        upload = secrets.token_hex(8)
        return f"{upload}.{self._created(key, upload, 'begin_parts')}"

    def put_part(self, key: str, handle: str, number: int, offset: int, chunks: Iterable[bytes]) -> None:  # noqa: ARG002 - it goes by numbers
        upload = handle.partition(".")[2]

        def send(part: UploadPart) -> None:
            if part.number > 1:
                raise errors.TooLarge(
                    f"a piece that goes to store {self.name} as a whole has at most {_LARGEST_PART} bytes"
                )
            self._parts.send(key, upload, number, _File(part))

        send_in_parts(chunks, send, lambda _number: _LARGEST_PART, 1, self._folder)

    def complete_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> str:
        upload, _, number = handle.partition(".")
        self._parts.complete(key, upload, number, parts)
        for other in list(self._uploads(key)):
            self._abort(key, other, "complete_parts")
        return self._url(key)

    # -- reading -----------------------------------------------------------------------------------
    def canonical(self, url: str) -> str:
        return self._url(self._find(url, "canonical"))

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        key = self._find(url, "open")
        if length == 0:
            self.size(url)
            return iter(())
        return read_object(
            self.name, self._client, {"Bucket": self._bucket, "Key": key}, offset, length, self.conf.s3_store_retries
        )

    def size(self, url: str) -> int:
        head = self._head(self._find(url, "size"), "size")
        if head is None:
            raise self._absent("size")
        return int(head["ContentLength"])

    def presign(self, url: str, seconds: float) -> str:
        key = self._find(url, "presign")
        if self._head(key, "presign") is None:
            raise self._absent("presign")
        signed: str = self._signing.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=max(1, round(seconds))
        )
        return signed

    def list(self) -> Iterator[StoredBlob]:
        for page in self._pages("list_objects_v2", "list", MaxKeys=PAGE):
            for entry in page.get("Contents", ()):
                if _KEY.fullmatch(entry["Key"]):
                    yield StoredBlob(entry["Key"], self._url(entry["Key"]), int(entry["Size"]), entry["LastModified"])

    # -- inside: writing ---------------------------------------------------------------------------
    def _put_object(self, key: str, upload: str, body: bytes | _File) -> None:
        """A body that can be sent again: an answer that was lost may be followed by a request that meets its own
        object."""
        try:
            with store_errors(self.name, "put"):
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=body, Metadata={UPLOAD: upload}, IfNoneMatch="*"
                )
        except errors.BlobExists:
            if not self._is_ours(key, upload):
                raise
        except errors.StoreError:
            self._clean_up(key, upload, None)
            raise

    def _put_parts(self, key: str, upload: str, chunks: Iterable[bytes], size: int | None) -> None:
        number = self._created(key, upload, "put")
        where = {"Bucket": self._bucket, "Key": key, "UploadId": number}

        def send(part: UploadPart) -> dict[str, object]:
            with store_errors(self.name, "put"):
                answer = self._client.upload_part(**where, PartNumber=part.number, Body=_File(part))
            return {"PartNumber": part.number, "ETag": answer["ETag"]}

        try:
            parts = send_in_parts(chunks, send, self._room(size), self.conf.s3_store_thread_pools, self._folder)
            self._complete(key, upload, where, parts)
        except BaseException:
            self._clean_up(key, upload, number)
            raise

    def _created(self, key: str, upload: str, operation: str) -> str:
        with store_errors(self.name, operation):
            number: str = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, Metadata={UPLOAD: upload})[
                "UploadId"
            ]
        return number

    def _complete(self, key: str, upload: str, where: Mapping[str, str], parts: Sequence[Mapping[str, object]]) -> None:
        if self._head(key, "put") is not None:  # Ceph's gateway completes an upload whatever the condition says
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put")
        try:
            with store_errors(self.name, "put"):
                self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
        except errors.StoreError:
            # an answer that was lost, and a second request that found the upload completed
            if not self._is_ours(key, upload):
                raise

    def _room(self, size: int | None) -> Callable[[int], int]:
        """Bytes of the part of a number: as configured, but more where the service would not take as many parts."""
        part, most = self.conf.s3_store_large_object_chunk_size * MB, self.conf.s3_store_max_parts
        if size is not None:
            return lambda _number: min(_LARGEST_PART, max(part, -(-size // most)))
        return lambda number: min(_LARGEST_PART, part << (number - 1) * _STEPS // most)

    def _clean_up(self, key: str, upload: str, number: str | None) -> None:
        """What an upload that failed has left. Trouble here must not hide why it failed: ``discard`` comes later."""
        with suppress(errors.StoreError):
            if number is not None:
                self._abort(key, number, "put")
        with suppress(errors.StoreError):
            if self._is_ours(key, upload):
                with store_errors(self.name, "put"):
                    self._client.delete_object(Bucket=self._bucket, Key=key)

    def _abort(self, key: str, number: str, operation: str) -> None:
        """One that is gone is as good as aborted."""
        try:
            with store_errors(self.name, operation):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=number)
        except errors.StoreError as exc:
            if status_of(exc.__cause__) != HTTPStatus.NOT_FOUND:
                raise

    def _uploads(self, key: str) -> Iterator[str]:
        """Unfinished uploads of exactly that key."""
        for page in self._pages("list_multipart_uploads", "discard", Prefix=key, MaxUploads=PAGE):
            for entry in page.get("Uploads", ()):
                if entry["Key"] == key:
                    yield entry["UploadId"]

    def _is_ours(self, key: str, upload: str) -> bool:
        head = self._head(key, "put")
        return head is not None and head.get("Metadata", {}).get(UPLOAD) == upload

    # -- inside ------------------------------------------------------------------------------------
    @property
    def _folder(self) -> str | None:
        return self.conf.s3_store_buffer_dir or None

    def _url(self, key: str) -> str:
        return f"s3://{self._host}/{self._bucket}/{key}"

    def _find(self, url: str, operation: str) -> str:
        """The key. Texts are compared with texts; credentials in an old location are not looked at: they may have been
        changed since."""
        found = _URL.fullmatch(url)
        if found:
            where, bucket, key = found.groups()
            if where.rpartition("@")[2] == self._host and bucket == self._bucket and _KEY.fullmatch(key):
                return key
        raise errors.BadLocation(f"not a location of store {self.name}", self.name, operation)

    def _head(self, key: str, operation: str) -> Mapping[str, Any] | None:
        try:
            with store_errors(self.name, operation):
                head: Mapping[str, Any] = self._client.head_object(Bucket=self._bucket, Key=key)
                return head
        except errors.BlobNotFound:
            return None

    def _pages(self, call: str, operation: str, **which: Any) -> Iterator[Mapping[str, Any]]:
        pages = iter(self._client.get_paginator(call).paginate(Bucket=self._bucket, **which))
        while True:
            with store_errors(self.name, operation):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _absent(self, operation: str) -> errors.BlobNotFound:
        return errors.BlobNotFound(f"the image's data is not in store {self.name}", self.name, operation)


class _File:
    """A part as the client library wants its bodies: it hashes them, sends them, and begins anew when it must."""

    #: What one read gives: the HTTP library asks for 16 KiB at a time, which is slow, and the signature for 1 MiB,
    #: which ten threads at once would hold. Both take what they are given until nothing is left.
    PIECE: ClassVar[int] = 128 << 10

    def __init__(self, part: UploadPart) -> None:
        self._part, self._at = part, 0

    def read(self, size: int | None = None) -> bytes:
        left = self._part.size - self._at
        data = self._part.read(self._at, left if size is None or size < 0 else min(left, self.PIECE))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._part.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at


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
