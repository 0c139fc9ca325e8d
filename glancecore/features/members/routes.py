"""The routes of members."""

from __future__ import annotations

from glancecore.features.images.routes import NOTHING, ONE
from glancecore.features.members import schemas
from glancecore.features.members.api import MembersApi
from glancecore.ports.http import Route

_LISTED = {
    "type": "object",
    "required": ["members", "schema"],
    "properties": {"members": {"type": "array", "items": schemas.ANSWER}, "schema": {"type": "string"}},
}


def routes(member: MembersApi) -> list[Route]:
    return [
        Route("GET", f"{ONE}/members", member.list, "List members", {200: _LISTED}, tag="members"),
        Route(
            "POST",
            f"{ONE}/members",
            member.add,
            "Share with a project",
            {200: schemas.ANSWER},
            body=schemas.ADD,
            tag="members",
        ),
        Route(
            "GET", f"{ONE}/members/<path:member>", member.show, "Show a member", {200: schemas.ANSWER}, tag="members"
        ),
        Route(
            "PUT",
            f"{ONE}/members/<path:member>",
            member.update,
            "Accept or reject",
            {200: schemas.ANSWER},
            body=schemas.CHANGE,
            tag="members",
        ),
        Route("DELETE", f"{ONE}/members/<path:member>", member.remove, "Stop sharing", NOTHING, tag="members"),
    ]
