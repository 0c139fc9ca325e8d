"""Who may do what: the written table that every route is held against. A route without a row fails.

A cell is ``yes`` (the request is done), or the status that it is refused with. 404 hides what the caller may not know
of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from house import ROLES, VISIBILITIES

OCTETS = "application/octet-stream"
V21 = "application/openstack-images-v2.1-json-patch"


def grid(text: str, columns: tuple[str, ...] = VISIBILITIES) -> Mapping[tuple[str, str], str]:
    """Rows are roles, columns are ``columns``."""
    cells = {}
    rows = [line.split() for line in text.strip().splitlines()]
    assert [row[0] for row in rows] == list(ROLES), text
    for role, *row in rows:
        assert len(row) == len(columns), (role, row)
        cells |= {(role, column): cell for column, cell in zip(columns, row, strict=True)}
    return cells


#: private, shared and accepted, shared and pending, community, public
SEE = grid("""
    admin      yes  yes  yes  yes  yes
    owner      yes  yes  yes  yes  yes
    reader     yes  yes  yes  yes  yes
    other      404  yes  yes  yes  yes
    stranger   404  404  404  yes  yes
    anonymous  404  404  404  404  yes""")
READ_DATA = grid("""
    admin      yes  yes  yes  yes  yes
    owner      yes  yes  yes  yes  yes
    reader     403  403  403  403  403
    other      404  yes  yes  yes  yes
    stranger   404  404  404  yes  yes
    anonymous  404  404  404  404  yes""")
CHANGE = grid("""
    admin      yes  yes  yes  yes  yes
    owner      yes  yes  yes  yes  yes
    reader     403  403  403  403  403
    other      404  403  403  403  403
    stranger   404  404  404  403  403
    anonymous  403  403  403  403  403""")
OPERATE = grid("""
    admin      yes  yes  yes  yes  yes
    owner      403  403  403  403  403
    reader     403  403  403  403  403
    other      404  403  403  403  403
    stranger   404  404  404  403  403
    anonymous  403  403  403  403  403""")
READ_LOCATIONS = grid("""
    admin      yes  yes  yes  yes  yes
    owner      403  403  403  403  403
    reader     403  403  403  403  403
    other      404  403  403  403  403
    stranger   404  404  404  403  403
    anonymous  404  404  404  404  403""")
SEE_USE = grid("""
    admin      yes  yes  yes  yes  yes
    owner      yes  yes  yes  yes  yes
    reader     yes  yes  yes  yes  yes
    other      404  403  403  403  403
    stranger   404  404  404  403  403
    anonymous  404  404  404  404  403""")
#: Only shared images have members.
SHARE = grid("""
    admin      403  yes  yes  403  403
    owner      403  yes  yes  403  403
    reader     403  403  403  403  403
    other      404  403  403  403  403
    stranger   404  404  404  403  403
    anonymous  403  403  403  403  403""")
LIST_MEMBERS = grid("""
    admin      403  yes  yes  403  403
    owner      403  yes  yes  403  403
    reader     403  yes  yes  403  403
    other      404  yes  yes  403  403
    stranger   404  404  404  403  403
    anonymous  404  404  404  404  403""")
SEE_MEMBER = grid("""
    admin      404  yes  yes  404  404
    owner      404  yes  yes  404  404
    reader     404  yes  yes  404  404
    other      404  yes  yes  403  403
    stranger   404  404  404  403  403
    anonymous  404  404  404  404  403""")
#: Only the member itself, and nobody else is told whether it is one.
ANSWER_SHARE = grid("""
    admin      404  yes  yes  404  404
    owner      403  403  403  403  403
    reader     403  403  403  403  403
    other      404  yes  yes  404  404
    stranger   404  404  404  403  403
    anonymous  403  403  403  403  403""")
#: Of the cache: what is not about whether the caller sees the image.
CACHE = grid("""
    admin      yes  yes  yes  yes  yes
    owner      403  403  403  403  403
    reader     403  403  403  403  403
    other      403  403  403  403  403
    stranger   403  403  403  403  403
    anonymous  403  403  403  403  403""")

ANY = ("any",)
EVERYBODY = grid(
    """
    admin      yes
    owner      yes
    reader     yes
    other      yes
    stranger   yes
    anonymous  yes""",
    ANY,
)
MEMBERS = grid(
    """
    admin      yes
    owner      yes
    reader     403
    other      yes
    stranger   yes
    anonymous  403""",
    ANY,
)
#: What needs a project of one's own.
PROJECTS = grid(
    """
    admin      yes
    owner      yes
    reader     yes
    other      yes
    stranger   yes
    anonymous  403""",
    ANY,
)
ADMINS = grid(
    """
    admin      yes
    owner      403
    reader     403
    other      403
    stranger   403
    anonymous  403""",
    ANY,
)

#: Of namespaces of metadata definitions, which belong to OWNER.
NAMESPACES = ("private", "public")
SEE_DEFINITIONS = grid(
    """
    admin      yes  yes
    owner      yes  yes
    reader     yes  yes
    other      404  yes
    stranger   404  yes
    anonymous  404  yes""",
    NAMESPACES,
)
WRITE_DEFINITIONS = grid(
    """
    admin      yes  yes
    owner      403  403
    reader     403  403
    other      404  403
    stranger   404  403
    anonymous  403  403""",
    NAMESPACES,
)


@dataclass(frozen=True)
class Row:
    """How a route is asked so that nothing but permission stands in the way. ``fields``: of the image; ``done``: what
    ``yes`` looks like beside 2xx."""

    cells: Mapping[tuple[str, str], str]
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: str = "queued"
    done: tuple[int, ...] = ()

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(column for _, column in self.cells))


IMAGE, NAMESPACE = "/v2/images/{image_id}", "/v2/metadefs/namespaces/{namespace}"
_DATA = {"Content_Type": OCTETS}
_DEFINITION = {"title": "T", "type": "string"}
TABLE: Mapping[tuple[str, str], Row] = {
    ("GET", "/"): Row(EVERYBODY, done=(300,)),
    ("GET", "/versions"): Row(EVERYBODY),
    ("GET", "/openapi.json"): Row(EVERYBODY),
    ("GET", "/healthcheck"): Row(EVERYBODY),
    ("GET", "/healthcheck/ready"): Row(EVERYBODY),
    ("GET", "/metrics"): Row(EVERYBODY),
    ("GET", "/v2/images"): Row(PROJECTS),
    ("POST", "/v2/images"): Row(MEMBERS, {}),
    ("GET", IMAGE): Row(SEE),
    ("DELETE", IMAGE): Row(CHANGE),
    ("PATCH", IMAGE): Row(CHANGE, [{"op": "add", "path": "/p", "value": "v"}], {"Content_Type": V21}),
    ("PUT", f"{IMAGE}/file"): Row(CHANGE, b"data", _DATA),
    ("GET", f"{IMAGE}/file"): Row(READ_DATA, fields="active"),
    ("PUT", f"{IMAGE}/stage"): Row(CHANGE, b"data", _DATA),
    ("POST", f"{IMAGE}/import"): Row(
        CHANGE, {"method": {"name": "web-download", "uri": "http://127.0.0.1:1/"}}, done=(400,)
    ),
    ("GET", f"{IMAGE}/tasks"): Row(SEE),
    ("GET", f"{IMAGE}/use"): Row(SEE_USE),
    ("POST", f"{IMAGE}/tasks/{{task_id}}/actions/cancel"): Row(CHANGE),
    ("POST", f"{IMAGE}/tasks/{{task_id}}/actions/retry"): Row(CHANGE, done=(400,)),
    ("GET", f"{IMAGE}/locations"): Row(READ_LOCATIONS, fields="active"),
    ("POST", f"{IMAGE}/locations"): Row(CHANGE, {"url": "http://127.0.0.1:1/"}, done=(400,)),
    ("DELETE", "/v2/stores/{store_id}/{image_id}"): Row(OPERATE, fields="copied", done=(400,)),
    ("POST", f"{IMAGE}/actions/deactivate"): Row(CHANGE, fields="active"),
    ("POST", f"{IMAGE}/actions/reactivate"): Row(CHANGE, fields="deactivated"),
    ("PUT", f"{IMAGE}/tags/{{tag}}"): Row(CHANGE),
    ("DELETE", f"{IMAGE}/tags/{{tag}}"): Row(CHANGE),
    ("GET", f"{IMAGE}/members"): Row(LIST_MEMBERS),
    ("POST", f"{IMAGE}/members"): Row(SHARE, {"member": "newcomers"}),
    ("GET", f"{IMAGE}/members/{{member}}"): Row(SEE_MEMBER),
    ("DELETE", f"{IMAGE}/members/{{member}}"): Row(SHARE),
    ("PUT", f"{IMAGE}/members/{{member}}"): Row(ANSWER_SHARE, {"status": "accepted"}),
    ("GET", "/v2/tasks"): Row(ADMINS),
    ("GET", "/v2/tasks/{task_id}"): Row(ADMINS),
    ("POST", "/v2/tasks"): Row(
        ADMINS,
        {"type": "import", "input": {"import_from": "http://127.0.0.1:1/", "import_from_format": "raw"}},
        done=(400,),
    ),
    ("GET", "/v2/info/import"): Row(EVERYBODY),
    ("GET", "/v2/info/stores"): Row(EVERYBODY),
    ("GET", "/v2/info/usage"): Row(EVERYBODY),
    ("GET", "/v2/info/extensions"): Row(EVERYBODY),
    ("GET", "/v2/info/stores/detail"): Row(ADMINS),
    ("GET", "/v2/schemas/{name}"): Row(EVERYBODY),
    ("GET", "/v2/quotas"): Row(ADMINS),
    ("GET", "/v2/quotas/{project_id}"): Row(ADMINS),
    ("DELETE", "/v2/quotas/{project_id}"): Row(ADMINS),
    ("PATCH", "/v2/quotas/{project_id}"): Row(ADMINS, {"image_count_total": 5}),
    ("GET", "/v2/cache"): Row(ADMINS),
    ("DELETE", "/v2/cache"): Row(ADMINS),
    ("POST", "/v2/cache/clean"): Row(ADMINS),
    ("POST", "/v2/cache/prune"): Row(ADMINS),
    ("PUT", "/v2/cache/{image_id}"): Row(CACHE, fields="active", done=(400,)),
    ("DELETE", "/v2/cache/{image_id}"): Row(CACHE, done=(404,)),
    ("GET", "/v2/cache/nodes/{image_id}"): Row(CACHE, done=(409,)),
    ("GET", "/v2/metadefs/namespaces"): Row(PROJECTS),
    ("POST", "/v2/metadefs/namespaces"): Row(ADMINS, {"namespace": "{new}"}),
    ("GET", "/v2/metadefs/resource_types"): Row(PROJECTS),
    ("POST", "/v2/metadefs/validate"): Row(PROJECTS, {"resource_type": "OS::Glance::Image", "properties": {}}),
    ("GET", NAMESPACE): Row(SEE_DEFINITIONS),
    ("DELETE", NAMESPACE): Row(WRITE_DEFINITIONS),
    ("PUT", NAMESPACE): Row(WRITE_DEFINITIONS, {"namespace": "{new}"}),
    **{
        ("GET", f"{NAMESPACE}/{part}"): Row(SEE_DEFINITIONS)
        for part in ("objects", "properties", "tags", "resource_types")
    },
    **{("DELETE", f"{NAMESPACE}/{part}"): Row(WRITE_DEFINITIONS) for part in ("objects", "properties", "tags")},
    **{("GET", f"{NAMESPACE}/{part}/{{name}}"): Row(SEE_DEFINITIONS) for part in ("objects", "properties", "tags")},
    **{
        ("DELETE", f"{NAMESPACE}/{part}/{{name}}"): Row(WRITE_DEFINITIONS)
        for part in ("objects", "properties", "tags", "resource_types")
    },
    ("POST", f"{NAMESPACE}/objects"): Row(WRITE_DEFINITIONS, {"name": "new"}),
    ("PUT", f"{NAMESPACE}/objects/{{name}}"): Row(WRITE_DEFINITIONS, {"name": "new"}),
    ("POST", f"{NAMESPACE}/properties"): Row(WRITE_DEFINITIONS, {"name": "new", **_DEFINITION}),
    ("PUT", f"{NAMESPACE}/properties/{{name}}"): Row(WRITE_DEFINITIONS, {"name": "new", **_DEFINITION}),
    ("POST", f"{NAMESPACE}/tags"): Row(WRITE_DEFINITIONS, {"tags": [{"name": "new"}]}),
    ("POST", f"{NAMESPACE}/tags/{{name}}"): Row(WRITE_DEFINITIONS, done=(409,)),
    ("PUT", f"{NAMESPACE}/tags/{{name}}"): Row(WRITE_DEFINITIONS, {"name": "new"}),
    ("POST", f"{NAMESPACE}/resource_types"): Row(WRITE_DEFINITIONS, {"name": "new"}),
}
