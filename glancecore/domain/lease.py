"""Ownership of an image by a running operation, so that nothing stays stuck when its process dies."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from glancecore.domain.image import Status


class Operation(StrEnum):
    """The core's own; extensions have others (``Extension.operations``)."""

    UPLOAD = "upload"
    STAGE = "stage"
    IMPORT = "import"
    DELETE = "delete"
    #: Removing one location of an image that stays.
    DROP_LOCATION = "drop_location"
    HASH = "hash"
    #: One more copy of an image that is moved out of a store.
    MOVE = "move"
    #: An upload in pieces, also between them: see ``features.uploads.use_cases``.
    SESSION = "upload_session"


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Bytes that may exist: the intent, written before the first byte. ``store``, ``key`` and ``owner`` as given to
    ``put``: the image's owner at that time, which may be another today; None for what is the service's own."""

    store: str
    key: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """One per image at most. While it is extended (heartbeat), nobody else touches what it covers.

    ``token`` names this very holding, ``holder`` the process that extends it. When it expires the reaper takes it over:
    ``blobs`` are discarded and the image goes back to ``stable`` (for a delete: the deletion is finished).
    ``operation``: one of ``Operation``, or an extension's, at most 32 characters. ``reserved`` bytes count against
    ``project``'s storage quota until the lease ends."""

    image_id: str
    operation: str
    holder: str
    stable: Status
    project: str | None = None
    blobs: tuple[BlobRef, ...] = ()
    reserved: int = 0
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
