"""Hostile values in every parameter and every field of a body of the OpenAPI document: never a server error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import report
from allowed import TABLE
from house import OTHER, House
from routes import ROUTES, body_of
from values import FEW_LITERALS, FEW_TEXTS, queries
from ways import ALIKE, ALWAYS, ASKED
from werkzeug.test import TestResponse

from glancecore.testing.hostile import BODIES, HEADERS, LITERALS, TEXTS, fields_of, with_value

pytestmark = pytest.mark.long

_PARTS: dict[str, Any] = {
    "objects": [{"name": "seed"}],
    "properties": {"seed": {"title": "T", "type": "string"}},
    "tags": [{"name": "seed"}],
    "resource_type_associations": [{"name": "seed"}],
}


class Asker:
    """Asks one route as an administrator, with something to ask about."""

    def __init__(self, house: House, method: str, path: str) -> None:
        self.house, self.method, self.path = house, method, path
        self.row = TABLE[method, path]
        self.operation = ROUTES[method, path]
        self.count = 0
        self.values: Mapping[str, str] = {}
        self.renew()

    def renew(self) -> None:
        """What it was about may be gone, or otherwise changed."""
        image = self.house.image("accepted")
        namespace = f"n-{uuid.uuid4()}"
        self.values = {
            "image_id": image.id,
            "tag": "seed",
            "member": OTHER,
            "store_id": "slow",
            "project_id": f"p-{image.id}",
            "task_id": self.house.task(image).id,
            "name": "seed" if "namespaces" in self.path else "image",
            "namespace": namespace,
        }
        if "{namespace}" in self.path:
            made = self.house.admin.call("POST", "/v2/metadefs/namespaces", {"namespace": namespace, **_PARTS})
            assert made.status_code == 201, made.text

    def parameters(self, where: str) -> list[str]:
        return [x["name"] for x in self.operation["parameters"] if x["in"] == where]

    def ask(
        self,
        what: str,
        body: object = None,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        **values: str,
    ) -> TestResponse:
        path = self.path.format(**{**self.values, **values}) + (f"?{query}" if query else "")
        given = self.row.body if body is None else body
        if isinstance(given, dict) and "{new}" in given.values():
            given = {**given, "namespace": f"n-{uuid.uuid4()}"}
        raw = given if isinstance(given, bytes) or given is None else json.dumps(given).encode()
        named = {name.replace("_", "-"): value for name, value in {**self.row.headers, **(headers or {})}.items()}
        if raw is not None and not any(x.lower() == "content-type" for x in named):
            named["Content-Type"] = "application/json"
        answer = self.house.admin.app.test_client().open(
            path,
            method=self.method,
            data=raw,
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
            environ_overrides=dict(environ or {}),
            headers={
                "X-Identity-Status": "Confirmed",
                "X-User-Id": "admin",
                "X-Project-Id": "admins",
                "X-Roles": "admin,member,reader",
                "Accept": "application/json",
                **named,
            },
        )
        self.count += 1
        assert answer.status_code < 500, f"{self.method} {self.path}: {what}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code == 204 and self.method == "DELETE":
            self.renew()
        return answer


def in_paths(asker: Asker, texts: Mapping[str, str]) -> None:
    for name in asker.parameters("path"):
        for what, text in texts.items():
            asker.ask(f"{name}: {what}", **{name: text or "-"})


def in_queries(asker: Asker, texts: Mapping[str, str]) -> None:
    for name in [*asker.parameters("query"), "some_property"]:
        for what, text in texts.items():
            asker.ask(f"{name}: {what}", query=f"{name}={text}")
            asker.ask(f"{what} as a name", query=f"{text}={name}")


def in_headers(asker: Asker, names: list[str]) -> None:
    """Put where the server puts them: a test client would not send some."""
    for name in names:
        key = name.upper().replace("-", "_")
        for what, text in HEADERS.items():
            asker.ask(
                f"{name}: {what}", environ={key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}": text}
            )


def in_bodies(asker: Asker, literals: Mapping[str, str]) -> None:
    found = body_of(asker.operation)
    if found is None or isinstance(asker.row.body, bytes):
        return
    start = json.loads(json.dumps(asker.row.body).replace("{new}", f"n-{uuid.uuid4()}"))
    for path, _ in fields_of(found[1]):
        for what, literal in literals.items():
            asker.ask(f"{'.'.join(map(str, path)) or 'body'}: {what}", with_value(start, path, literal))


def whole_bodies(asker: Asker) -> None:
    for what, raw in BODIES.items():
        asker.ask(f"body: {what}", raw)


WAYS: Mapping[str, Callable[[Asker], None]] = {
    "paths": lambda x: in_paths(x, TEXTS),
    "query strings": lambda x: in_queries(x, TEXTS) if x.method == "GET" else None,
    "headers": lambda x: in_headers(x, [*x.parameters("header"), *(ALWAYS if (x.method, x.path) in ALIKE else ())]),
    "fields of bodies": lambda x: in_bodies(x, LITERALS),
    "whole bodies": whole_bodies,
}


@pytest.mark.parametrize(("method", "path"), ASKED, ids=lambda x: x.replace("/", "."))
@pytest.mark.parametrize("way", WAYS)
def test_never_a_server_error(here: House, way: str, method: str, path: str) -> None:
    asker = Asker(here, method, path)
    WAYS[way](asker)
    assert asker.count == report.planned(method, path)[way], "what docs/hostile.md says"


@pytest.mark.parametrize(("method", "path"), ASKED, ids=lambda x: x.replace("/", "."))
def test_no_database_is_another(anywhere: House, method: str, path: str) -> None:
    """The same values where databases differ."""
    asker = Asker(anywhere, method, path)
    in_paths(asker, {name: TEXTS[name] for name in FEW_TEXTS})
    if method == "GET":
        in_queries(asker, {name: TEXTS[name] for name in FEW_TEXTS})
    in_bodies(asker, {name: LITERALS[name] for name in FEW_LITERALS})


@pytest.mark.parametrize(("what", "query"), list(queries()), ids=lambda x: x if " " in x else "")
@pytest.mark.parametrize("path", ["/v2/images", "/v2/tasks", "/v2/metadefs/namespaces"])
def test_long_query_strings(anywhere: House, path: str, what: str, query: str) -> None:
    asker = Asker(anywhere, "GET", path)
    asker.ask(what, query=query)


def _paths(schema: Any) -> Iterator[tuple[str | int, ...]]:
    return (path for path, _ in fields_of(schema))


def test_nested_fields_are_found() -> None:
    """The test of the test: fields of lists of objects are reached."""
    found = body_of(ROUTES["POST", "/v2/metadefs/namespaces"])
    assert found is not None
    assert ("objects", 0, "properties", "some_name", "items", "enum") in set(_paths(found[1]))
    assert json.loads(with_value({"a": 1}, ("b", 0, "c"), "[7]")) == {"a": 1, "b": [{"c": [7]}]}
    assert with_value({}, (), "NaN") == b"NaN"
