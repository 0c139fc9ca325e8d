"""The bucket of a store: whether it is there, and its marker."""

from __future__ import annotations

from contextlib import closing, suppress
from http import HTTPStatus
from typing import Any

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import MARKER, MARKER_SIZE, agreed
from glancecore_store_s3.trouble import code_of, status_of, store_errors


class Bucket:
    """``pinged``: a client that does not wait long; it is closed with the bucket."""

    def __init__(self, store: str, conf: Section, client: Any, pinged: Any) -> None:
        self._store, self._conf, self._client, self._pinged = store, conf, client, pinged
        self._name: str = conf.s3_store_bucket

    def create(self) -> None:
        if self._conf.s3_store_create_bucket_on_put:
            try:
                self._look()
            except errors.BlobNotFound:
                self._make()

    def prepare(self) -> None:
        """Raises ConfigError, PlaceMissing."""
        try:
            self._look()
        except errors.BlobNotFound:
            if not self._conf.s3_store_create_bucket_on_put:
                raise errors.ConfigError(
                    f"[{self._store}] s3_store_bucket = {self._name} does not exist: make it, or set "
                    "s3_store_create_bucket_on_put = true"
                ) from None
            away = errors.PlaceMissing(f"store {self._store}: the bucket is gone", self._store, "start")
            away.add_note(
                f"[{self._store}] s3_store_bucket: {self._name} does not exist: bring it back, or name the right one"
            )
            raise away from None

    def ping(self) -> None:
        try:
            with store_errors(self._store, "ping"):
                self._pinged.head_bucket(Bucket=self._name)
        except errors.BlobNotFound as exc:
            raise errors.StoreUnavailable(f"store {self._store}: the bucket is gone", self._store, "ping") from exc

    def close(self) -> None:
        self._pinged.close()

    # -- the marker --------------------------------------------------------------------------------
    def marker(self) -> bytes | None:
        return self._marker(self._pinged)

    def mark(self, content: bytes) -> bytes:
        def write() -> None:
            with suppress(errors.BlobExists), store_errors(self._store, "mark"):
                # the condition is one that not every service knows
                self._client.put_object(Bucket=self._name, Key=MARKER, Body=content, IfNoneMatch="*")

        found = agreed(lambda: self._marker(self._client), write)
        if found is None:
            raise errors.StoreUnavailable(
                f"the marker of store {self._store} was removed while it was made", self._store, "mark"
            )
        return found

    def _marker(self, client: Any) -> bytes | None:
        try:
            with (
                store_errors(self._store, "markers"),
                closing(client.get_object(Bucket=self._name, Key=MARKER)["Body"]) as body,
            ):
                content: bytes = body.read(MARKER_SIZE + 1)
                return content
        except errors.BlobNotFound:
            return None

    # -- inside ------------------------------------------------------------------------------------
    def _look(self) -> None:
        """Raises BlobNotFound when the bucket is not there, ConfigError."""
        try:
            with store_errors(self._store, "start"):
                self._client.head_bucket(Bucket=self._name)
        except errors.StoreError as exc:
            status = status_of(exc.__cause__)
            if status == HTTPStatus.MOVED_PERMANENTLY:
                raise errors.ConfigError(
                    f"[{self._store}] s3_store_region_name = {self._conf.s3_store_region_name or 'us-east-1'}: the"
                    " bucket is in another region; name that one"
                ) from None
            if status == HTTPStatus.BAD_REQUEST:
                raise errors.ConfigError(
                    f"[{self._store}] s3_store_bucket, s3_store_region_name or s3_store_bucket_url_format: the service"
                    f" does not understand a request for bucket {self._name}; correct them"
                ) from None
            raise

    def _make(self) -> None:
        """Several processes may do so at once."""
        region = self._conf.s3_store_region_name
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region not in {"", "us-east-1"} else {}
        try:
            with store_errors(self._store, "start"):
                self._client.create_bucket(Bucket=self._name, **where)
        except errors.StoreError as exc:
            if code_of(exc.__cause__) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise
            with store_errors(self._store, "start"):
                self._client.head_bucket(Bucket=self._name)
