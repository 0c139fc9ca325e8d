"""Parts of an image's data: each is sent by a request of its own, in any order and at the same time, and one commit
makes the image of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.upload_session import MOST_PARTIALS, SessionState, UploadSession
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Param, Route
from glancecore.sdk import request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_parts.digests import ALGORITHMS, NAME, content_digest
from glancecore_ext_parts.rules import RULES

RULE = RULES[0].name
PARTS, PART = "/v2/images/<image_id>/parts", "/v2/images/<image_id>/parts/<number>"
OCTETS = "application/octet-stream"
#: Bytes of the body of a commit.
_BODY = 4096
_WHOLE = {"type": "integer", "minimum": 0}
COMMIT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "parts": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_PARTIALS,
            "description": "How many there must be; not given: those that are there.",
        },
        "size": {**_WHOLE, "description": "Bytes that they must have together; not given: what they have."},
    },
}
LISTED = {
    "type": "object",
    "required": ["state", "message", "most", "parts"],
    "properties": {
        "state": {
            "type": ["string", "null"],
            "enum": [*(x.value for x in SessionState), None],
            "description": "Of the upload; null: there is none.",
        },
        "message": {"type": ["string", "null"], "description": "Why it was given up."},
        "most": {"type": "integer", "description": "Parts that it may have."},
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["number", "size", "received", "complete", "expires_at"],
                "properties": {
                    "number": {"type": "integer"},
                    "size": _WHOLE,
                    "received": _WHOLE,
                    "complete": {"type": "boolean"},
                    "expires_at": {"type": "string", "format": "date-time"},
                },
            },
        },
    },
}
_CHECKED = request_body.Checker(COMMIT)


class Routes:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._uploads = kernel.uploads

    def table(self) -> Sequence[Route]:
        sent = (
            Param(NAME, f"Of the part ({', '.join(ALGORITHMS)}): it is taken whole, or not at all.", "header"),
            Param("x-image-meta-store", "Where the image goes; of the first part that is sent.", "header"),
        )
        return [
            Route("GET", PARTS, self.show, "Parts of an image that are there", {200: LISTED}, tag="parts"),
            Route(
                "PUT",
                PART,
                self.put,
                "Send a part, or send it again",
                {204: None},
                OCTETS,
                params=sent,
                tag="parts",
                lane=Lane.TRANSFER,
            ),
            Route("DELETE", PART, self.drop, "Give a part up", {204: None}, tag="parts", lane=Lane.TRANSFER),
            Route(
                "POST",
                PARTS,
                self.commit,
                "Make the image of its parts",
                {202: None, 204: None},
                COMMIT,
                tag="parts",
                lane=Lane.TRANSFER,
            ),
            Route(
                "DELETE",
                PARTS,
                self.delete,
                "Give all parts up: the image is queued again",
                {204: None},
                tag="parts",
                lane=Lane.TRANSFER,
            ),
        ]

    def show(self, _request: Request, ctx: Context, image_id: str) -> Response:
        self._authorize(ctx, image_id)
        sessions = self._uploads.of_image(ctx, image_id)
        parts, joint = _newest(sessions), _joined(sessions)
        state = SessionState.OPEN.value if parts else joint.state.value if joint is not None else None
        rows = [
            {
                "number": number,
                "size": x.length,
                "received": x.offset,
                "complete": x.complete,
                "expires_at": x.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            for number, x in sorted(parts.items())
        ]
        return json_response(
            {
                "state": state,
                "message": joint.last_error if joint is not None and not parts else None,
                "most": MOST_PARTIALS,
                "parts": rows,
            }
        )

    def put(self, request: Request, ctx: Context, image_id: str, number: str) -> Response:
        self._authorize(ctx, image_id)
        wanted, digest = _number(number), content_digest(request.headers)
        if request.mimetype != OCTETS:
            raise errors.UnsupportedContentType(
                f"Content-Type must be {OCTETS}, not {request.mimetype[:80] or 'absent'}"
            )
        pieces, size = request_body.data(request.environ)
        if size is None:
            raise errors.LengthRequired(
                "Content-Length must be given: the bytes of the part are reserved before they come"
            )
        if not size:
            raise errors.Invalid("a part has at least one byte")
        before = self._of_number(ctx, image_id, wanted)
        self._end([x for x in before if not x.complete], ctx)  # whoever sends one still, is overtaken
        note = {"part": str(wanted), "at": str(time.time_ns())}
        session = self._uploads.begin(
            ctx, image_id, size, store=request.headers.get("x-image-meta-store") or None, note=note, partial=True
        )
        try:
            session = self._uploads.append(ctx, image_id, session.id, 0, pieces, size=size, digest=digest)
            if not session.complete:
                raise errors.Conflict(f"a newer request sends part {wanted}")
        except BaseException as exc:
            with contextlib.suppress(
                errors.GlanceError
            ):  # what can't be removed now is when the part is sent again; why it came to that is told
                self._uploads.terminate(ctx, image_id, session.id)
            if isinstance(exc, errors.HashMismatch):  # of the request, and not of the image
                raise errors.Invalid(f"{NAME}: {exc}") from exc
            raise
        self._end([x for x in before if x.complete], ctx)
        return empty(204)

    def drop(self, request: Request, ctx: Context, image_id: str, number: str) -> Response:
        self._authorize(ctx, image_id)
        request_body.forbid(request)
        wanted = _number(number)
        found = self._of_number(ctx, image_id, wanted)
        if not found:
            raise errors.UploadNotFound(f"no part {wanted} is there")
        self._end(found, ctx)
        return empty(204)

    def delete(self, request: Request, ctx: Context, image_id: str) -> Response:
        self._authorize(ctx, image_id)
        request_body.forbid(request)
        found = [x for x in self._uploads.of_image(ctx, image_id) if _is_open(x)]
        if not found:
            raise errors.UploadNotFound("no part is there")
        self._end(found, ctx)
        return empty(204)

    def commit(self, request: Request, ctx: Context, image_id: str) -> Response:
        self._authorize(ctx, image_id)
        said: Mapping[str, int] = request_body.read_json(request, _BODY)
        _CHECKED.check(said)
        sessions = self._uploads.of_image(ctx, image_id)
        parts, joint = {number: x for number, x in _newest(sessions).items() if x.complete}, _joined(sessions)
        if not parts and joint is not None:  # asked again: the answer was lost
            return self._told(joint, said)
        count = said.get("parts") or max(parts, default=0)
        if not count:
            raise errors.Conflict("no part is there")
        if missing := [x for x in range(1, count + 1) if x not in parts]:
            raise errors.Conflict(f"part {', '.join(map(str, missing[:10]))} is missing, or not complete")
        if more := [x for x in sorted(parts) if x > count]:
            raise errors.Conflict(f"parts: {count} were named, and there is a part {more[0]}")
        chosen = [parts[x] for x in range(1, count + 1)]
        _check_size(said, sum(x.offset for x in chosen))
        return self._told(self._uploads.join(ctx, image_id, [x.id for x in chosen], note={"parts": str(count)}), {})

    # -- inside ------------------------------------------------------------------------------------
    def _authorize(self, ctx: Context, image_id: str) -> None:
        self._kernel.policy.authorize(ctx, RULE, self._kernel.images.show(ctx, image_id))

    def _of_number(self, ctx: Context, image_id: str, number: int) -> list[UploadSession]:
        """All that are there: a newer one is sent before an older one is given up."""
        return [x for x in self._uploads.of_image(ctx, image_id) if _is_open(x) and _part(x) == number]

    def _end(self, sessions: Sequence[UploadSession], ctx: Context) -> None:
        for session in sessions:
            with contextlib.suppress(errors.UploadNotFound, errors.UploadGone):  # it is gone already
                self._uploads.terminate(ctx, session.image_id, session.id)

    def _told(self, joint: UploadSession, said: Mapping[str, int]) -> Response:
        if joint.state is SessionState.FAILED:
            raise errors.UploadGone(f"the upload has ended without its data: {joint.last_error or 'it was ended'}")
        if said.get("parts", int(joint.note["parts"])) != int(joint.note["parts"]):
            raise errors.Conflict(f"parts: the image was made of {joint.note['parts']}")
        _check_size(said, joint.offset)
        return empty(202 if joint.state is SessionState.FINISHING else 204)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_PARTIALS):
        raise errors.Invalid(f"the number of a part is from 1 to {MOST_PARTIALS}")
    return int(text)


def _check_size(said: Mapping[str, int], size: int) -> None:
    if said.get("size", size) != size:
        raise errors.Conflict(f"size: the parts have {size} bytes together, and not {said['size']}")


def _part(session: UploadSession) -> int | None:
    return int(session.note["part"]) if session.partial and "part" in session.note else None


def _is_open(session: UploadSession) -> bool:
    return _part(session) is not None and session.state is SessionState.OPEN


def _newest(sessions: Sequence[UploadSession]) -> dict[int, UploadSession]:
    """Of each number the newest one, but complete before not complete."""
    found: dict[int, UploadSession] = {}
    for session in sorted(filter(_is_open, sessions), key=lambda x: (x.complete, int(x.note["at"]), x.id)):
        found[int(session.note["part"])] = session
    return found


def _joined(sessions: Sequence[UploadSession]) -> UploadSession | None:
    """What became of the parts that were committed last."""
    return max((x for x in sessions if x.joined and "parts" in x.note), key=lambda x: x.expires_at, default=None)
