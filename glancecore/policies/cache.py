"""The image cache."""

from __future__ import annotations

from glancecore.policies import base
from glancecore.policies.base import rule

RULES = [
    rule("cache_image", base.ADMIN, "Queue an image for caching.", ("PUT", "/v2/cache/{image_id}")),
    rule("cache_list", base.ADMIN, "List cached and queued images.", ("GET", "/v2/cache")),
    rule("cache_delete", base.ADMIN, "Remove images from the cache and its queue.", ("DELETE", "/v2/cache"),
         ("DELETE", "/v2/cache/{image_id}")),
    rule("cache_clean", base.ADMIN, "Remove what is left over in the cache.", ("POST", "/v2/cache/clean")),
    rule("cache_prune", base.ADMIN, "Shrink the cache to its bound.", ("POST", "/v2/cache/prune")),
    rule("list_cached_nodes", base.ADMIN, "List the nodes that have an image in their caches.", ("GET", "/v2/cache/nodes/{image_id}")),
]
