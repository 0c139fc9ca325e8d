"""Which routes are asked, and which headers with each."""

from __future__ import annotations

from routes import ROUTES

ASKED = sorted((key for key in ROUTES if key[1].startswith("/v2")), key=lambda x: (x[1], x[0]))
#: Headers of every request.
ALWAYS = (
    "X-Openstack-Request-Id",
    "Accept",
    "Content-Type",
    "If-None-Match",
    "If-Range",
    "Range",
    "Content-Range",
    "Origin",
    "Sec-Fetch-Site",
    "Host",
    "X-Roles",
    "X-Project-Id",
    "X-User-Id",
    "X-Forwarded-For",
    "Content-Length",
    "Transfer-Encoding",
    "Accept-Encoding",
    "Expect",
)
#: What every request has is looked at in one place: these stand for all.
ALIKE = frozenset(
    {
        ("GET", "/v2/images"),
        ("POST", "/v2/images"),
        *((x, "/v2/images/{image_id}") for x in ("GET", "PATCH", "DELETE")),
        *((x, "/v2/images/{image_id}/file") for x in ("GET", "PUT")),
        ("POST", "/v2/images/{image_id}/import"),
    }
)
