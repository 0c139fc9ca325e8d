"""The image cache. Without a cache, none of it is there."""

from __future__ import annotations

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.features.cache.use_cases import Caching, ClearTarget
from glancecore.ports.cache import CachedImage
from glancecore.sdk.responses import empty, json_response


class CacheApi:
    """``caching`` is None when the deployment has no cache."""

    def __init__(self, caching: Caching | None) -> None:
        self._there = caching

    def list(self, _request: Request, ctx: Context) -> Response:
        found = self._caching.listing(ctx)
        return json_response(
            {
                "cached_images": [_row(entry, checksum) for entry, checksum in found.cached],
                "queued_images": list(found.queued),
            }
        )

    def queue(self, _request: Request, ctx: Context, image_id: str) -> Response:
        self._caching.queue(ctx, image_id)
        return empty(202)

    def delete(self, _request: Request, ctx: Context, image_id: str) -> Response:
        self._caching.delete(ctx, image_id)
        return empty()

    def clear(self, request: Request, ctx: Context) -> Response:
        text = request.headers.get("x-image-cache-clear-target", "").lower()
        try:
            target = ClearTarget(text)
        except ValueError:
            raise errors.Invalid(
                f"x-image-cache-clear-target: {text!r} is not one of cache, queue; without it both are cleared"
            ) from None
        self._caching.clear(ctx, target)
        return empty()

    def nodes(self, _request: Request, ctx: Context, image_id: str) -> Response:
        return json_response(self._caching.nodes(ctx, image_id))

    def clean(self, _request: Request, ctx: Context) -> Response:
        self._caching.clean_now(ctx)
        return empty(200)

    def prune(self, _request: Request, ctx: Context) -> Response:
        report = self._caching.prune_now(ctx)
        return json_response({"total_files_pruned": report.files, "total_bytes_pruned": report.bytes})

    @property
    def _caching(self) -> Caching:
        if self._there is None:
            raise errors.NotEnabled("this deployment has no image cache")
        return self._there


def _row(entry: CachedImage, checksum: str | None) -> dict[str, object]:
    return {
        "id": entry.image_id,
        "image_id": entry.image_id,
        "last_accessed": entry.accessed.timestamp(),
        "last_modified": entry.stored.timestamp(),
        "size": entry.seal.size,
        "hits": entry.hits,
        "checksum": checksum,
    }
