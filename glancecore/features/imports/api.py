"""Staging and imports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.features.images.data_api import OCTETS, declared_size
from glancecore.features.imports import schemas
from glancecore.features.imports.staging import Staging
from glancecore.features.imports.use_cases import ImportRequest, Imports
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty

#: Of a request for an import: it is kept with its task, and shown in lists of tasks.
MOST_BYTES = 128 << 10


class ImportsApi:
    """``methods``: the enabled ones, and what each takes."""

    def __init__(self, staging: Staging, imports: Imports, max_json_body: int, methods: schemas.Methods) -> None:
        """Raises ConfigError for a method whose schema is none."""
        self._staging = staging
        self._imports = imports
        self._limit = max_json_body
        self._can_stage = "glance-direct" in methods
        self._body = body.Checker(schemas.body())
        self._schemas = methods
        self._methods = {name: _checker(name, schema) for name, schema in methods.items()}
        self.schema = schemas.published(methods)

    def stage(self, request: Request, ctx: Context, image_id: str) -> Response:
        if not self._can_stage:
            raise errors.NotEnabled("staging: import method glance-direct is not enabled in this deployment")
        if request.mimetype != OCTETS:
            raise errors.UnsupportedContentType(f"Content-Type must be {OCTETS}, not {request.mimetype or 'absent'}")
        pieces, length = body.data(request.environ)
        declared = declared_size(request)
        if declared is not None and length is not None and declared != length:
            raise errors.SizeMismatch(f"x-openstack-image-size is {declared}, but Content-Length {length}")
        self._staging.stage(ctx, image_id, pieces, size=length if declared is None else declared)
        return empty()

    def start(self, request: Request, ctx: Context, image_id: str) -> Response:
        def read() -> ImportRequest:
            wanted = body.read_json(request, min(self._limit, MOST_BYTES))
            self._body.check(wanted)
            name = wanted["method"]["name"]
            if (own := self._methods.get(name)) is not None:
                wanted = schemas.meant(wanted, self._schemas[name])
                own.check(wanted)
            return self._wanted(request, wanted)

        self._imports.start(ctx, image_id, read)
        return empty(202)

    def cancel(self, request: Request, ctx: Context, image_id: str, task_id: str) -> Response:
        body.forbid(request)
        self._imports.cancel(ctx, image_id, task_id)
        return empty(202)

    def retry(self, request: Request, ctx: Context, image_id: str, task_id: str) -> Response:
        body.forbid(request)
        self._imports.retry(ctx, image_id, task_id)
        return empty(202)

    def _wanted(self, request: Request, given: dict[str, Any]) -> ImportRequest:
        header = request.headers.get("x-image-meta-store")
        stores, all_stores = given.get("stores"), bool(given.get("all_stores", False))
        if all_stores and (stores or header):
            raise errors.Invalid("all_stores: not together with stores or x-image-meta-store")
        if stores and header:
            raise errors.Invalid("stores: not together with x-image-meta-store")
        return ImportRequest(
            given["method"],
            stores or ([header] if header else None),
            all_stores,
            bool(given.get("all_stores_must_succeed", True)),
            given,
        )


def _checker(name: str, schema: Mapping[str, object]) -> body.Checker:
    try:
        return body.Checker(schemas.of_method(schema))
    except (TypeError, AttributeError, ValueError, body.NotASchema) as exc:
        raise errors.ConfigError(
            f"[DEFAULT] enabled_import_methods = {name}: what the plugin says of its parameters is no JSON schema:"
            f" {getattr(exc, 'message', exc)}; use another release of it, or leave it out"
        ) from exc
