"""The image cache."""

from __future__ import annotations

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

RULES = [
    rule("cache_image", rules.ADMIN, "Queue an image for caching.", ("PUT", "/v2/cache/{image_id}")),
    rule("cache_list", rules.ADMIN, "List cached and queued images.", ("GET", "/v2/cache")),
    rule(
        "cache_delete",
        rules.ADMIN,
        "Remove images from the cache and its queue.",
        ("DELETE", "/v2/cache"),
        ("DELETE", "/v2/cache/{image_id}"),
    ),
    rule("cache_clean", rules.ADMIN, "Remove what is left over in the cache.", ("POST", "/v2/cache/clean")),
    rule("cache_prune", rules.ADMIN, "Shrink the cache to its bound.", ("POST", "/v2/cache/prune")),
    rule(
        "list_cached_nodes",
        rules.ADMIN,
        "List the nodes that have an image in their caches.",
        ("GET", "/v2/cache/nodes/{image_id}"),
    ),
]
