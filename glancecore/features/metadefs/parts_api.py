"""What is in a namespace of metadata definitions: objects, properties, tags, associations."""

from __future__ import annotations

from typing import Any

from flask import Request, Response

from glancecore.domain.clock import now
from glancecore.domain.context import Context
from glancecore.domain.metadef import Association, MetadefObject, Part, Property, Tag
from glancecore.features.metadefs import bodies as metadef_bodies
from glancecore.features.metadefs import query as metadef_query
from glancecore.features.metadefs import responses as metadef_answers
from glancecore.features.metadefs.parts import MetadefParts
from glancecore.http.arguments import pairs
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty, json_response


class MetadefPartsApi:
    """What all parts have in common: reading and deleting them."""

    def __init__(self, parts: MetadefParts, max_json_body: int) -> None:
        self._parts = parts
        self._limit = max_json_body

    def _read(self, request: Request) -> Any:
        return body.read_json(request, self._limit)

    def _remove(self, request: Request, ctx: Context, namespace: str, kind: type[Part], name: str) -> Response:
        body.forbid(request)
        self._parts.remove(ctx, namespace, kind, name)
        return empty()

    def _remove_all(self, request: Request, ctx: Context, namespace: str, kind: type[Part]) -> Response:
        body.forbid(request)
        self._parts.remove_all(ctx, namespace, kind)
        return empty()


class MetadefObjectsApi(MetadefPartsApi):
    def list(self, request: Request, ctx: Context, namespace: str) -> Response:
        args = pairs(request)
        page, marker = metadef_query.objects(args, self._parts.list(ctx, namespace, MetadefObject))
        return json_response(
            {
                "objects": [metadef_answers.an_object(namespace, x) for x in page],
                **metadef_query.links(metadef_answers.path(namespace, "objects"), args, marker),
                "schema": "/v2/schemas/metadefs/objects",
            }
        )

    def create(self, request: Request, ctx: Context, namespace: str) -> Response:
        made = self._parts.add(
            ctx, namespace, MetadefObject, lambda: metadef_bodies.an_object(self._read(request), now())
        )
        return json_response(metadef_answers.an_object(namespace, made), 201)

    def show(self, _request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return json_response(
            metadef_answers.an_object(namespace, self._parts.show(ctx, namespace, MetadefObject, name))
        )

    def update(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        made = self._parts.update(
            ctx, namespace, MetadefObject, name, lambda: metadef_bodies.an_object(self._read(request), now())
        )
        return json_response(metadef_answers.an_object(namespace, made))

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, MetadefObject, name)

    def remove_all(self, request: Request, ctx: Context, namespace: str) -> Response:
        return self._remove_all(request, ctx, namespace, MetadefObject)


class MetadefPropertiesApi(MetadefPartsApi):
    def list(self, _request: Request, ctx: Context, namespace: str) -> Response:
        found = self._parts.list(ctx, namespace, Property)
        return json_response({"properties": metadef_answers.properties(found)})

    def create(self, request: Request, ctx: Context, namespace: str) -> Response:
        made = self._parts.add(ctx, namespace, Property, lambda: metadef_bodies.a_property(self._read(request)))
        return json_response(metadef_answers.a_property(made), 201)

    def show(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        resource_type = request.args.get("resource_type")
        found = (
            self._parts.show(ctx, namespace, Property, name)
            if resource_type is None
            else self._parts.show_property(ctx, namespace, name, resource_type)
        )
        return json_response(metadef_answers.a_property(found))

    def update(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        made = self._parts.update(
            ctx, namespace, Property, name, lambda: metadef_bodies.a_property(self._read(request))
        )
        return json_response(metadef_answers.a_property(made))

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, Property, name)

    def remove_all(self, request: Request, ctx: Context, namespace: str) -> Response:
        return self._remove_all(request, ctx, namespace, Property)


class MetadefTagsApi(MetadefPartsApi):
    def list(self, request: Request, ctx: Context, namespace: str) -> Response:
        args = pairs(request)
        page, marker = metadef_query.tags(args, self._parts.list(ctx, namespace, Tag))
        return json_response(
            {
                "tags": [{"name": x.name} for x in page],
                **metadef_query.links(metadef_answers.path(namespace, "tags"), args, marker),
            }
        )

    def create(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        body.forbid(request)
        made = self._parts.add(ctx, namespace, Tag, lambda: metadef_bodies.tag({"name": name}, now()))
        return json_response(metadef_answers.tag(made), 201)

    def create_many(self, request: Request, ctx: Context, namespace: str) -> Response:
        """All others go, unless the header says to append."""
        append = request.headers.get("X-Openstack-Append", "").strip().lower() == "true"
        made = self._parts.set_tags(
            ctx, namespace, lambda: metadef_bodies.tags(self._read(request), now()), append=append
        )
        return json_response({"tags": [{"name": x.name} for x in made]}, 201)

    def show(self, _request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return json_response(metadef_answers.tag(self._parts.show(ctx, namespace, Tag, name)))

    def update(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        made = self._parts.update(ctx, namespace, Tag, name, lambda: metadef_bodies.tag(self._read(request), now()))
        return json_response(metadef_answers.tag(made))

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, Tag, name)

    def remove_all(self, request: Request, ctx: Context, namespace: str) -> Response:
        return self._remove_all(request, ctx, namespace, Tag)


class MetadefAssociationsApi(MetadefPartsApi):
    def list(self, _request: Request, ctx: Context, namespace: str) -> Response:
        found = self._parts.list(ctx, namespace, Association)
        return json_response({"resource_type_associations": [metadef_answers.association(x) for x in found]})

    def create(self, request: Request, ctx: Context, namespace: str) -> Response:
        made = self._parts.add(
            ctx, namespace, Association, lambda: metadef_bodies.association(self._read(request), now())
        )
        return json_response(metadef_answers.association(made), 201)

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, Association, name)
