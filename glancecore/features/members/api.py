"""Members of an image."""

from __future__ import annotations

from flask import Request, Response

from glancecore.domain.context import Context
from glancecore.domain.member import Member, MemberStatus
from glancecore.features.images.api import stamp
from glancecore.features.members import schemas
from glancecore.features.members.use_cases import Members
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty, json_response


class MembersApi:
    def __init__(self, members: Members, max_json_body: int) -> None:
        self._members = members
        self._limit = max_json_body
        self._add = body.Checker(schemas.ADD)
        self._change = body.Checker(schemas.CHANGE)

    def list(self, _request: Request, ctx: Context, image_id: str) -> Response:
        rows = [_present(x) for x in self._members.list(ctx, image_id)]
        return json_response({"members": rows, "schema": "/v2/schemas/members"})

    def add(self, request: Request, ctx: Context, image_id: str) -> Response:
        def read() -> str:
            wanted = body.read_json(request, self._limit)
            self._add.check(wanted)
            return str(wanted["member"])

        return json_response(_present(self._members.add(ctx, image_id, read)))

    def show(self, _request: Request, ctx: Context, image_id: str, member: str) -> Response:
        return json_response(_present(self._members.show(ctx, image_id, member)))

    def update(self, request: Request, ctx: Context, image_id: str, member: str) -> Response:
        def read() -> MemberStatus:
            wanted = body.read_json(request, self._limit)
            self._change.check(wanted)
            return MemberStatus(wanted["status"])

        return json_response(_present(self._members.set_status(ctx, image_id, member, read)))

    def remove(self, request: Request, ctx: Context, image_id: str, member: str) -> Response:
        body.forbid(request)
        self._members.remove(ctx, image_id, member)
        return empty()


def _present(member: Member) -> dict[str, object]:
    return {
        "member_id": member.member,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": stamp(member.created_at),
        "updated_at": stamp(member.updated_at),
        "schema": "/v2/schemas/member",
    }
