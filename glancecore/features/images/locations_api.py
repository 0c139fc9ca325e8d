"""Locations of an image, and the copy that one store holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.features.images import location_schemas as schemas
from glancecore.features.images.location_lookup import NamedLocation
from glancecore.features.images.locations import Locations
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty, json_response


class LocationsApi:
    def __init__(self, locations: Locations, max_json_body: int) -> None:
        self._locations = locations
        self._limit = max_json_body
        self._add = body.Checker(schemas.ADD)

    def list(self, _request: Request, ctx: Context, image_id: str) -> Response:
        return json_response(
            [{"url": x.url, "metadata": dict(x.metadata)} for x in self._locations.list(ctx, image_id)]
        )

    def add(self, request: Request, ctx: Context, image_id: str) -> Response:
        def read() -> NamedLocation:
            wanted = body.read_json(request, self._limit)
            self._add.check(wanted)
            return named(wanted, errors.Invalid)

        self._locations.add(ctx, image_id, read)
        return empty(202)

    def remove_copy(self, request: Request, ctx: Context, store_id: str, image_id: str) -> Response:
        body.forbid(request)
        self._locations.remove_copy(ctx, image_id, store_id)
        return empty()


def named(value: Mapping[str, Any], error: type[errors.GlanceError]) -> NamedLocation:
    """A location of a body that has passed its schema. Raises ``error`` for digests that are none."""
    expected: Mapping[str, str] = value.get("validation_data") or {}
    algorithm, digest, checksum = (expected.get(x) for x in ("os_hash_algo", "os_hash_value", "checksum"))
    if algorithm is not None and digest is not None:
        digest = schemas.check_digest("os_hash_value", algorithm, digest, error)
    if checksum is not None:
        checksum = schemas.check_digest("checksum", "md5", checksum, error)
    return NamedLocation(value["url"], dict(value.get("metadata") or {}), checksum, algorithm, digest)
