"""Metadata definitions: namespaces, resource types, checking properties."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request, Response

from glancecore.domain.clock import now
from glancecore.domain.context import Context
from glancecore.features.images.api import stamp
from glancecore.features.metadefs import bodies as metadef_bodies
from glancecore.features.metadefs import query as metadef_query
from glancecore.features.metadefs import responses as metadef_answers
from glancecore.features.metadefs import schemas
from glancecore.features.metadefs.use_cases import Metadefs
from glancecore.http.arguments import pairs
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty, json_response


@dataclass(frozen=True, slots=True)
class MetadefApiSettings:
    limit_default: int = 25
    limit_max: int = 1000
    max_json_body: int = 1 << 20


class MetadefsApi:
    def __init__(self, metadefs: Metadefs, settings: MetadefApiSettings) -> None:
        self._metadefs = metadefs
        self._settings = settings
        self._validate = body.Checker(schemas.VALIDATE_BODY)

    def list(self, request: Request, ctx: Context) -> Response:
        args = pairs(request)
        query = metadef_query.namespaces(args, ctx, self._settings.limit_default, self._settings.limit_max)
        page = self._metadefs.find(ctx, query)
        return json_response(
            {
                "namespaces": [metadef_answers.outline(x) for x in page.namespaces],
                **metadef_query.links(metadef_answers.ROOT, args, page.marker),
                "schema": "/v2/schemas/metadefs/namespaces",
            }
        )

    def create(self, request: Request, ctx: Context) -> Response:
        made = self._metadefs.create(
            ctx,
            lambda: metadef_bodies.namespace(body.read_json(request, self._settings.max_json_body), ctx.project, now()),
        )
        response = json_response(metadef_answers.whole(made), 201)
        response.headers["Location"] = f"{request.root_url.rstrip('/')}{metadef_answers.path(made.name)}"
        return response

    def show(self, request: Request, ctx: Context, namespace: str) -> Response:
        found = self._metadefs.show(ctx, namespace)
        resource_type = request.args.get("resource_type")
        prefix = found.prefix_for(resource_type) if resource_type is not None else None
        return json_response(metadef_answers.whole(found, prefix or ""))

    def update(self, request: Request, ctx: Context, namespace: str) -> Response:
        changed = self._metadefs.update(
            ctx,
            namespace,
            lambda: metadef_bodies.namespace_fields(body.read_json(request, self._settings.max_json_body)),
        )
        return json_response(metadef_answers.outline(changed, associations=False))

    def delete(self, request: Request, ctx: Context, namespace: str) -> Response:
        body.forbid(request)
        self._metadefs.delete(ctx, namespace)
        return empty()

    def resource_types(self, _request: Request, ctx: Context) -> Response:
        rows = [
            {"name": x.name, "created_at": stamp(x.created_at), "updated_at": stamp(x.updated_at)}
            for x in self._metadefs.resource_types(ctx)
        ]
        return json_response({"resource_types": rows})

    def validate(self, request: Request, ctx: Context) -> Response:
        def read() -> tuple[str, dict[str, object]]:
            wanted = body.read_json(request, self._settings.max_json_body)
            self._validate.check(wanted)
            return wanted["resource_type"], wanted["properties"]

        verdict = self._metadefs.validate(ctx, read)
        return json_response(
            {
                "valid": not verdict.violations,
                "checked": list(verdict.checked),
                "violations": [
                    {"namespace": x.namespace, "property": x.property, "rule": x.rule, "message": x.message}
                    for x in verdict.violations
                ],
            }
        )
