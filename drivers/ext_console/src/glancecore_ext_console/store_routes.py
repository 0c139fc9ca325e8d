"""What operators do to stores: drain one, empty it, and take data again."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Request, Response

from glancecore.domain.context import Context
from glancecore.domain.events import EventName, ExtensionEvent
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Route
from glancecore.sdk import request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_console.evacuations import Evacuations
from glancecore_ext_console.rules import RULES

RULE = RULES[1].name
DRAINED = EventName("console.drain")
_TEXT, _WHOLE, _MAYBE = {"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}
ASKED = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"dry_run": {"type": "boolean", "description": "Change nothing; count what would be done."}},
}
_ASKED = request_body.Checker(ASKED)
_BODY = 1000
EVACUATION = {
    "type": "object",
    "required": [
        "state",
        "stopping",
        "dry_run",
        "by",
        "started_at",
        "seen_at",
        "ended_at",
        "why",
        "images",
        "moved",
        "dropped",
        "failed",
        "busy",
        "bytes",
        "problems",
    ],
    "properties": {
        "state": {"type": "string", "enum": ["running", "ended", "stopped", "failed", "cut off"]},
        "stopping": {"type": "boolean"},
        "dry_run": {"type": "boolean"},
        "by": _MAYBE,
        "started_at": _TEXT,
        "seen_at": _TEXT,
        "ended_at": _MAYBE,
        "why": _TEXT,
        "images": {"type": "integer", "description": "That had data there when it began."},
        "moved": {"type": "integer", "description": "Images that got a copy elsewhere."},
        "dropped": {"type": "integer", "description": "Images that had a good one elsewhere."},
        "failed": _WHOLE,
        "busy": {"type": "integer", "description": "Images that somebody works on."},
        "bytes": {"type": "integer", "description": "That were copied."},
        "problems": {
            "type": "array",
            "description": "Why images stay; at most 100.",
            "items": {
                "type": "object",
                "required": ["image", "outcome", "why"],
                "properties": {"image": _TEXT, "outcome": _TEXT, "why": _TEXT},
            },
        },
    },
}


class StoreRoutes:
    def __init__(self, kernel: Kernel, evacuations: Evacuations) -> None:
        self._kernel = kernel
        self._evacuations = evacuations

    def table(self) -> Sequence[Route]:
        store = "/v2/console/stores/<store>"
        return [
            Route(
                "POST",
                f"{store}/actions/drain",
                self.drain,
                "A store takes no new data from now on",
                {204: None},
                tag="console",
            ),
            Route(
                "POST",
                f"{store}/actions/undrain",
                self.undrain,
                "A store takes new data again",
                {204: None},
                tag="console",
            ),
            Route(
                "POST",
                f"{store}/evacuation",
                self.evacuate,
                "Move the data of all images out of a draining store",
                {202: EVACUATION},
                ASKED,
                tag="console",
                lane=Lane.TRANSFER,
            ),
            Route("DELETE", f"{store}/evacuation", self.stop, "Stop that", {204: None}, tag="console"),
        ]

    def drain(self, request: Request, ctx: Context, store: str) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        request_body.forbid(request)
        return self._turned(ctx, store, draining=True, fresh=self._kernel.upkeep.drain(store))

    def undrain(self, request: Request, ctx: Context, store: str) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        request_body.forbid(request)
        return self._turned(ctx, store, draining=False, fresh=self._kernel.upkeep.undrain(store))

    def evacuate(self, request: Request, ctx: Context, store: str) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        said: dict[str, bool] = request_body.read_json(request, _BODY)
        _ASKED.check(said)
        return json_response(self._evacuations.begin(ctx, store, dry_run=said.get("dry_run", False)), 202)

    def stop(self, request: Request, ctx: Context, store: str) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        request_body.forbid(request)
        self._kernel.upkeep.held(store)  # or it is told that there is none
        self._evacuations.stop(store)
        return empty(204)

    def _turned(self, ctx: Context, store: str, *, draining: bool, fresh: bool) -> Response:
        if fresh:
            self._kernel.writer.save(
                events=[
                    ExtensionEvent(
                        DRAINED, store, {"store": store, "draining": draining, "user": ctx.user, "project": ctx.project}
                    )
                ]
            )
        return empty(204)
