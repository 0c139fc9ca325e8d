"""What clients may ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Request, Response

from glancecore.domain import errors, text
from glancecore.domain.context import Context
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Param, Route
from glancecore.sdk import paging, request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_families import schemas
from glancecore_ext_families.catalogue import Catalogue
from glancecore_ext_families.dating import Dating
from glancecore_ext_families.family import Channel, Family, Version
from glancecore_ext_families.keeping import Keeping
from glancecore_ext_families.moving import Asked, Moving
from glancecore_ext_families.references import LATEST

_MOST_BODY = 16_000
#: Versions that are looked at for one page of a list, where many are not the caller's to see, and at once.
_MOST_LOOKED, _LOOK = 2000, 100
#: How a marker begins that is no label: behind the version of that number, which the caller may not be shown.
_PLACE = "~"
_CHECKS = {
    name: request_body.Checker(getattr(schemas, name))
    for name in ("CREATE", "CHANGE", "ADD", "DEPRECATE", "PROMOTE", "MOVE", "REASON")
}


class Routes:
    def __init__(self, kernel: Kernel, catalogue: Catalogue, keeping: Keeping, moving: Moving, dating: Dating) -> None:
        self._kernel = kernel
        self._catalogue = catalogue
        self._keeping = keeping
        self._moving = moving
        self._dating = dating

    def table(self) -> Sequence[Route]:
        many, one = "/families", "/families/<family_id>"
        version, channel = f"{one}/versions/<label>", f"{one}/channels/<channel>"
        moved = {200: schemas.CHANNEL_SHOWN}
        said: dict[str, Any] = {"tag": "families"}
        return [
            Route(
                "GET",
                many,
                self.list,
                "List families: your project's own, then public ones",
                {200: schemas.listed("families", schemas.FAMILY)},
                params=(*paging.PARAMS, Param("name", "Exactly this name: your project's own family first.")),
                **said,
            ),
            Route("POST", many, self.create, "Create a family", {201: schemas.FAMILY}, body=schemas.CREATE, **said),
            Route("GET", one, self.show, "Show a family", {200: schemas.FAMILY}, **said),
            Route("PATCH", one, self.change, "Change a family", {200: schemas.FAMILY}, body=schemas.CHANGE, **said),
            Route(
                "DELETE",
                one,
                self.delete,
                "Delete a family; its images stay",
                {204: None},
                params=(
                    Param(
                        "force",
                        "true: also when it has versions or channels.",
                        schema={"type": "string", "enum": ["true", "false"]},
                    ),
                ),
                **said,
            ),
            Route(
                "GET",
                f"{one}/versions",
                self.versions,
                "List versions, the newest first",
                {200: schemas.listed("versions", schemas.VERSION)},
                params=paging.PARAMS,
                **said,
            ),
            Route(
                "PUT",
                version,
                self.add,
                "Add an image as a version, for good",
                {200: schemas.VERSION, 201: schemas.VERSION},
                body=schemas.ADD,
                **said,
            ),
            Route("GET", version, self.version, "Show a version", {200: schemas.VERSION}, **said),
            Route(
                "DELETE",
                version,
                self.take_out,
                "Take a version out of its family; the image stays",
                {204: None},
                **said,
            ),
            Route(
                "POST",
                f"{version}/actions/deprecate",
                self.deprecate,
                "Deprecate a version, now or later",
                {200: schemas.VERSION},
                body=schemas.DEPRECATE,
                **said,
            ),
            Route(
                "POST",
                f"{version}/actions/restore",
                self.restore,
                "Take a deprecation back",
                {200: schemas.VERSION},
                body=schemas.REASON,
                **said,
            ),
            Route(
                "GET",
                f"{one}/channels",
                self.channels,
                "List channels",
                {200: schemas.listed("channels", schemas.CHANNEL_SHOWN)},
                **said,
            ),
            Route("GET", channel, self.channel, "Show a channel", moved, **said),
            Route("PUT", channel, self.promote, "Point a channel to a version", moved, body=schemas.PROMOTE, **said),
            Route("DELETE", channel, self.drop, "Delete a channel", {204: None}, **said),
            Route(
                "POST",
                f"{channel}/actions/rollback",
                self.roll_back,
                "Point a channel to where it pointed before",
                moved,
                body=schemas.MOVE,
                **said,
            ),
            Route(
                "POST",
                f"{channel}/actions/pin",
                self.pin,
                "Pin a channel: it is not moved until it is unpinned",
                moved,
                body=schemas.MOVE,
                **said,
            ),
            Route("POST", f"{channel}/actions/unpin", self.unpin, "Unpin a channel", moved, body=schemas.MOVE, **said),
            Route(
                "GET",
                f"{channel}/history",
                self.history,
                "Moves of a channel, the last one first",
                {200: schemas.listed("moves", schemas.MOVED)},
                params=(paging.PARAMS[0], Param("marker", "Number of the last move of the page before: see next.")),
                **said,
            ),
        ]

    # -- families ----------------------------------------------------------------------------------
    def list(self, request: Request, ctx: Context) -> Response:
        limit, marker = paging.limit(request), request.args.get("marker")
        self._kernel.policy.authorize(
            ctx,
            "families_show",
            {"project_id": ctx.project, "owner": ctx.project, "visibility": "public", "member_id": None},
        )
        if "name" in request.args:
            return json_response({"families": self._families(ctx, self._catalogue.by_name(ctx, request.args["name"]))})
        found = self._catalogue.page(ctx, marker, limit)
        return paging.listed(
            request, "families", self._families(ctx, found), found[-1].id if len(found) == limit else None
        )

    def create(self, request: Request, ctx: Context) -> Response:
        self._kernel.policy.authorize(
            ctx,
            "families_change",
            {"project_id": ctx.project, "owner": ctx.project, "visibility": "private", "member_id": None},
        )
        return json_response(schemas.family(self._keeping.create(ctx, _body(request, "CREATE"))), 201)

    def show(self, _request: Request, ctx: Context, family_id: str) -> Response:
        return json_response(self._families(ctx, [self._catalogue.get(ctx, family_id)])[0])

    def change(self, request: Request, ctx: Context, family_id: str) -> Response:
        self._may(ctx, "families_change", family_id)
        return json_response(schemas.family(self._keeping.change(ctx, family_id, _body(request, "CHANGE"))))

    def delete(self, request: Request, ctx: Context, family_id: str) -> Response:
        self._may(ctx, "families_change", family_id)
        request_body.forbid(request)
        force = request.args.get("force", "false")
        if force not in ("true", "false"):
            raise errors.Invalid(f"force: {text.shortened(force)!r} is not one of true, false")
        self._keeping.delete(ctx, family_id, force=force == "true")
        return empty()

    # -- versions ----------------------------------------------------------------------------------
    def versions(self, request: Request, ctx: Context, family_id: str) -> Response:
        limit, marker = paging.limit(request), request.args.get("marker")
        family = self._catalogue.get(ctx, family_id)
        after = self._behind(ctx, family, marker) if marker is not None else None
        found: list[Version] = []
        following: str | None = None
        size = max(limit, _LOOK)
        for looked in range(size, _MOST_LOOKED + size, size):
            page = self._catalogue.newest(family, after, size)
            found += self._catalogue.shown(ctx, family, page)
            if len(found) >= limit:
                following = found[limit - 1].label
            if following is not None or len(page) < size:
                break
            after = page[-1]
            if looked >= _MOST_LOOKED:
                following = f"{_PLACE}{after.number}"
        now = self._kernel.clock()
        return paging.listed(request, "versions", [schemas.version(x, now) for x in found[:limit]], following)

    def version(self, _request: Request, ctx: Context, family_id: str, label: str) -> Response:
        family = self._catalogue.get(ctx, family_id)
        return self._version(self._catalogue.version(ctx, family, label))

    def add(self, request: Request, ctx: Context, family_id: str, label: str) -> Response:
        self._may(ctx, "families_version", family_id)
        version, new = self._keeping.add(ctx, family_id, label, _body(request, "ADD"))
        return self._version(version, 201 if new else 200)

    def take_out(self, request: Request, ctx: Context, family_id: str, label: str) -> Response:
        request_body.forbid(request)
        self._keeping.take_out(ctx, family_id, label)
        return empty()

    def deprecate(self, request: Request, ctx: Context, family_id: str, label: str) -> Response:
        self._may(ctx, "families_version", family_id)
        return self._version(self._dating.deprecate(ctx, family_id, label, _body(request, "DEPRECATE")))

    def restore(self, request: Request, ctx: Context, family_id: str, label: str) -> Response:
        self._may(ctx, "families_version", family_id)
        return self._version(self._dating.restore(ctx, family_id, label, _body(request, "REASON").get("reason", "")))

    # -- channels ----------------------------------------------------------------------------------
    def channels(self, _request: Request, ctx: Context, family_id: str) -> Response:
        family = self._catalogue.get(ctx, family_id)
        seen, whole = family.channels, self._catalogue.inspects(ctx, family)
        if not whole:
            visible = self._catalogue.images(ctx, sorted({x.target.image_id for x in seen.values()}))
            seen = {name: x for name, x in seen.items() if x.target.image_id in visible}
        rows = [schemas.channel(name, seen[name], whole=whole) for name in sorted(seen)]
        latest = self._catalogue.latest(ctx, family)
        return json_response({"channels": [schemas.latest(latest), *rows] if latest is not None else rows})

    def channel(self, _request: Request, ctx: Context, family_id: str, channel: str) -> Response:
        family = self._catalogue.get(ctx, family_id)
        latest = self._catalogue.latest(ctx, family) if channel == LATEST else None
        if latest is not None:
            return json_response(schemas.latest(latest))
        found = family.channels.get(channel)
        whole = self._catalogue.inspects(ctx, family)
        if found is None or not (whole or self._catalogue.images(ctx, [found.target.image_id])):
            raise errors.RecordNotFound(f"family {family.name} has no channel {text.shortened(channel)}")
        return json_response(schemas.channel(channel, found, whole=whole))

    def promote(self, request: Request, ctx: Context, family_id: str, channel: str) -> Response:
        self._may(ctx, "families_move", family_id)
        wanted = _body(request, "PROMOTE")
        return _channel(channel, self._moving.promote(ctx, family_id, channel, wanted["label"], _asked(wanted)))

    def roll_back(self, request: Request, ctx: Context, family_id: str, channel: str) -> Response:
        self._may(ctx, "families_move", family_id)
        return _channel(channel, self._moving.roll_back(ctx, family_id, channel, _asked(_body(request, "MOVE"))))

    def pin(self, request: Request, ctx: Context, family_id: str, channel: str) -> Response:
        self._may(ctx, "families_move", family_id)
        return _channel(channel, self._moving.pin(ctx, family_id, channel, _asked(_body(request, "MOVE")), pinned=True))

    def unpin(self, request: Request, ctx: Context, family_id: str, channel: str) -> Response:
        self._may(ctx, "families_move", family_id)
        return _channel(
            channel, self._moving.pin(ctx, family_id, channel, _asked(_body(request, "MOVE")), pinned=False)
        )

    def drop(self, request: Request, ctx: Context, family_id: str, channel: str) -> Response:
        request_body.forbid(request)
        self._moving.delete(ctx, family_id, channel)
        return empty()

    def history(self, request: Request, ctx: Context, family_id: str, channel: str) -> Response:
        limit, marker = paging.limit(request), request.args.get("marker")
        family = self._catalogue.get(ctx, family_id)
        self._kernel.policy.authorize(ctx, "families_inspect", family.target)
        found = self._moving.history(
            family, text.shortened(channel), None if marker is None else paging.whole_number("marker", marker), limit
        )
        return paging.listed(
            request,
            "moves",
            [schemas.move(x) for x in found],
            str(found[-1].data["number"]) if len(found) == limit else None,
        )

    # -- inside ------------------------------------------------------------------------------------
    def _may(self, ctx: Context, rule: str, family_id: str) -> None:
        """Before the body is read. Raises RecordNotFound, Forbidden."""
        self._kernel.policy.authorize(ctx, rule, self._catalogue.get(ctx, family_id).target)

    def _families(self, ctx: Context, families: Sequence[Family]) -> Sequence[dict[str, object]]:
        hidden = self._catalogue.hides_default(ctx, families)
        return [schemas.family(x, hidden=x.id in hidden) for x in families]

    def _behind(self, ctx: Context, family: Family, marker: str) -> Version:
        """A version that the caller is shown, or a place between versions. Raises UnknownMarker."""
        if marker.startswith(_PLACE):
            return Version(
                "", family.id, "", paging.whole_number("marker", marker.removeprefix(_PLACE)), family.created_at
            )
        try:
            return self._catalogue.version(ctx, family, marker)
        except errors.RecordNotFound:
            raise errors.UnknownMarker(
                f"marker: family {family.name} has no version {text.shortened(marker)}"
            ) from None

    def _version(self, version: Version, status: int = 200) -> Response:
        return json_response(schemas.version(version, self._kernel.clock()), status)


def _channel(name: str, moved: tuple[Family, Channel]) -> Response:
    return json_response(schemas.channel(name, moved[1]))


def _asked(wanted: dict[str, Any]) -> Asked:
    return Asked(wanted.get("reason", ""), wanted.get("expected_revision"))


def _body(request: Request, schema: str) -> dict[str, Any]:
    found: dict[str, Any] = request_body.read_json(request, _MOST_BODY)
    _CHECKS[schema].check(found)
    for name in ("description", "reason"):
        for line in (found.get(name) or "").split("\n"):  # clients print them, those of public families everybody's
            text.label(name, line)
    return found
