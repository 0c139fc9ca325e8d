"""What the answers of Swift and Keystone mean to the users of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from keystoneauth1 import exceptions as keystone
from requests import RequestException
from swiftclient import ClientException
from urllib3.exceptions import HTTPError

from glancecore.domain import errors

_KINDS: dict[int, tuple[type[errors.StoreError], str]] = {
    HTTPStatus.UNAUTHORIZED: (errors.StoreForbidden, "Swift refuses the service's user and key"),
    HTTPStatus.FORBIDDEN: (errors.StoreForbidden, "Swift refuses access"),
    HTTPStatus.NOT_FOUND: (errors.BlobNotFound, "it is not there"),
    HTTPStatus.PRECONDITION_FAILED: (errors.BlobExists, "the key is in use"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (errors.StoreFull, "Swift has no room for it, or not in one object"),
    HTTPStatus.INSUFFICIENT_STORAGE: (errors.StoreFull, "Swift has no room"),
}


@contextmanager
def store_errors(store: str, operation: str) -> Iterator[None]:
    """Raises what the client libraries raise as store errors. Their own texts hold URLs, and are only chained."""
    try:
        yield
    except ClientException as exc:
        kind, reason = _KINDS.get(
            exc.http_status or 0, (errors.StoreUnavailable, f"Swift answers {exc.http_status or 'nothing of use'}")
        )
        raise kind(f"store {store}: {operation} failed: {reason}", store, operation) from exc
    except (keystone.Unauthorized, keystone.Forbidden, keystone.AuthorizationFailure) as exc:
        raise errors.StoreForbidden(
            f"store {store}: {operation} failed: Keystone refuses the service's user and key", store, operation
        ) from exc
    except keystone.ClientException as exc:
        raise errors.StoreUnavailable(
            f"store {store}: {operation} failed: Keystone does not answer", store, operation
        ) from exc
    except (RequestException, HTTPError, OSError) as exc:
        raise errors.StoreUnavailable(
            f"store {store}: {operation} failed: Swift does not answer", store, operation
        ) from exc
