"""What clients ask. The first request is one that they know, with ``Upload-Complete``; the others go to the address
that it is told."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.upload_session import SessionState, UploadSession
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Param, Route
from glancecore.sdk import request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_resumable import headers as draft
from glancecore_ext_resumable.rules import RULES

RULE = RULES[0].name
UPLOAD = "/v2/images/<image_id>/resumable/<upload_id>"
OCTETS = "application/octet-stream"
_PROBLEMS = "https://iana.org/assignments/http-problem-types#"


class Routes:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._uploads = kernel.uploads

    def table(self) -> Sequence[Route]:
        sent = (
            Param("Upload-Offset", "Where these bytes begin.", "header", {"type": "integer", "minimum": 0}),
            Param("Upload-Complete", "?1: the upload ends with these bytes; ?0: it does not.", "header"),
            Param("Upload-Length", "Bytes of the whole.", "header", {"type": "integer", "minimum": 0}),
        )
        return [
            Route(
                "HEAD", UPLOAD, self.head, "Where an upload goes on", {204: None}, tag="resumable", lane=Lane.TRANSFER
            ),
            Route(
                "PATCH",
                UPLOAD,
                self.patch,
                "Go on with an upload",
                {202: None, 204: None},
                draft.PARTIAL,
                params=sent,
                tag="resumable",
                lane=Lane.TRANSFER,
            ),
            Route("DELETE", UPLOAD, self.delete, "Give an upload up", {204: None}, tag="resumable", lane=Lane.TRANSFER),
        ]

    def create(self, request: Request, ctx: Context, image_id: str, *, stage: bool) -> Response | None:
        """``PUT …/file``, or ``PUT …/stage``; None when it is not in the words of the draft."""
        if "Upload-Complete" not in request.headers:
            return None
        self._authorize(ctx, image_id)
        if request.mimetype != OCTETS:
            raise errors.UnsupportedContentType(
                f"Content-Type must be {OCTETS}, not {request.mimetype[:80] or 'absent'}"
            )
        complete, length = draft.complete(request.headers), draft.number(request.headers, "Upload-Length")
        pieces, size = request_body.data(request.environ)
        if complete and size is not None:
            if length is not None and length != size:
                return _problem(
                    400,
                    "inconsistent-upload-length",
                    f"Upload-Length is {length}, and the upload ends with these {size} bytes",
                )
            length = size
        store = None if stage else request.headers.get("x-image-meta-store") or None
        session = self._uploads.begin(ctx, image_id, length, store=store, stage=stage)
        told = False
        try:
            told = self._told_early(request, session)
            session = self._uploads.append(ctx, image_id, session.id, 0, pieces, size=size, last=complete)
        except BaseException:
            if not told:  # nobody knows where it would go on
                with contextlib.suppress(
                    errors.GlanceError
                ):  # what can't be removed now is by the reaper; why it came to that is raised
                    self._uploads.terminate(ctx, image_id, session.id)
            raise
        response = self._described(empty(_status(session) if complete else 201), session)
        response.headers["Location"] = _url(request, session)
        return response

    def head(self, _request: Request, ctx: Context, image_id: str, upload_id: str) -> Response:
        self._authorize(ctx, image_id)
        session = self._uploads.show(ctx, image_id, upload_id)
        if session.state is SessionState.FAILED:
            raise errors.UploadGone(f"the upload has ended without its data: {session.last_error or 'it was ended'}")
        response = self._described(empty(204), session)
        if session.length is not None:
            response.headers["Upload-Length"] = str(session.length)
        response.headers["Cache-Control"] = "no-store"
        return response

    def patch(self, request: Request, ctx: Context, image_id: str, upload_id: str) -> Response:
        self._authorize(ctx, image_id)
        if request.mimetype != draft.PARTIAL:
            raise errors.UnsupportedContentType(
                f"Content-Type must be {draft.PARTIAL}, not {request.mimetype[:80] or 'absent'}"
            )
        offset, complete, length = (
            draft.number(request.headers, "Upload-Offset"),
            draft.complete(request.headers),
            draft.number(request.headers, "Upload-Length"),
        )
        if offset is None:
            raise errors.Invalid("Upload-Offset must be given: where these bytes begin")
        pieces, size = request_body.data(request.environ)
        if complete and size is not None:
            if length not in (None, offset + size):
                return _problem(
                    400,
                    "inconsistent-upload-length",
                    f"Upload-Length is {length}, and the upload ends at {offset + size}",
                )
            length = offset + size
        try:
            session = self._uploads.append(
                ctx, image_id, upload_id, offset, pieces, size=size, length=length, last=complete
            )
        except errors.OffsetMismatch as exc:
            response = _problem(
                409, "mismatching-upload-offset", str(exc), {"expected-offset": exc.offset, "provided-offset": offset}
            )
            response.headers["Upload-Offset"] = str(exc.offset)
            return response
        except errors.SizeMismatch as exc:
            return _problem(400, "inconsistent-upload-length", str(exc))
        return self._described(empty(_status(session)), session)

    def delete(self, request: Request, ctx: Context, image_id: str, upload_id: str) -> Response:
        self._authorize(ctx, image_id)
        request_body.forbid(request)
        self._uploads.terminate(ctx, image_id, upload_id)
        return empty(204)

    # -- inside ------------------------------------------------------------------------------------
    def _authorize(self, ctx: Context, image_id: str) -> None:
        self._kernel.policy.authorize(ctx, RULE, self._kernel.images.show(ctx, image_id))

    def _described(self, response: Response, session: UploadSession) -> Response:
        response.headers["Upload-Complete"] = "?0" if session.state is SessionState.OPEN else "?1"
        response.headers["Upload-Offset"] = str(session.offset)
        response.headers["Upload-Limit"] = self._limits(session)
        return response

    def _limits(self, session: UploadSession) -> str:
        return draft.limits(self._uploads.largest, (session.expires_at - self._kernel.clock()).total_seconds())

    def _told_early(self, request: Request, session: UploadSession) -> bool:
        """By a 104, before the body is read, to who understands it; where the server can. A proxy may drop it: whoever
        has not got it begins anew."""
        sock = request.environ.get("gunicorn.socket")
        if (
            sock is None
            or request.headers.get("Upload-Draft-Interop-Version") != draft.INTEROP
            or request.environ.get("SERVER_PROTOCOL") != "HTTP/1.1"
        ):
            return False
        head = (
            f"HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Draft-Interop-Version: {draft.INTEROP}\r\nLocation:"
            f" {_url(request, session)}\r\nUpload-Limit: {self._limits(session)}\r\n\r\n"
        )
        try:
            sock.sendall(head.encode("latin-1"))
        except (OSError, UnicodeEncodeError):
            return False
        return True


def _status(session: UploadSession) -> int:
    """202: all bytes are there, and what they are for is done beside requests."""
    return 202 if session.state is SessionState.FINISHING else 204


def _url(request: Request, session: UploadSession) -> str:
    return f"{request.root_url}v2/images/{session.image_id}/resumable/{session.id}"


def _problem(status: int, kind: str, title: str, more: dict[str, int] | None = None) -> Response:
    """RFC 9457."""
    response = json_response({"type": f"{_PROBLEMS}{kind}", "title": title, "status": status, **(more or {})}, status)
    response.content_type = "application/problem+json"
    return response
