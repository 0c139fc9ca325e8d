"""Every route, every role, every visibility: what is allowed, and what is refused how, is as ``allowed.py`` has it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from allowed import TABLE, Row
from house import OTHER, ROLES, House, active
from routes import ROUTES, body_of

from glancecore.domain.image import Location, Status
from glancecore.domain.task import TaskStatus

_PARTS: dict[str, Any] = {
    "objects": [{"name": "seed"}],
    "properties": {"seed": {"title": "T", "type": "string"}},
    "tags": [{"name": "seed"}],
    "resource_type_associations": [{"name": "seed"}],
}


def test_every_route_has_a_row() -> None:
    """And every row a route: what is served is known only where it was written down who may use it."""
    assert set(ROUTES) == set(TABLE)


def test_the_document_is_of_what_is_served(here: House) -> None:
    assert set(ROUTES) == {
        (method.upper(), path)
        for path, methods in (here.admin.call("GET", "/openapi.json").json or {})["paths"].items()
        for method in methods
    } | {("GET", "/openapi.json")}


def _image_fields(state: str) -> dict[str, Any]:
    match state:
        case "active":
            return active()
        case "deactivated":
            return active(status=Status.DEACTIVATED)
        case "copied":
            return active(
                locations=tuple(Location(f"file:///nowhere/{uuid.uuid4()}", store) for store in ("fast", "slow"))
            )
    return {}


def _values(house: House, row: Row, column: str, path: str) -> Mapping[str, str]:
    """What the path names, made anew."""
    if "{namespace}" in path:
        name = f"n-{uuid.uuid4()}"
        body = {"namespace": name, "visibility": column, "owner": "owners", **_PARTS}
        made = house.admin.call("POST", "/v2/metadefs/namespaces", body)
        assert made.status_code == 201, made.text
        return {"namespace": name, "name": "seed"}
    if column == "any" and "{task_id}" not in path:
        return {"name": "image", "project_id": f"p-{uuid.uuid4()}"}
    image = house.image("private" if column == "any" else column, **_image_fields(row.fields))
    values = {"image_id": image.id, "tag": "seed", "member": OTHER, "store_id": "slow"}
    if "{task_id}" in path:
        values["task_id"] = house.task(image, TaskStatus.FAILURE if path.endswith("retry") else TaskStatus.PENDING).id
    return values


@pytest.mark.parametrize(
    ("method", "path"), sorted(TABLE, key=lambda x: (x[1], x[0])), ids=lambda x: x.replace("/", ".")
)
def test_who_may_do_what(here: House, method: str, path: str) -> None:
    row = TABLE[method, path]
    wrong = []
    for column in row.columns:
        for role in ROLES:
            body = (
                json.loads(json.dumps(row.body).replace("{new}", f"n-{uuid.uuid4()}"))
                if not isinstance(row.body, bytes)
                else row.body
            )
            values = _values(here, row, column, path)
            answer = here.people[role].call(method, path.format(**values), body, **row.headers)
            status = answer.status_code
            assert status < 500, (role, column, answer.text)
            cell = "yes" if status < 300 or status in row.done else str(status)
            if cell != row.cells[role, column]:
                wrong.append(f"{role} {column}: {row.cells[role, column]} expected, {status} {answer.text[:150]}")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("method", "path"),
    sorted((x for x in TABLE if "json" in (body_of(ROUTES.get(x, {})) or ("",))[0]), key=lambda x: (x[1], x[0])),
    ids=lambda x: x.replace("/", "."),
)
def test_who_may_not_is_not_told_what_is_wrong_with_the_body(here: House, method: str, path: str) -> None:
    """Nor is it read for him: who asks is judged first."""
    row = TABLE[method, path]
    wrong = []
    for (role, column), cell in row.cells.items():
        if cell != "yes":
            answer = here.people[role].call(
                method, path.format(**_values(here, row, column, path)), b'{"no": JSON', **row.headers
            )
            if str(answer.status_code) != cell:
                wrong.append(f"{role} {column}: {cell} expected, {answer.status_code} {answer.text[:150]}")
    assert not wrong, "\n" + "\n".join(wrong)
