"""Objects that come in parts from several processes: a multipart upload that is completed with the parts that count.

Ceph's gateway refuses to complete an upload in which there are other parts, of writers that died or were overtaken, and
no service can remove one. Then all parts become the object, and that is made anew by the service of the ranges that
count. Which these are stands in a small object beside it until that is done, so that whoever goes on after a crash
knows it; the two are told apart by their sizes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

from glancecore.domain import errors
from glancecore.ports.store import StoredPart
from glancecore.sdk import log_lines
from glancecore_store_s3.trouble import code_of, store_errors

#: Tells uploads apart: whose object is it that is there?
UPLOAD = "upload"
_OPERATION = "complete_parts"


class ObjectParts:
    """``threads``: copies of ranges at once."""

    def __init__(self, store: str, client: Any, bucket: str, threads: int) -> None:
        self._store, self._client, self._bucket, self._threads = store, client, bucket, threads

    def send(self, key: str, number: str, part: int, body: object) -> None:
        """Raises BlobNotFound when there is no such upload."""
        with self._known("put_part"):
            self._client.upload_part(Bucket=self._bucket, Key=key, UploadId=number, PartNumber=part + 1, Body=body)

    def complete(self, key: str, upload: str, number: str, parts: Sequence[StoredPart]) -> None:
        """Also when it was done before, or begun. Raises BlobNotFound, BlobExists, SizeMismatch."""
        size = sum(x.size for x in parts)
        found = self._size(key, upload)
        if found is None:
            found = self._made(key, upload, number, parts, size)
        if found != size:
            self._made_anew(key, upload, size)
        self.forget(key, _OPERATION)

    def forget(self, key: str, operation: str) -> None:
        """Remove the object that says what counts, if there is one."""
        with store_errors(self._store, operation):
            self._client.delete_object(Bucket=self._bucket, Key=_beside(key))

    # -- inside ------------------------------------------------------------------------------------
    def _size(self, key: str, upload: str) -> int | None:
        """Of the object, when it is this upload's; None when there is none. Raises BlobExists."""
        try:
            with store_errors(self._store, _OPERATION):
                head = self._client.head_object(Bucket=self._bucket, Key=key)
        except errors.BlobNotFound:
            return None
        if head.get("Metadata", {}).get(UPLOAD) != upload:
            raise errors.BlobExists(f"{key} is already in store {self._store}", self._store, _OPERATION)
        return int(head["ContentLength"])

    def _made(self, key: str, upload: str, number: str, parts: Sequence[StoredPart], size: int) -> int:
        """The size of the object that it has become."""
        there = self._there(key, number)
        for part in parts:
            if part.number + 1 not in there or there[part.number + 1]["Size"] != part.size:
                raise errors.SizeMismatch(f"part {part.number} is not there, or has not {part.size} bytes")
        try:
            return self._completed(key, upload, number, [there[x.number + 1] for x in parts], size)
        except errors.StoreError as exc:
            if code_of(exc.__cause__) != "InvalidPart" or len(there) == len(parts):
                raise
        ranges, at, counting = [], 0, {x.number + 1 for x in parts}
        for name, each in sorted(there.items()):
            if name in counting:
                ranges.append((at, at + each["Size"] - 1))
            at += each["Size"]
        with store_errors(self._store, _OPERATION):
            self._client.put_object(Bucket=self._bucket, Key=_beside(key), Body=json.dumps(ranges).encode())
        return self._completed(key, upload, number, [there[x] for x in sorted(there)], at)

    def _there(self, key: str, number: str) -> Mapping[int, Mapping[str, Any]]:
        """All parts of an upload, by their numbers. Raises BlobNotFound."""
        found: dict[int, Mapping[str, Any]] = {}
        pages = iter(self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=number))
        while True:
            with self._known(_OPERATION):
                page = next(pages, None)
            if page is None:
                return found
            found.update((x["PartNumber"], x) for x in page.get("Parts", ()))

    def _completed(
        self, key: str, upload: str, number: str, parts: Sequence[Mapping[str, Any]], size: int, *, anew: bool = False
    ) -> int:
        condition = {} if anew else {"IfNoneMatch": "*"}  # which not every service knows
        named = [{"PartNumber": x["PartNumber"], "ETag": x["ETag"]} for x in parts]
        try:
            with store_errors(self._store, _OPERATION):
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=number, MultipartUpload={"Parts": named}, **condition
                )
        except errors.StoreError:
            # an answer that was lost, and a second request that found the upload completed
            if self._size(key, upload) != size:
                raise
        return size

    def _made_anew(self, key: str, upload: str, size: int) -> None:
        """Of the ranges of the object that count."""
        with (
            store_errors(self._store, _OPERATION),
            closing(self._client.get_object(Bucket=self._bucket, Key=_beside(key))["Body"]) as body,
        ):
            ranges = json.loads(body.read())
        with store_errors(self._store, _OPERATION):
            number = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, Metadata={UPLOAD: upload})[
                "UploadId"
            ]
        source = {"Bucket": self._bucket, "Key": key}

        def copied(part: tuple[int, tuple[int, int]]) -> Mapping[str, Any]:
            with store_errors(self._store, _OPERATION):
                answer = self._client.upload_part_copy(
                    **source,
                    UploadId=number,
                    PartNumber=part[0],
                    CopySource=source,
                    CopySourceRange="bytes={}-{}".format(*part[1]),
                )
            return {"PartNumber": part[0], "ETag": answer["CopyPartResult"]["ETag"]}

        with ThreadPoolExecutor(self._threads, thread_name_prefix="part", initializer=log_lines.carry()) as pool:
            parts = list(pool.map(copied, enumerate(map(tuple, ranges), 1)))
        self._completed(key, upload, number, parts, size, anew=True)

    @contextmanager
    def _known(self, operation: str) -> Iterator[None]:
        """Raises BlobNotFound for an upload that there is not."""
        try:
            with store_errors(self._store, operation):
                yield
        except errors.StoreError as exc:
            if code_of(exc.__cause__) == "NoSuchUpload":
                raise errors.BlobNotFound(f"store {self._store}: no such parts", self._store, operation) from exc
            raise


def _beside(key: str) -> str:
    """No key begins with a dot."""
    return f".{key}.parts"
