"""What is in a namespace of metadata definitions: objects, properties, tags, associations (contract 13.3 to 13.6)."""

from __future__ import annotations

from flask import Request, Response

from glancecore.api import body
from glancecore.api.answers import empty, json_answer
from glancecore.api.v2 import metadef_answers, metadef_bodies, metadef_query
from glancecore.api.v2.metadefs import arguments
from glancecore.domain.context import Context
from glancecore.domain.metadef import Association, MetadefObject, Part, Property, Tag
from glancecore.services.images import now
from glancecore.services.metadef_parts import MetadefParts


class MetadefPartsApi:
    """What all parts have in common: deleting them."""

    def __init__(self, parts: MetadefParts, max_json_body: int) -> None:
        self._parts = parts
        self._limit = max_json_body

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
        args = arguments(request)
        page, marker = metadef_query.objects(args, self._parts.list(ctx, namespace, MetadefObject))
        return json_answer({"objects": [metadef_answers.an_object(namespace, x) for x in page],
                            **metadef_query.links(metadef_answers.path(namespace, "objects"), args, marker),
                            "schema": "/v2/schemas/metadefs/objects"})

    def create(self, request: Request, ctx: Context, namespace: str) -> Response:
        wanted = metadef_bodies.an_object(body.read_json(request, self._limit), now())
        return json_answer(metadef_answers.an_object(namespace, self._parts.add(ctx, namespace, wanted)), 201)

    def show(self, _request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return json_answer(metadef_answers.an_object(namespace, self._parts.show(ctx, namespace, MetadefObject, name)))

    def update(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        wanted = metadef_bodies.an_object(body.read_json(request, self._limit), now())
        return json_answer(metadef_answers.an_object(namespace, self._parts.update(ctx, namespace, name, wanted)))

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, MetadefObject, name)

    def remove_all(self, request: Request, ctx: Context, namespace: str) -> Response:
        return self._remove_all(request, ctx, namespace, MetadefObject)


class MetadefPropertiesApi(MetadefPartsApi):
    def list(self, _request: Request, ctx: Context, namespace: str) -> Response:
        found = self._parts.list(ctx, namespace, Property)
        return json_answer({"properties": metadef_answers.properties(found)})

    def create(self, request: Request, ctx: Context, namespace: str) -> Response:
        wanted = metadef_bodies.a_property(body.read_json(request, self._limit))
        return json_answer(metadef_answers.a_property(self._parts.add(ctx, namespace, wanted)), 201)

    def show(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        resource_type = request.args.get("resource_type")
        found = (self._parts.show(ctx, namespace, Property, name) if resource_type is None
                 else self._parts.show_property(ctx, namespace, name, resource_type))
        return json_answer(metadef_answers.a_property(found))

    def update(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        wanted = metadef_bodies.a_property(body.read_json(request, self._limit))
        return json_answer(metadef_answers.a_property(self._parts.update(ctx, namespace, name, wanted)))

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, Property, name)

    def remove_all(self, request: Request, ctx: Context, namespace: str) -> Response:
        return self._remove_all(request, ctx, namespace, Property)


class MetadefTagsApi(MetadefPartsApi):
    def list(self, request: Request, ctx: Context, namespace: str) -> Response:
        args = arguments(request)
        page, marker = metadef_query.tags(args, self._parts.list(ctx, namespace, Tag))
        return json_answer({"tags": [{"name": x.name} for x in page],
                            **metadef_query.links(metadef_answers.path(namespace, "tags"), args, marker)})

    def create(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        body.forbid(request)
        wanted = metadef_bodies.tag({"name": name}, now())
        return json_answer(metadef_answers.tag(self._parts.add(ctx, namespace, wanted)), 201)

    def create_many(self, request: Request, ctx: Context, namespace: str) -> Response:
        """All others go, unless the header says to append."""
        wanted = metadef_bodies.tags(body.read_json(request, self._limit), now())
        append = request.headers.get("X-Openstack-Append", "").strip().lower() == "true"
        made = self._parts.set_tags(ctx, namespace, wanted, append=append)
        return json_answer({"tags": [{"name": x.name} for x in made]}, 201)

    def show(self, _request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return json_answer(metadef_answers.tag(self._parts.show(ctx, namespace, Tag, name)))

    def update(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        wanted = metadef_bodies.tag(body.read_json(request, self._limit), now())
        return json_answer(metadef_answers.tag(self._parts.update(ctx, namespace, name, wanted)))

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, Tag, name)

    def remove_all(self, request: Request, ctx: Context, namespace: str) -> Response:
        return self._remove_all(request, ctx, namespace, Tag)


class MetadefAssociationsApi(MetadefPartsApi):
    def list(self, _request: Request, ctx: Context, namespace: str) -> Response:
        found = self._parts.list(ctx, namespace, Association)
        return json_answer({"resource_type_associations": [metadef_answers.association(x) for x in found]})

    def create(self, request: Request, ctx: Context, namespace: str) -> Response:
        wanted = metadef_bodies.association(body.read_json(request, self._limit), now())
        return json_answer(metadef_answers.association(self._parts.add(ctx, namespace, wanted)), 201)

    def remove(self, request: Request, ctx: Context, namespace: str, name: str) -> Response:
        return self._remove(request, ctx, namespace, Association, name)
