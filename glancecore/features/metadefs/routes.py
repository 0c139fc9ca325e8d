"""The routes of metadata definitions."""

from __future__ import annotations

from collections.abc import Iterator

from glancecore.features.metadefs import schemas
from glancecore.features.metadefs.api import MetadefsApi
from glancecore.features.metadefs.parts import MetadefParts
from glancecore.features.metadefs.parts_api import (
    MetadefAssociationsApi,
    MetadefObjectsApi,
    MetadefPropertiesApi,
    MetadefTagsApi,
)
from glancecore.ports.http import Param, Route

ALL = "/v2/metadefs/namespaces"
ONE = f"{ALL}/<namespace>"
TAG = "metadefs"
_NOTHING = {204: None}
_INT = {"type": "integer", "minimum": 0}
_LIMIT = Param("limit", "Rows of a page.", schema=_INT)
_SORT_DIR = Param("sort_dir", "asc or desc.", schema={"type": "string", "enum": ["asc", "desc"]})
_TYPE = Param("resource_type", "Property names are as on this resource type, with its prefix.")


def routes(metadefs: MetadefsApi, parts: MetadefParts, max_json_body: int) -> list[Route]:
    return [
        Route(
            "GET",
            ALL,
            metadefs.list,
            "List namespaces",
            {200: schemas.NAMESPACES},
            tag=TAG,
            params=(
                _LIMIT,
                Param("marker", "Name of the last namespace of the page before."),
                Param("sort_key", "What to sort by."),
                _SORT_DIR,
                Param("visibility", "public or private."),
                Param("resource_types", "Associated with one of these, comma-separated."),
            ),
        ),
        Route(
            "POST",
            ALL,
            metadefs.create,
            "Create a namespace with what is in it",
            {201: schemas.NAMESPACE},
            body=schemas.NAMESPACE_BODY,
            tag=TAG,
        ),
        Route(
            "GET",
            ONE,
            metadefs.show,
            "Show a namespace with what is in it",
            {200: schemas.NAMESPACE},
            params=(_TYPE,),
            tag=TAG,
        ),
        Route(
            "PUT",
            ONE,
            metadefs.update,
            "Replace a namespace's own fields",
            {200: schemas.NAMESPACE},
            body=schemas.NAMESPACE_BODY,
            tag=TAG,
        ),
        Route("DELETE", ONE, metadefs.delete, "Delete a namespace with what is in it", _NOTHING, tag=TAG),
        Route(
            "GET",
            "/v2/metadefs/resource_types",
            metadefs.resource_types,
            "List the known resource types",
            {200: schemas.RESOURCE_TYPES},
            tag=TAG,
        ),
        Route(
            "POST",
            "/v2/metadefs/validate",
            metadefs.validate,
            "Check properties against the definitions for a resource type",
            {200: schemas.VERDICT},
            body=schemas.VALIDATE_BODY,
            tag=TAG,
        ),
        *_objects(MetadefObjectsApi(parts, max_json_body)),
        *_properties(MetadefPropertiesApi(parts, max_json_body)),
        *_tags(MetadefTagsApi(parts, max_json_body)),
        *_associations(MetadefAssociationsApi(parts, max_json_body)),
    ]


# Names of parts may have a slash: nothing comes behind them in the path.
def _objects(api: MetadefObjectsApi) -> Iterator[Route]:
    path, one = f"{ONE}/objects", f"{ONE}/objects/<path:name>"
    yield Route(
        "GET",
        path,
        api.list,
        "List objects",
        {200: schemas.OBJECTS},
        tag=TAG,
        params=(_LIMIT, Param("marker", "Name of the last object of the page before.")),
    )
    yield Route("POST", path, api.create, "Create an object", {201: schemas.OBJECT}, body=schemas.OBJECT_BODY, tag=TAG)
    yield Route("DELETE", path, api.remove_all, "Delete all objects", _NOTHING, tag=TAG)
    yield Route("GET", one, api.show, "Show an object", {200: schemas.OBJECT}, tag=TAG)
    yield Route("PUT", one, api.update, "Replace an object", {200: schemas.OBJECT}, body=schemas.OBJECT_BODY, tag=TAG)
    yield Route("DELETE", one, api.remove, "Delete an object", _NOTHING, tag=TAG)


def _properties(api: MetadefPropertiesApi) -> Iterator[Route]:
    path, one = f"{ONE}/properties", f"{ONE}/properties/<path:name>"
    yield Route("GET", path, api.list, "List property definitions", {200: schemas.PROPERTIES}, tag=TAG)
    yield Route(
        "POST",
        path,
        api.create,
        "Create a property definition",
        {201: schemas.PROPERTY},
        body=schemas.PROPERTY_BODY,
        tag=TAG,
    )
    yield Route("DELETE", path, api.remove_all, "Delete all property definitions", _NOTHING, tag=TAG)
    yield Route("GET", one, api.show, "Show a property definition", {200: schemas.PROPERTY}, params=(_TYPE,), tag=TAG)
    yield Route(
        "PUT",
        one,
        api.update,
        "Replace a property definition",
        {200: schemas.PROPERTY},
        body=schemas.PROPERTY_BODY,
        tag=TAG,
    )
    yield Route("DELETE", one, api.remove, "Delete a property definition", _NOTHING, tag=TAG)


def _tags(api: MetadefTagsApi) -> Iterator[Route]:
    path, one = f"{ONE}/tags", f"{ONE}/tags/<path:name>"
    yield Route(
        "GET",
        path,
        api.list,
        "List tags",
        {200: schemas.TAGS},
        tag=TAG,
        params=(
            _LIMIT,
            Param("marker", "The last tag of the page before."),
            Param("sort_key", "name, created_at or updated_at."),
            _SORT_DIR,
        ),
    )
    yield Route(
        "POST",
        path,
        api.create_many,
        "Replace all tags, or add some",
        {201: schemas.TAGS},
        body=schemas.TAGS_BODY,
        tag=TAG,
        params=(Param("X-Openstack-Append", "true: add to the tags that are there.", "header"),),
    )
    yield Route("DELETE", path, api.remove_all, "Delete all tags", _NOTHING, tag=TAG)
    yield Route("GET", one, api.show, "Show a tag", {200: schemas.TAG}, tag=TAG)
    yield Route("POST", one, api.create, "Create a tag", {201: schemas.TAG}, tag=TAG)
    yield Route("PUT", one, api.update, "Rename a tag", {200: schemas.TAG}, body=schemas.TAG_BODY, tag=TAG)
    yield Route("DELETE", one, api.remove, "Delete a tag", _NOTHING, tag=TAG)


def _associations(api: MetadefAssociationsApi) -> Iterator[Route]:
    path = f"{ONE}/resource_types"
    yield Route("GET", path, api.list, "List associations with resource types", {200: schemas.ASSOCIATIONS}, tag=TAG)
    yield Route(
        "POST",
        path,
        api.create,
        "Associate with a resource type",
        {201: schemas.ASSOCIATION},
        body=schemas.ASSOCIATION_BODY,
        tag=TAG,
    )
    yield Route("DELETE", f"{path}/<path:name>", api.remove, "End an association", _NOTHING, tag=TAG)
