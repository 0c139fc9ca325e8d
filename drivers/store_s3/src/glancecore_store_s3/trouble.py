"""What the answers of an S3 service mean to the users of a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from glancecore.domain import errors

_CODES: dict[str, tuple[type[errors.StoreError], str]] = {
    "NoSuchBucket": (errors.StoreUnavailable, "the bucket is gone"),
    "NoSuchUpload": (errors.StoreUnavailable, "the upload is gone"),
    "QuotaExceeded": (errors.StoreFull, "the service has no room for it"),
    "EntityTooLarge": (errors.StoreFull, "the service does not take objects of that size"),
    "SlowDown": (errors.StoreUnavailable, "the service is too busy"),
}
_STATUSES: dict[int, tuple[type[errors.StoreError], str]] = {
    HTTPStatus.UNAUTHORIZED: (errors.StoreForbidden, "the service refuses the access key"),
    HTTPStatus.FORBIDDEN: (errors.StoreForbidden, "the service refuses access, or the keys are wrong"),
    HTTPStatus.NOT_FOUND: (errors.BlobNotFound, "it is not there"),
    HTTPStatus.PRECONDITION_FAILED: (errors.BlobExists, "the key is in use"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (errors.StoreFull, "the service has no room for it"),
    HTTPStatus.INSUFFICIENT_STORAGE: (errors.StoreFull, "the service has no room"),
}


def status_of(exc: BaseException | None) -> int:
    """The HTTP status of a refusal; 0 for everything else."""
    answer: Mapping[str, Any] = exc.response if isinstance(exc, ClientError) else {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(exc: BaseException | None) -> str:
    return str(exc.response.get("Error", {}).get("Code", "")) if isinstance(exc, ClientError) else ""


@contextmanager
def store_errors(store: str, operation: str) -> Iterator[None]:
    """Raises what the client library raises as store errors. Its own texts hold URLs, and are only chained."""
    try:
        yield
    except ClientError as exc:
        status = status_of(exc)
        kind, reason = (
            _CODES.get(code_of(exc))
            or _STATUSES.get(status)
            or (errors.StoreUnavailable, f"the service answers {status}")
        )
        raise kind(f"store {store}: {operation} failed: {reason}", store, operation) from exc
    except (BotoCoreError, HTTPError, OSError) as exc:
        raise errors.StoreUnavailable(
            f"store {store}: {operation} failed: the service does not answer", store, operation
        ) from exc
