"""What clients may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Request, Response

from glancecore.domain import errors, text
from glancecore.domain.context import Context
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Route
from glancecore.ports.record_repository import Record
from glancecore.sdk import request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_lifecycle.plans import Plans
from glancecore_ext_lifecycle.policy import BODY, KEEP, SELECTOR, STEP

_MOST_BODY = 64_000
_CHECK = request_body.Checker(dict(BODY))
_TEXT = {"type": "string"}
POLICY = {
    "type": "object",
    "required": ["id", "name", "selector", "keep", "steps", "written_at"],
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "owner": _TEXT,
        "written_at": _TEXT,
        "selector": SELECTOR,
        "keep": KEEP,
        "steps": {"type": "array", "items": STEP},
    },
}
PLAN = {
    "type": "object",
    "required": ["id", "policy_id", "made_at", "expires_at", "state", "left", "notes", "entries", "result"],
    "properties": {
        "id": _TEXT,
        "policy_id": _TEXT,
        "made_at": _TEXT,
        "expires_at": _TEXT,
        "applied_at": {"type": ["null", "string"]},
        "state": {"type": "string", "enum": ["planned", "applying", "applied"]},
        "left": {"type": "integer", "description": "Images that the plan has no room for; the next one has them."},
        "notes": {"type": "array", "items": _TEXT, "description": "What of the policy can mean no image now."},
        "entries": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "image_id": _TEXT,
                    "version": {"type": "integer"},
                    "link": {"type": "integer"},
                    "action": _TEXT,
                    "why": _TEXT,
                },
            },
        },
        "result": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"image_id": _TEXT, "action": _TEXT, "done": {"type": "boolean"}, "why": _TEXT},
            },
        },
    },
}


class Routes:
    def __init__(self, kernel: Kernel, plans: Plans) -> None:
        self._kernel = kernel
        self._plans = plans

    def table(self) -> Sequence[Route]:
        many, one, plan = "/lifecycle/policies", "/lifecycle/policies/<policy_id>", "/lifecycle/plans/<plan_id>"
        said: dict[str, Any] = {"tag": "lifecycle"}
        return [
            Route(
                "GET", many, self.policies, "List policies of your project", {200: _listed("policies", POLICY)}, **said
            ),
            Route("POST", many, self.create, "Create a policy", {201: POLICY}, body=BODY, **said),
            Route("GET", one, self.policy, "Show a policy", {200: POLICY}, **said),
            Route("PUT", one, self.replace, "Write a policy anew", {200: POLICY}, body=BODY, **said),
            Route("DELETE", one, self.delete, "Delete a policy with its plans", {204: None}, **said),
            Route(
                "GET",
                f"{one}/plans",
                self.plans,
                "List plans of a policy, the last one first",
                {200: _listed("plans", PLAN)},
                **said,
            ),
            Route(
                "POST",
                f"{one}/plans",
                self.make,
                "Plan what the policy would do now",
                {201: PLAN},
                lane=Lane.TRANSFER,
                **said,
            ),
            Route("GET", plan, self.plan, "Show a plan", {200: PLAN}, **said),
            Route(
                "POST",
                f"{plan}/actions/apply",
                self.apply,
                "Do what a plan says",
                {200: PLAN},
                lane=Lane.TRANSFER,
                **said,
            ),
        ]

    def policies(self, _request: Request, ctx: Context) -> Response:
        self._may(ctx, "lifecycle_show")
        return json_response({"policies": [_policy(x) for x in self._plans.policies(ctx)]})

    def create(self, request: Request, ctx: Context) -> Response:
        self._may(ctx, "lifecycle_change")
        return json_response(_policy(self._plans.write(ctx, _body(request))), 201)

    def policy(self, _request: Request, ctx: Context, policy_id: str) -> Response:
        return json_response(_policy(self._plans.policy(ctx, policy_id)))

    def replace(self, request: Request, ctx: Context, policy_id: str) -> Response:
        self._plans.policy(ctx, policy_id, "lifecycle_change")
        return json_response(_policy(self._plans.write(ctx, _body(request), policy_id)))

    def delete(self, request: Request, ctx: Context, policy_id: str) -> Response:
        request_body.forbid(request)
        self._plans.delete(ctx, policy_id)
        return empty()

    def plans(self, _request: Request, ctx: Context, policy_id: str) -> Response:
        return json_response({"plans": [_plan(x) for x in self._plans.plans_of(self._plans.policy(ctx, policy_id).id)]})

    def make(self, request: Request, ctx: Context, policy_id: str) -> Response:
        request_body.forbid(request)
        return json_response(_plan(self._plans.make(ctx, self._plans.policy(ctx, policy_id, "lifecycle_plan"))), 201)

    def plan(self, _request: Request, ctx: Context, plan_id: str) -> Response:
        return json_response(_plan(self._plans.plan(ctx, plan_id)))

    def apply(self, request: Request, ctx: Context, plan_id: str) -> Response:
        request_body.forbid(request)
        return json_response(_plan(self._plans.apply(ctx, plan_id)))

    def _may(self, ctx: Context, rule: str) -> None:
        self._kernel.policy.authorize(ctx, rule, {"project_id": ctx.project, "owner": ctx.project})


def _body(request: Request) -> Mapping[str, Any]:
    found: dict[str, Any] = request_body.read_json(request, _MOST_BODY)
    _CHECK.check(found)
    text.label("name", found["name"])
    for at, step in enumerate(found["steps"]):
        if not {"age_days", "unused_days", "beyond", "past"} & step.keys():
            raise errors.Invalid(f"steps.{at}: {step['action']} needs age_days, unused_days, beyond or past")
        if "days" in step and "past" not in step:
            raise errors.Invalid(f"steps.{at}.days: it counts from past, which is not there")
    return {"keep": {}, **found}


def _listed(name: str, schema: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": schema}}}


def _policy(record: Record) -> dict[str, object]:
    return {"id": record.id, **record.data}


def _plan(record: Record) -> dict[str, object]:
    data = {x: y for x, y in record.data.items() if x not in ("owner", "policy_version")}
    return {"id": record.id, "expires_at": f"{record.expires_at:%Y-%m-%dT%H:%M:%SZ}", "notes": [], **data}
