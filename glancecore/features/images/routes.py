"""The routes of images."""

from __future__ import annotations

from glancecore.features.images import location_schemas, schemas
from glancecore.features.images.api import ImagesApi
from glancecore.features.images.data_api import OCTETS, ImageDataApi
from glancecore.features.images.locations_api import LocationsApi
from glancecore.features.images.patches import MOST_PATH, V20, V21
from glancecore.ports.http import Lane, Param, Route, Schema

I = "/v2/images"  # noqa: E741 (reads well in a table)
ONE = f"{I}/<image_id>"
NOTHING: dict[int, Schema | str | None] = {204: None}
INT = {"type": "integer", "minimum": 0}
_BOOL = {"type": "string", "enum": ["true", "false"]}
_PATCH = schemas.bounded(
    {
        "type": "array",
        "maxItems": schemas.MOST_OPERATIONS,
        "items": {
            "type": "object",
            "required": ["op", "path"],
            "properties": {
                "op": {"type": "string", "enum": ["add", "replace", "remove"]},
                "path": {
                    "type": "string",
                    "maxLength": MOST_PATH,
                    "pattern": r"^/[^/\x00-\x1f\x7f-\x9f]*(/[^/\x00-\x1f\x7f-\x9f]+)?$",
                },
                "value": {},
            },
        },
    }
)
LIST_PARAMS = (
    Param("limit", "Rows of a page.", schema=INT),
    Param("marker", "Id of the image to go on behind: see next."),
    Param("sort", "key[:dir],… instead of sort_key and sort_dir."),
    Param("sort_key", "What to sort by.", repeated=True),
    Param("sort_dir", "asc or desc, one or as many as sort_key.", repeated=True),
    Param("tag", "Has this tag.", repeated=True),
    Param("visibility", "community, public, private, shared or all."),
    Param("member_status", "For images shared with you."),
    Param("os_hidden", "Hidden images instead of the others.", schema=_BOOL),
    Param("protected", "Protected or not.", schema=_BOOL),
    Param("name", "Value, eq:value or in:a,b."),
    Param("status", "Value or in:a,b."),
    Param("created_at", "[op:]time; op gt, gte, lt, lte, eq, neq."),
    Param("updated_at", "[op:]time."),
    Param("size_min", "At least so many bytes.", schema=INT),
    Param("size_max", "At most so many bytes.", schema=INT),
)


def routes(image: ImagesApi, data: ImageDataApi, location: LocationsApi, formats: schemas.Formats) -> list[Route]:
    shown = schemas.answer(formats)
    listed = {
        "type": "object",
        "required": ["images", "first", "schema"],
        "properties": {
            "images": {"type": "array", "items": shown},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
    }
    return [
        Route(
            "GET",
            I,
            image.list,
            "List images: a page may have fewer than limit and go on behind next; 400 too_broad names the filters"
            " to add",
            {200: listed},
            params=LIST_PARAMS,
        ),
        Route("POST", I, image.create, "Create an image", {201: shown}, body=schemas.body(formats)),
        Route("GET", ONE, image.show, "Show an image", {200: shown}),
        Route(
            "PATCH",
            ONE,
            image.update,
            "Change an image",
            {200: shown},
            body=_PATCH,
            body_types=(V21, V20),
            lane=image.patch_lane,
        ),
        Route("DELETE", ONE, image.delete, "Delete an image", NOTHING, lane=Lane.TRANSFER),
        Route(
            "PUT",
            f"{ONE}/file",
            data.upload,
            "Upload image data",
            NOTHING,
            body=OCTETS,
            tag="data",
            lane=Lane.TRANSFER,
            params=(
                Param("x-image-meta-store", "Store to put it in.", "header"),
                Param("x-openstack-image-size", "Its length in bytes.", "header", INT),
            ),
        ),
        Route(
            "GET",
            f"{ONE}/file",
            data.download,
            "Download image data",
            {200: OCTETS, 204: None, 206: OCTETS, 304: None, 307: None},
            tag="data",
            lane=Lane.TRANSFER,
            params=(
                Param("prefer", "Stores to read from first, comma-separated."),
                Param("direct", "Be sent to the backend itself, where the operator offers it.", schema=_BOOL),
                Param("Range", "bytes=first-last", "header"),
            ),
        ),
        Route(
            "GET", f"{ONE}/locations", location.list, "List locations", {200: location_schemas.ANSWER}, tag="locations"
        ),
        Route(
            "POST",
            f"{ONE}/locations",
            location.add,
            "Add a location",
            {202: None},
            body=location_schemas.ADD,
            tag="locations",
            lane=Lane.TRANSFER,
        ),
        Route(
            "DELETE",
            "/v2/stores/<store_id>/<image_id>",
            location.remove_copy,
            "Remove the copy in one store",
            NOTHING,
            tag="locations",
            lane=Lane.TRANSFER,
        ),
        Route("POST", f"{ONE}/actions/deactivate", image.deactivate, "Deactivate an image", NOTHING),
        Route("POST", f"{ONE}/actions/reactivate", image.reactivate, "Reactivate an image", NOTHING),
        Route("PUT", f"{ONE}/tags/<tag>", image.add_tag, "Add a tag", NOTHING, tag="tags"),
        Route("DELETE", f"{ONE}/tags/<tag>", image.remove_tag, "Remove a tag", NOTHING, tag="tags"),
    ]
