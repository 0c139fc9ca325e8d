"""The routes of the image cache."""

from __future__ import annotations

from glancecore.features.cache.api import CacheApi
from glancecore.ports.http import Param, Route

CACHE = "/v2/cache"
_ENTRY = {
    "type": "object",
    "required": ["id", "image_id", "last_accessed", "last_modified", "size", "hits", "checksum"],
    "properties": {
        "id": {"type": "string"},
        "image_id": {"type": "string"},
        "last_accessed": {"type": "number"},
        "last_modified": {"type": "number"},
        "size": {"type": "integer"},
        "hits": {"type": "integer"},
        "checksum": {"type": ["string", "null"]},
    },
}
_LISTED = {
    "type": "object",
    "required": ["cached_images", "queued_images"],
    "properties": {
        "cached_images": {"type": "array", "items": _ENTRY},
        "queued_images": {"type": "array", "items": {"type": "string"}},
    },
}
_PRUNED = {
    "type": "object",
    "required": ["total_files_pruned", "total_bytes_pruned"],
    "properties": {"total_files_pruned": {"type": "integer"}, "total_bytes_pruned": {"type": "integer"}},
}


def routes(cache: CacheApi) -> list[Route]:
    return [
        Route("GET", CACHE, cache.list, "List cached and queued images", {200: _LISTED}, tag="cache"),
        Route(
            "DELETE",
            CACHE,
            cache.clear,
            "Clear the cache, its queue, or both",
            {204: None},
            tag="cache",
            params=(Param("x-image-cache-clear-target", "cache, queue, or nothing for both.", "header"),),
        ),
        Route("PUT", f"{CACHE}/<image_id>", cache.queue, "Queue an image for caching", {202: None}, tag="cache"),
        Route(
            "DELETE", f"{CACHE}/<image_id>", cache.delete, "Remove an image from the cache", {204: None}, tag="cache"
        ),
        Route(
            "GET",
            f"{CACHE}/nodes/<image_id>",
            cache.nodes,
            "List the nodes that have an image cached",
            {200: {"type": "array", "items": {"type": "string"}}},
            tag="cache",
        ),
        Route("POST", f"{CACHE}/clean", cache.clean, "Remove what is left over in the cache", {200: None}, tag="cache"),
        Route("POST", f"{CACHE}/prune", cache.prune, "Shrink the cache to its bound", {200: _PRUNED}, tag="cache"),
    ]
