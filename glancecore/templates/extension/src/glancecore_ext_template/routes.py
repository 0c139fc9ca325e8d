"""What clients may ask. This file loads the web framework, so only ``Template.routes`` imports it."""

from __future__ import annotations

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Route
from glancecore.sdk import request_body
from glancecore.sdk.responses import json_response
from glancecore_ext_template.notes import Notes

NOTE = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {"text": {"type": "string", "maxLength": 1000, "description": "The note."}},
}
_CHECK = request_body.Checker(NOTE)


class Routes:
    def __init__(self, kernel: Kernel, notes: Notes, longest: int) -> None:
        self._kernel = kernel
        self._notes = notes
        self._longest = longest

    def table(self) -> list[Route]:
        return [
            Route(
                "PUT",
                "/template/<image_id>",
                self.write,
                "Write the note on an image",
                {200: NOTE},
                body=NOTE,
                tag="template",
            )
        ]

    def write(self, request: Request, ctx: Context, image_id: str) -> Response:
        image: Image = self._kernel.images.show(ctx, image_id)  # 404 for who may not see it
        self._kernel.policy.authorize(ctx, "template_write", image)
        note = request_body.read_json(request, limit=10_000)
        _CHECK.check(note)
        if len(note["text"]) > self._longest:
            raise errors.Invalid(f"text: longer than {self._longest} characters")
        self._notes.write(image, note["text"])
        return json_response(note)
