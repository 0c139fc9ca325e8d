"""The routes of the Image API v2."""

from __future__ import annotations

from glancecore.api.v2.discovery import DiscoveryApi
from glancecore.api.v2.image_data import OCTETS, ImageDataApi
from glancecore.api.v2.images import ImagesApi
from glancecore.api.v2.imports import ImportsApi
from glancecore.api.v2.locations import LocationsApi
from glancecore.api.v2.members import MembersApi
from glancecore.api.v2.patches import MOST_PATH, V20, V21
from glancecore.api.v2.schemas import images, locations, members, tasks
from glancecore.api.v2.tasks import TasksApi
from glancecore.ports.http import Lane, Param, Route

I = "/v2/images"  # noqa: E741 (reads well in a table)
ONE = f"{I}/<image_id>"
_INT = {"type": "integer", "minimum": 0}
_BOOL = {"type": "string", "enum": ["true", "false"]}
_PATCH = images.bounded({"type": "array", "maxItems": images.MOST_OPERATIONS, "items": {"type": "object", "required": ["op", "path"], "properties": {
    "op": {"type": "string", "enum": ["add", "replace", "remove"]},
    "path": {"type": "string", "maxLength": MOST_PATH, "pattern": r"^/[^/\x00-\x1f\x7f-\x9f]*(/[^/\x00-\x1f\x7f-\x9f]+)?$"},
    "value": {}}}})
LIST_PARAMS = (
    Param("limit", "Rows of a page.", schema=_INT), Param("marker", "Id of the image to go on behind: see next."),
    Param("sort", "key[:dir],… instead of sort_key and sort_dir."), Param("sort_key", "What to sort by.", repeated=True),
    Param("sort_dir", "asc or desc, one or as many as sort_key.", repeated=True), Param("tag", "Has this tag.", repeated=True),
    Param("visibility", "community, public, private, shared or all."), Param("member_status", "For images shared with you."),
    Param("os_hidden", "Hidden images instead of the others.", schema=_BOOL),
    Param("protected", "Protected or not.", schema=_BOOL), Param("name", "Value, eq:value or in:a,b."),
    Param("status", "Value or in:a,b."), Param("created_at", "[op:]time; op gt, gte, lt, lte, eq, neq."),
    Param("updated_at", "[op:]time."), Param("size_min", "At least so many bytes.", schema=_INT),
    Param("size_max", "At most so many bytes.", schema=_INT),
)


def routes(image: ImagesApi, data: ImageDataApi, location: LocationsApi, member: MembersApi, discovery: DiscoveryApi,
           importing: ImportsApi, task: TasksApi,
           formats: images.Formats) -> list[Route]:
    """Everything that is served under /v2."""
    shown = images.answer(formats)
    listed = {"type": "object", "required": ["images", "first", "schema"],
              "properties": {"images": {"type": "array", "items": shown}, "first": {"type": "string"},
                             "next": {"type": "string"}, "schema": {"type": "string"}}}
    members_listed = {"type": "object", "required": ["members", "schema"],
                      "properties": {"members": {"type": "array", "items": members.ANSWER}, "schema": {"type": "string"}}}
    anything = {"type": "object"}
    nothing = {204: None}
    return [
        Route("GET", I, image.list, "List images: a page may have fewer than limit and go on behind next; 400 too_broad names the filters to add",
              {200: listed}, params=LIST_PARAMS),
        Route("POST", I, image.create, "Create an image", {201: shown}, body=images.body(formats)),
        Route("GET", ONE, image.show, "Show an image", {200: shown}),
        Route("PATCH", ONE, image.update, "Change an image", {200: shown}, body=_PATCH, body_types=(V21, V20), lane=image.patch_lane),
        Route("DELETE", ONE, image.delete, "Delete an image", nothing, lane=Lane.TRANSFER),
        Route("PUT", f"{ONE}/file", data.upload, "Upload image data", nothing, body=OCTETS, tag="data", lane=Lane.TRANSFER, params=(
            Param("x-image-meta-store", "Store to put it in.", "header"),
            Param("x-openstack-image-size", "Its length in bytes.", "header", _INT))),
        Route("GET", f"{ONE}/file", data.download, "Download image data", {200: OCTETS, 204: None, 206: OCTETS, 304: None, 307: None},
              tag="data", lane=Lane.TRANSFER, params=(Param("prefer", "Stores to read from first, comma-separated."),
                                  Param("direct", "Be sent to the backend itself, where the operator offers it.", schema=_BOOL),
                                  Param("Range", "bytes=first-last", "header"))),
        Route("GET", f"{ONE}/locations", location.list, "List locations", {200: locations.ANSWER}, tag="locations"),
        Route("POST", f"{ONE}/locations", location.add, "Add a location", {202: None}, body=locations.ADD, tag="locations",
              lane=Lane.TRANSFER),
        Route("DELETE", "/v2/stores/<store_id>/<image_id>", location.remove_copy, "Remove the copy in one store", nothing,
              tag="locations", lane=Lane.TRANSFER),
        Route("POST", f"{ONE}/actions/deactivate", image.deactivate, "Deactivate an image", nothing),
        Route("POST", f"{ONE}/actions/reactivate", image.reactivate, "Reactivate an image", nothing),
        Route("PUT", f"{ONE}/tags/<tag>", image.add_tag, "Add a tag", nothing, tag="tags"),
        Route("DELETE", f"{ONE}/tags/<tag>", image.remove_tag, "Remove a tag", nothing, tag="tags"),
        Route("GET", f"{ONE}/members", member.list, "List members", {200: members_listed}, tag="members"),
        Route("POST", f"{ONE}/members", member.add, "Share with a project", {200: members.ANSWER}, body=members.ADD,
              tag="members"),
        Route("GET", f"{ONE}/members/<path:member>", member.show, "Show a member", {200: members.ANSWER}, tag="members"),
        Route("PUT", f"{ONE}/members/<path:member>", member.update, "Accept or reject", {200: members.ANSWER}, body=members.CHANGE,
              tag="members"),
        Route("DELETE", f"{ONE}/members/<path:member>", member.remove, "Stop sharing", nothing, tag="members"),
        Route("PUT", f"{ONE}/stage", importing.stage, "Stage image data for an import", nothing, body=OCTETS, tag="imports", lane=Lane.TRANSFER, params=(
            Param("x-openstack-image-size", "Its length in bytes.", "header", _INT),)),
        Route("POST", f"{ONE}/import", importing.start, "Import image data", {202: None}, body=importing.schema, tag="imports", lane=Lane.TRANSFER, params=(
            Param("x-image-meta-store", "Store to put it in.", "header"),)),
        Route("GET", f"{ONE}/tasks", task.of_image, "Tasks of an image", {200: tasks.OF_IMAGE}, tag="imports"),
        Route("POST", f"{ONE}/tasks/<task_id>/actions/cancel", importing.cancel, "Cancel an import", {202: None}, tag="imports"),
        Route("POST", f"{ONE}/tasks/<task_id>/actions/retry", importing.retry, "Import again what has failed", {202: None}, tag="imports",
              lane=Lane.TRANSFER),
        Route("GET", "/v2/tasks", task.list, "List tasks", {200: tasks.LISTED}, tag="tasks", params=(
            Param("limit", "Rows of a page.", schema=_INT), Param("marker", "Id of the last task of the page before."),
            Param("status", "pending, processing, success or failure."), Param("type", "import."),
            Param("sort_key", "What to sort by."), Param("sort_dir", "asc or desc."))),
        Route("POST", "/v2/tasks", task.add, "Make an image of a URL", {201: tasks.ANSWER}, body=tasks.body(images.body(formats)), tag="tasks", lane=Lane.TRANSFER),
        Route("GET", "/v2/tasks/<task_id>", task.show, "Show a task", {200: tasks.ANSWER}, tag="tasks"),
        Route("GET", "/v2/info/import", discovery.import_methods, "Import methods", {200: anything}, tag="discovery"),
        Route("GET", "/v2/info/stores", discovery.stores, "Stores", {200: anything}, tag="discovery"),
        Route("GET", "/v2/info/stores/detail", discovery.stores_detail, "Stores in detail", {200: anything}, tag="discovery"),
        Route("GET", "/v2/info/extensions", discovery.extensions, "Extensions that are switched on", {200: {
            "type": "object", "required": ["extensions"], "properties": {"extensions": {"type": "array", "items": {
                "type": "object", "required": ["name", "version", "title"],
                "properties": {"name": {"type": "string"}, "version": {"type": "string"}, "title": {"type": "string"}}}}}}}, tag="discovery"),
        Route("GET", "/v2/info/usage", discovery.usage, "Usage and limits", {200: anything}, tag="discovery"),
        Route("GET", "/v2/schemas/<path:name>", discovery.schema, "A schema document", {200: anything}, tag="schemas"),
    ]
