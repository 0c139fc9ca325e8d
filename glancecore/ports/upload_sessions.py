"""Uploads in pieces, as an extension that speaks a dialect of them sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from glancecore.domain.context import Context
from glancecore.domain.upload_session import PieceDigest, UploadSession


class UploadSessions(Protocol):
    """Uploads in pieces: what is behind each dialect of them. Needs ``takes_uploads`` of the extension. Each call asks
    the core's rules ``get_image`` and ``upload_image``; to who may not upload to an image, and for another image than
    the session's, it looks as if there were no session: UploadNotFound.

    A session is bound to a queued image, which is saving until it is active, or queued again. Any process of the
    deployment serves any request. What ``UploadSession.offset`` tells is durable and never goes back. A newer request
    of a session ends an older one, which keeps what has come by then.

    A session that was begun with ``stage`` ends as ``PUT …/stage`` does: the image is uploading from its beginning on,
    and has staged data in the end, with which an import goes on. Where an image that is made, or active, is spoken of
    below, it is that."""

    @property
    def largest(self) -> int:
        """Bytes that an image may have."""

    def begin(
        self,
        ctx: Context,
        image_id: str,
        length: int | None = None,
        *,
        store: str | None = None,
        note: Mapping[str, str] | None = None,
        partial: bool = False,
        stage: bool = False,
    ) -> UploadSession:
        """``length``: bytes of the whole, None while it is not known; known ones are reserved. ``store``: where the
        image goes; None: the default one. ``note``: what the dialect wants to remember, at most some kilobytes. Raises
        ImageNotFound, Forbidden, WrongStatus, Invalid, UnknownStore, TooLarge, QuotaExceeded, LimitExceeded (too many
        sessions), SignatureInvalid, StoreUnavailable, StoreReadOnly. A session of the image that has got no byte gives
        way: who began it may not have been told.

        ``partial``: one of several that get their bytes at the same time, until ``join``. They expire with the last of
        them.

        ``stage``: its bytes are staged for a later import, wherever the image goes then; not together with ``partial``.
        Raises NotEnabled where no import method takes such data."""

    def join(
        self,
        ctx: Context,
        image_id: str,
        partials: Sequence[str],
        *,
        store: str | None = None,
        note: Mapping[str, str] | None = None,
    ) -> UploadSession:
        """The image is made of these partial sessions, in their order; as the last ``append`` it waits for that, and
        raises the same. Those that are not named go with it. ``store``: None: as their first one said. Who asks again
        is told again. Raises Invalid (no partial session of the image, or named twice), Conflict (one is not complete),
        TooLarge. The session that it answers takes no bytes: ``append`` raises Forbidden."""

    def of_image(self, ctx: Context, image_id: str) -> Sequence[UploadSession]:
        """Those of the image, also some that have ended, for who may upload to it. Raises ImageNotFound, Forbidden."""

    def show(self, ctx: Context, image_id: str, session_id: str, *, settle: bool = True) -> UploadSession:
        """``settle``: a transfer that goes on is ended, so that ``offset`` stays what it is until the next ``append``;
        it may take two seconds. Raises Conflict when a newer request goes on with it."""

    def append(
        self,
        ctx: Context,
        image_id: str,
        session_id: str,
        offset: int,
        pieces: Iterable[bytes],
        *,
        size: int | None = None,
        length: int | None = None,
        last: bool = False,
        digest: PieceDigest | None = None,
    ) -> UploadSession:
        """Take ``pieces``, from byte ``offset`` on; ``size`` of them where that is known. When ``pieces`` raise, what
        has come is kept, and it is raised. With the last byte the image is made; that takes at most ``[uploads]
        patience`` seconds of this call, and is gone on with beside requests after that: then the session is FINISHING,
        and clients look at the image. ``length``: of the whole, when it was not known before. ``last``: it ends with
        these bytes. ``digest``: they are taken whole, or not at all.

        Raises OffsetMismatch (nothing was taken), SizeMismatch, HashMismatch, TooLarge, QuotaExceeded, Conflict (a
        newer request goes on), ImageBusy, StoreError; BadContent, SignatureInvalid and the like, then the session has
        ended; UploadGone: it had ended before; Gone: the image was deleted."""

    def terminate(self, ctx: Context, image_id: str, session_id: str) -> None:
        """Nothing stays of it, and the image is queued again; an image that is active by now stays so. Of a partial
        session nothing stays; the image is queued again with the last one. Raises StoreError, and Conflict when a
        partial session was joined."""
