"""Images: list, create, show, patch, delete, actions, tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Request, Response

from glancecore.domain import errors, fields
from glancecore.domain.context import Context
from glancecore.domain.image import Image, Status
from glancecore.features.images import patches, schemas
from glancecore.features.images import query as image_query
from glancecore.features.images.property_protection import PropertyProtection
from glancecore.features.images.use_cases import Images, NewImage
from glancecore.http.arguments import pairs
from glancecore.kernel.core import Beside, Shows
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.http import Lane
from glancecore.ports.repository import ImageQuery
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty, json_response


@dataclass(frozen=True, slots=True)
class ImageApiSettings:
    """The operator's choices about what is shown and how much."""

    formats: schemas.Formats
    limit_default: int = 25
    limit_max: int = 1000
    max_json_body: int = 1 << 20
    show_direct_url: bool = False
    show_locations: bool = False


class ImagePresenter:
    """An image as JSON for this caller."""

    def __init__(
        self,
        settings: ImageApiSettings,
        authorizer: Authorizer,
        protection: PropertyProtection,
        stores: Stores,
        extensions: Sequence[Shows] = (),
    ) -> None:
        self._settings = settings
        self._policy = authorizer
        self._protection = protection
        self._stores = stores
        self._extensions = extensions
        self._locations_wanted = settings.show_direct_url or settings.show_locations

    def present(self, ctx: Context, image: Image) -> dict[str, object]:
        return self.present_all(ctx, [image])[0]

    def present_all(self, ctx: Context, images: Sequence[Image]) -> list[dict[str, object]]:
        rows = [self._row(ctx, x) for x in images]
        for extension in self._extensions if rows else ():
            for row, more in zip(rows, extension(ctx, images), strict=True):
                row |= more
        return rows

    def _row(self, ctx: Context, image: Image) -> dict[str, object]:
        path = f"/v2/images/{image.id}"
        row: dict[str, object] = {
            x: y for x, y in self._protection.readable(ctx, image).items() if x not in self._settings.formats.shown
        }
        if image.last_error:
            row["os_glance_last_error"] = image.last_error
        if image.importing is not None:
            if image.importing.task is not None:
                row["os_glance_import_task"] = image.importing.task
            row["os_glance_importing_to_stores"] = ",".join(image.importing.stores_left)
            row["os_glance_failed_import"] = ",".join(image.importing.stores_failed)
        row |= {
            "name": image.name,
            "disk_format": image.disk_format,
            "container_format": image.container_format,
            "visibility": image.visibility,
            "size": image.size,
            "virtual_size": image.virtual_size,
            "status": image.status,
            "checksum": image.checksum,
            "protected": image.protected,
            "min_ram": image.min_ram,
            "min_disk": image.min_disk,
            "owner": image.owner,
            "os_hidden": image.hidden,
            "os_hash_algo": image.hash_algo,
            "os_hash_value": image.hash_value,
            "id": image.id,
            "created_at": stamp(image.created_at),
            "updated_at": stamp(image.updated_at),
            "tags": image.tags,
            "self": path,
            "file": f"{path}/file",
            "schema": "/v2/schemas/image",
        }
        if image.locations and (ctx.admin or image.status is not Status.DEACTIVATED):
            self._add_places(ctx, image, row)
        elif self._settings.show_locations and self._policy.allows(ctx, "get_image_location", image):
            row["locations"] = []
        return row

    def _add_places(self, ctx: Context, image: Image, row: dict[str, object]) -> None:
        ordered = self._stores.by_preference(image.good_locations)
        row["stores"] = ",".join(x.store for x in ordered)
        if self._locations_wanted and self._policy.allows(ctx, "get_image_location", image):
            if self._settings.show_locations:
                row["locations"] = [{"url": x.url, "metadata": dict(x.metadata)} for x in ordered]
            if self._settings.show_direct_url and ordered:
                row["direct_url"] = ordered[0].url


def stamp(at: datetime) -> str:
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}Z"


class ImagesApi:
    def __init__(
        self,
        images: Images,
        presenter: ImagePresenter,
        settings: ImageApiSettings,
        beside: Beside,
        import_methods: Sequence[str],
        store_ids: Sequence[str],
    ) -> None:
        self._images = images
        self._beside = beside
        self._import_methods, self._store_ids = ",".join(import_methods), ",".join(store_ids)
        self._presenter = presenter
        self._settings = settings
        self._create_body = body.Checker(schemas.body(settings.formats))
        self._patches = patches.PatchParser(settings.formats)
        #: Stores and name servers are asked for the locations that a patch names.
        self.patch_lane = Lane.TRANSFER if settings.show_locations else Lane.QUICK

    def list(self, request: Request, ctx: Context) -> Response:
        args = pairs(request)
        query = image_query.parse(args, ctx, self._settings.limit_default, self._settings.limit_max)
        page = self._images.find(ctx, query)
        rows: Sequence[dict[str, object]] = self._presenter.present_all(ctx, page.images)
        marker = page.marker
        if (not rows or ctx.admin) and (meant := self._meant(ctx, query)):
            rows, marker = meant, None
        return json_response({"images": rows, **image_query.links(args, marker), "schema": "/v2/schemas/images"})

    def _meant(self, ctx: Context, query: ImageQuery) -> Sequence[dict[str, object]]:
        """The image that an extension knows by the name that is asked for, when no image that is listed for the
        caller's project has that name. Other filters hold."""
        names = query.equal.get("name", ())
        if len(names) != 1 or query.marker is not None or not query.limit:
            return []
        name = str(names[0])
        try:
            meant = self._beside.named(ctx, name)
        except errors.ImageNotFound:
            return []
        if meant is None or meant not in query.equal.get("id", (meant,)) or self._images.has_name(ctx, name):
            return []
        equal = {**{x: y for x, y in query.equal.items() if x != "name"}, "id": (meant,)}
        page = self._images.find(ctx, replace(query, equal=equal, all_visible=query.visibility is None))
        return [{**row, "name": name} for row in self._presenter.present_all(ctx, page.images)]

    def create(self, request: Request, ctx: Context) -> Response:
        image = self._images.create(
            ctx, lambda: new_image(body.read_json(request, self._settings.max_json_body), self._create_body)
        )
        response = json_response(self._presenter.present(ctx, image), 201)
        response.headers["Location"] = f"{request.root_url}v2/images/{image.id}"
        if self._import_methods:
            response.headers["OpenStack-image-import-methods"] = self._import_methods
        response.headers["OpenStack-image-store-ids"] = self._store_ids
        return response

    def show(self, _request: Request, ctx: Context, image_id: str) -> Response:
        image = self._images.meant(ctx, image_id)
        row = self._presenter.present(ctx, image)
        if row.get("direct_url") or row.get("locations"):
            self._images.places_told(image)
        response = json_response(row)
        for name, value in self._beside.headers(row).items():
            response.headers.setdefault(name, value)
        return response

    def update(self, request: Request, ctx: Context, image_id: str) -> Response:
        patches.check_type(request)
        image = self._images.update(ctx, image_id, lambda: self._patches.parse(request, self._settings.max_json_body))
        return json_response(self._presenter.present(ctx, image))

    def delete(self, request: Request, ctx: Context, image_id: str) -> Response:
        body.forbid(request)
        self._images.delete(ctx, image_id)
        return empty()

    def deactivate(self, request: Request, ctx: Context, image_id: str) -> Response:
        body.forbid(request)
        self._images.deactivate(ctx, image_id)
        return empty()

    def reactivate(self, request: Request, ctx: Context, image_id: str) -> Response:
        body.forbid(request)
        self._images.reactivate(ctx, image_id)
        return empty()

    def add_tag(self, request: Request, ctx: Context, image_id: str, tag: str) -> Response:
        body.forbid(request)
        self._images.add_tag(ctx, image_id, _readable(tag))
        return empty()

    def remove_tag(self, request: Request, ctx: Context, image_id: str, tag: str) -> Response:
        body.forbid(request)
        self._images.remove_tag(ctx, image_id, _readable(tag))
        return empty()


def new_image(wanted: Any, checker: body.Checker) -> NewImage:
    """Sort a body into fields and properties. Raises Invalid, ReadOnlyProperty, ReservedProperty."""
    if not isinstance(wanted, dict):
        raise errors.Invalid("the body must be a JSON object")
    for name in wanted:
        if name in fields.READ_ONLY or name == "image_id":
            raise errors.ReadOnlyProperty(f"{name} is set by the service and can't be given")
        if name == fields.LOCATIONS or fields.is_reserved(name):
            raise errors.ReservedProperty(f"{name} is a reserved name and can't be set")
    checker.check(wanted)
    values: dict[str, object] = {}
    properties: dict[str, str | None] = {}
    for name, value in wanted.items():
        if name in fields.SETTABLE:
            values[fields.SETTABLE[name]] = patches.base_value(name, value)
        elif name != "id" and name not in fields.HASHES:
            properties[patches.property_name(name)] = patches.property_value(name, value)
    tags = values.pop("tags", [])
    id_ = wanted.get("id")
    return NewImage(None if id_ is None else id_.lower(), values, tags if isinstance(tags, list) else [], properties)


def _readable(tag: str) -> str:
    """Paths are UTF-8; what is not has become replacement characters."""
    if "\ufffd" in tag:
        raise errors.Invalid("tag: not valid UTF-8")
    return tag
