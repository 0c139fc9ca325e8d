"""Writing an image: in one request, or in segments and the manifest that makes them one object."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain
from typing import Any

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.sdk.multipart import PartStopped, UploadPart, exactly, send_in_parts
from glancecore_store_swift.body import Body, SourceFailed
from glancecore_store_swift.cluster import MB, Cluster
from glancecore_store_swift.places import Place
from glancecore_store_swift.segments import head_of, is_static, manifest, remove, segment_name

#: Images up to this size are kept in memory until they are complete, so that they can be sent again.
SMALL = 8 * MB
#: Tells uploads apart: whose object is it that is there?
UPLOAD = "x-object-meta-upload"
TYPE = "application/octet-stream"


class Uploads:
    """What fails leaves nothing behind, as far as the cluster answers."""

    def __init__(self, store: str, conf: Section, cluster: Cluster) -> None:
        self._store, self._conf, self._cluster = store, conf, cluster

    def write(self, place: Place, chunks: Iterable[bytes], size: int | None) -> None:
        """``size`` None: nobody knows it yet. Raises BlobExists, SizeMismatch, and what ``chunks`` raises."""
        upload, source = secrets.token_hex(8), iter(exactly(chunks, size))
        first, ended = _first(source, min(SMALL, MB * self._conf.swift_store_large_object_size))
        if ended:
            self._put_object(place, upload, first, sum(map(len, first)), repeat=True)
        elif size is not None and size <= self._conf.swift_store_large_object_size * MB:
            self._put_object(place, upload, chain(first, source), size, repeat=False)
        else:
            self._put_segments(place, upload, chain(first, source), size)

    def _put_object(self, place: Place, upload: str, chunks: Iterable[bytes], size: int, *, repeat: bool) -> None:
        """``repeat``: ``chunks`` is a list, and can be sent again."""
        body = Body(chunks)
        try:
            with closing(body), place.account.connection("put", repeat=repeat) as connection:
                etag = connection.put_object(
                    place.container,
                    place.key,
                    body,
                    size,
                    content_type=TYPE,
                    headers={"If-None-Match": "*", UPLOAD: upload},
                )
        except errors.BlobExists:
            # an answer that was lost, and a second request that met what the first one had made
            if not self._is_ours(place, upload):
                raise
            etag = body.md5
        except errors.StoreError:
            self._clean_up(place, upload, [])
            raise
        except SourceFailed:
            raise body.failure or errors.StoreError(f"store {self._store} failed", self._store, "put") from None
        if etag != body.md5:
            self._clean_up(place, upload, [])
            raise errors.StoreUnavailable(
                f"store {self._store}: Swift got other bytes than were sent", self._store, "put"
            )

    def _put_segments(self, place: Place, upload: str, chunks: Iterable[bytes], size: int | None) -> None:
        begun: list[str] = []

        def send(part: UploadPart) -> tuple[str, str, int]:
            name = segment_name(place.key, upload, part.number)
            begun.append(name)
            return name, self.put_segment(place, name, part), part.size

        try:
            sent = send_in_parts(
                chunks,
                send,
                self.room(size),
                self._conf.swift_store_segment_threads,
                self._conf.swift_upload_buffer_dir or None,
            )
            self.put_manifest(place, upload, sent)
        except BaseException:
            self._clean_up(place, upload, begun)
            raise

    def put_segment(self, place: Place, name: str, part: UploadPart) -> str:
        """Its ETag."""
        body = Body(part)
        try:
            with closing(body), place.account.connection("put") as connection:
                etag: str = connection.put_object(place.container, name, body, part.size, content_type=TYPE)
        except SourceFailed:
            raise body.failure or PartStopped from None
        if etag != body.md5:
            raise errors.StoreUnavailable(
                f"store {self._store}: Swift got other bytes than were sent", self._store, "put"
            )
        return etag

    def put_manifest(self, place: Place, upload: str, sent: Sequence[tuple[str, str | None, int]]) -> None:
        try:
            with place.account.connection("put") as connection:
                connection.put_object(
                    place.container,
                    place.key,
                    manifest(place.container, sent),
                    content_type=TYPE,
                    query_string="multipart-manifest=put",
                    headers={"If-None-Match": "*", UPLOAD: upload},
                )
        except errors.BlobExists:
            if not self._is_ours(place, upload):
                raise
        head = head_of(place, "put")
        if head is None or not is_static(head) or int(head["content-length"]) != sum(each[2] for each in sent):
            raise errors.StoreUnavailable(
                f"store {self._store}: Swift made no large object of the segments", self._store, "put"
            )

    def room(self, size: int | None) -> Any:
        """Bytes of the segment of a number: as configured, but more where the manifest could not name as many.

        Of an unknown size, the segments become larger as they become more.
        """
        most, largest = self._cluster.most_segments, self._cluster.largest_object
        segment = self._conf.swift_store_large_object_chunk_size * MB
        if size is not None:
            return lambda _number: min(largest, max(segment, -(-size // most)))
        return lambda number: min(largest, segment << (number - 1) * 4 // most)

    def _clean_up(self, place: Place, upload: str, names: Iterable[str]) -> None:
        """What an upload that failed has left. Trouble here must not hide why it failed: ``discard`` comes later."""
        with suppress(errors.StoreError):
            head = head_of(place, "put")
            # when it is not there, a request that was given up may still make it: a later deletion prevents that
            mine = [place.key] if head is None or head.get(UPLOAD) == upload else []
            remove(
                place.account,
                [(place.container, name) for name in (*mine, *names)],
                "put",
                self._conf.swift_store_segment_threads,
            )

    def _is_ours(self, place: Place, upload: str) -> bool:
        head = head_of(place, "put")
        return head is not None and head.get(UPLOAD) == upload


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
