"""Limits of projects: parsing requests, and what is answered."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Request, Response

from glancecore.domain.context import Context
from glancecore.domain.quota import RESOURCES, UNLIMITED, shown
from glancecore.features.quotas import schemas
from glancecore.features.quotas.rules import QUOTAS
from glancecore.features.quotas.use_cases import OwnQuota, ProjectState, Quotas
from glancecore.http.arguments import whole_number
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty, json_response


class QuotasApi:
    """``page``, ``most``: rows of a page unless another number is asked for, and at most."""

    def __init__(self, quotas: Quotas, max_json_body: int, page: int, most: int) -> None:
        self._quotas = quotas
        self._limit = max_json_body
        self._page, self._most = page, most
        self._change = body.Checker(dict(schemas.CHANGE))

    def list(self, request: Request, ctx: Context) -> Response:
        limit = max(1, min(whole_number("limit", request.args.get("limit", str(self._page))), self._most))
        found = self._quotas.list(ctx, request.args.get("marker", ""), limit)
        links = {"first": f"{QUOTAS}?{urlencode({'limit': limit})}"}
        if len(found) == limit:
            links["next"] = f"{QUOTAS}?{urlencode({'limit': limit, 'marker': found[-1].project})}"
        return json_response({"quotas": [_told(x) for x in found], **links})

    def show(self, _request: Request, ctx: Context, project_id: str) -> Response:
        return json_response(_state(self._quotas.show(ctx, project_id)))

    def change(self, request: Request, ctx: Context, project_id: str) -> Response:
        def read() -> dict[str, int | None]:
            wanted = body.read_json(request, self._limit)
            self._change.check(wanted)
            return {x: _stored(x, y) for x, y in wanted.items()}

        return json_response(_state(self._quotas.set(ctx, project_id, read)))

    def remove(self, request: Request, ctx: Context, project_id: str) -> Response:
        body.forbid(request)
        self._quotas.unset(ctx, project_id)
        return empty()


def _stored(resource: str, value: float | None) -> int | None:
    """A JSON integer may be written 1.0."""
    return None if value is None else UNLIMITED if value == UNLIMITED else int(value) << RESOURCES[resource][1]


def _told(quota: OwnQuota) -> dict[str, object]:
    return {"project_id": quota.project, "limits": quota.in_clients_units()}


def _state(state: ProjectState) -> dict[str, object]:
    return {**_told(state.quota), "usage": shown(state.usage, state.limits)}
