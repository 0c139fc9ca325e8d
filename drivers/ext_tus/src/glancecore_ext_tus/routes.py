"""What tus clients ask: https://tus.io/protocols/resumable-upload, version 1.0.0. An upload belongs to an image that
exists and is queued."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

from flask import Request, Response, after_this_request

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.upload_session import SessionState, UploadSession
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Param, Route
from glancecore.sdk import request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_tus import headers as tus
from glancecore_ext_tus.rules import RULES

RULE = RULES[0].name
UPLOADS, UPLOAD = "/v2/images/<image_id>/uploads", "/v2/images/<image_id>/uploads/<upload_id>"
_RESUMABLE = Param(
    "Tus-Resumable", "Version of the protocol: 1.0.0.", "header", {"type": "string", "const": tus.VERSION}
)
_LENGTH = Param("Upload-Length", "Bytes of the whole.", "header", {"type": "integer", "minimum": 0})
_CHECKSUM = Param(
    "Upload-Checksum",
    f"Algorithm ({', '.join(tus.ALGORITHMS)}) and digest, in Base64, of this request's bytes.",
    "header",
)
LISTED = {
    "type": "object",
    "required": ["uploads"],
    "properties": {
        "uploads": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "url", "state", "offset", "length", "expires_at", "stage"],
                "properties": {
                    "id": {"type": "string"},
                    "url": {"type": "string", "description": "Where it goes on."},
                    "state": {"type": "string", "enum": [x.value for x in SessionState]},
                    "offset": {"type": "integer", "description": "Bytes that are durable."},
                    "length": {"type": ["integer", "null"]},
                    "expires_at": {"type": "string"},
                    "concat": {
                        "type": ["string", "null"],
                        "enum": ["partial", "final", None],
                        "description": "Null: a whole one.",
                    },
                    "stage": {
                        "type": "boolean",
                        "description": "Its bytes are staged for an import; else they become the image's.",
                    },
                    "message": {"type": ["string", "null"], "description": "Why it has ended without its data."},
                },
            },
        }
    },
}

_Handler = Callable[..., Response]


def resumable(handler: _Handler) -> _Handler:
    """Answers tell the protocol's version, whatever they are; requests must tell it."""

    @functools.wraps(handler)
    def run(self: Routes, request: Request, ctx: Context, **values: str) -> Response:
        after_this_request(_of_this_protocol)
        if request.headers.get("Tus-Resumable") != tus.VERSION:
            return _refused(412, f"Tus-Resumable: this service speaks {tus.VERSION}", {"Tus-Version": tus.VERSION})
        return handler(self, request, ctx, **values)

    return run


class Routes:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._uploads = kernel.uploads

    def table(self) -> Sequence[Route]:
        created = (
            _RESUMABLE,
            _LENGTH,
            _CHECKSUM,
            Param("Upload-Defer-Length", "1: the length is told later.", "header"),
            Param(
                "Upload-Metadata",
                "Pairs of key and Base64 value, told again by HEAD; store: where the image goes.",
                "header",
            ),
            Param(
                "Upload-Concat",
                "partial, or final;URL URL …: the partial uploads that the image is joined of.",
                "header",
            ),
        )
        sent = (
            _RESUMABLE,
            _LENGTH,
            _CHECKSUM,
            Param("Upload-Offset", "Where these bytes begin.", "header", {"type": "integer", "minimum": 0}),
        )
        return [
            Route("OPTIONS", UPLOADS, self.options, "What of tus is spoken", {204: None}, public=True, tag="tus"),
            Route("OPTIONS", UPLOAD, self.options, "What of tus is spoken", {204: None}, public=True, tag="tus"),
            Route(
                "GET",
                UPLOADS,
                self.list,
                "Uploads of an image that go on, or have ended lately",
                {200: LISTED},
                tag="tus",
            ),
            Route(
                "POST",
                UPLOADS,
                self.create,
                "Begin an upload",
                {201: None},
                tus.OFFSET_OCTETS,
                params=created,
                tag="tus",
                lane=Lane.TRANSFER,
            ),
            Route(
                "HEAD",
                UPLOAD,
                self.head,
                "Where an upload goes on",
                {200: None},
                params=(_RESUMABLE,),
                tag="tus",
                lane=Lane.TRANSFER,
            ),
            Route(
                "PATCH",
                UPLOAD,
                self.patch,
                "Go on with an upload",
                {204: None},
                tus.OFFSET_OCTETS,
                params=sent,
                tag="tus",
                lane=Lane.TRANSFER,
            ),
            Route(
                "DELETE",
                UPLOAD,
                self.delete,
                "Give an upload up",
                {204: None},
                params=(_RESUMABLE,),
                tag="tus",
                lane=Lane.TRANSFER,
            ),
            Route(
                "POST",
                UPLOAD,
                self.override,
                "PATCH or DELETE for clients that know neither",
                {204: None},
                tus.OFFSET_OCTETS,
                params=(*sent, Param("X-HTTP-Method-Override", "PATCH or DELETE.", "header")),
                tag="tus",
                lane=Lane.TRANSFER,
            ),
        ]

    def options(self, _request: Request, _ctx: Context, **_values: str) -> Response:
        response = empty(204)
        response.headers.update(
            {
                "Tus-Resumable": tus.VERSION,
                "Tus-Version": tus.VERSION,
                "Tus-Extension": tus.EXTENSIONS,
                "Tus-Max-Size": str(self._uploads.largest),
                "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
            }
        )
        return response

    def list(self, request: Request, ctx: Context, image_id: str) -> Response:
        self._authorize(ctx, image_id)
        return json_response(
            {
                "uploads": [
                    {
                        "id": x.id,
                        "url": _url(request, x),
                        "state": x.state.value,
                        "offset": x.offset,
                        "length": x.length,
                        "expires_at": x.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "stage": x.to_stage,
                        "message": x.last_error,
                        "concat": "partial" if x.partial else None if x.joined is None else "final",
                    }
                    for x in self._uploads.of_image(ctx, image_id)
                ]
            }
        )

    @resumable
    def create(self, request: Request, ctx: Context, image_id: str) -> Response:
        self._authorize(ctx, image_id)
        partials = tus.partials(request.headers, image_id)
        if partials:
            return self._join(request, ctx, image_id, partials)
        length, found, digest = (
            tus.length(request.headers, required=True),
            tus.metadata(request.headers),
            tus.checksum(request.headers),
        )
        pieces, size = request_body.data(request.environ)
        if size != 0:
            _check_type(request)
        store = found.get("store") or request.headers.get("x-image-meta-store")
        session = self._uploads.begin(
            ctx, image_id, length, store=store, note=_note(request), partial=partials is not None
        )
        if size != 0 or length == 0:
            try:
                session = self._uploads.append(ctx, image_id, session.id, 0, pieces, size=size, digest=digest)
            except errors.HashMismatch as exc:
                self._not_begun(ctx, session)
                return _of_checksum(exc)
            except BaseException:
                self._not_begun(ctx, session)
                raise
        response = _told(empty(201), session)
        response.headers["Location"] = _url(request, session)
        if size == 0:
            del response.headers["Upload-Offset"]
        return response

    def _join(self, request: Request, ctx: Context, image_id: str, partials: Sequence[str]) -> Response:
        if {"Upload-Length", "Upload-Defer-Length"} & set(request.headers.keys()):
            raise errors.Invalid(
                "Upload-Length: a final upload has what its partial ones have together; it must not be given"
            )
        found = tus.metadata(request.headers)
        request_body.forbid(request)
        store = found.get("store") or request.headers.get("x-image-meta-store")
        session = self._uploads.join(ctx, image_id, partials, store=store, note=_note(request))
        response = _told(empty(201), session)
        response.headers["Location"] = _url(request, session)
        return response

    @resumable
    def head(self, request: Request, ctx: Context, image_id: str, upload_id: str) -> Response:
        self._authorize(ctx, image_id)
        session = self._uploads.show(ctx, image_id, upload_id)
        if session.state is SessionState.FAILED:
            raise errors.UploadGone(f"the upload has ended without its data: {session.last_error or 'it was ended'}")
        response = _told(empty(200), session)
        if session.length is None:
            response.headers["Upload-Defer-Length"] = "1"
        else:
            response.headers["Upload-Length"] = str(session.length)
        if "metadata" in session.note:
            response.headers["Upload-Metadata"] = session.note["metadata"]
        if session.partial:
            response.headers["Upload-Concat"] = "partial"
        elif session.joined is not None:
            urls = (f"{request.root_url}v2/images/{image_id}/uploads/{x}" for x in session.joined)
            response.headers["Upload-Concat"] = f"final;{' '.join(urls)}"
        return response

    @resumable
    def patch(self, request: Request, ctx: Context, image_id: str, upload_id: str) -> Response:
        self._authorize(ctx, image_id)
        _check_type(request)
        offset, digest = tus.whole_number(request.headers, "Upload-Offset"), tus.checksum(request.headers)
        if offset is None:
            raise errors.Invalid("Upload-Offset must be given: where these bytes begin")
        pieces, size = request_body.data(request.environ)
        try:
            session = self._uploads.append(
                ctx,
                image_id,
                upload_id,
                offset,
                pieces,
                size=size,
                length=tus.length(request.headers, required=False),
                digest=digest,
            )
        except errors.HashMismatch as exc:
            return _of_checksum(exc)
        return _told(empty(204), session)

    @resumable
    def delete(self, request: Request, ctx: Context, image_id: str, upload_id: str) -> Response:
        self._authorize(ctx, image_id)
        request_body.forbid(request)
        self._uploads.terminate(ctx, image_id, upload_id)
        return empty(204)

    def override(self, request: Request, ctx: Context, image_id: str, upload_id: str) -> Response:
        method = request.headers.get("X-HTTP-Method-Override", "")
        handlers: dict[str, _Handler] = {"PATCH": self.patch, "DELETE": self.delete}
        if method not in handlers:
            raise errors.Invalid(
                "X-HTTP-Method-Override must be PATCH or DELETE; a new upload begins with POST at …/uploads"
            )
        return handlers[method](request, ctx, image_id=image_id, upload_id=upload_id)

    # -- inside ------------------------------------------------------------------------------------
    def _authorize(self, ctx: Context, image_id: str) -> None:
        self._kernel.policy.authorize(ctx, RULE, self._kernel.images.show(ctx, image_id))

    def _not_begun(self, ctx: Context, session: UploadSession) -> None:
        """Its first bytes could not be taken, and the client will not learn where it would go on."""
        with contextlib.suppress(
            errors.GlanceError
        ):  # what can't be removed now is by the reaper; why it came to that is told
            self._uploads.terminate(ctx, session.image_id, session.id)


def _of_this_protocol(response: Response) -> Response:
    response.headers["Tus-Resumable"] = tus.VERSION
    response.headers["Cache-Control"] = "no-store"
    return response


def _check_type(request: Request) -> None:
    if request.mimetype != tus.OFFSET_OCTETS:
        raise errors.UnsupportedContentType(
            f"Content-Type must be {tus.OFFSET_OCTETS}, not {request.mimetype[:80] or 'absent'}"
        )


def _told(response: Response, session: UploadSession) -> Response:
    response.headers["Upload-Offset"] = str(session.offset)
    response.headers["Upload-Expires"] = tus.date(session.expires_at)
    return response


def _of_checksum(exc: errors.HashMismatch) -> Response:
    """460 is tus's own; other errors are answered as everywhere."""
    return _refused(460, str(exc), {})


def _refused(status: int, message: str, headers: dict[str, str]) -> Response:
    response = json_response({"message": message, "code": str(status), "title": message, "error": "tus"}, status)
    response.headers.update(headers)
    return response


def _note(request: Request) -> dict[str, str]:
    return {"metadata": request.headers["Upload-Metadata"]} if request.headers.get("Upload-Metadata") else {}


def _url(request: Request, session: UploadSession) -> str:
    return f"{request.root_url}v2/images/{session.image_id}/uploads/{session.id}"
