"""What an import method takes is what its schema says: judged in each request, and published."""

from __future__ import annotations

import json
from typing import Any, cast

import jsonschema_rs
import pytest
from flask import Flask, request
from glancecore_method_glance_download.driver import GlanceDownload
from glancecore_method_web_download.driver import WebDownload

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.features.imports import schemas
from glancecore.features.imports.api import ImportsApi
from glancecore.features.imports.staging import Staging
from glancecore.features.imports.use_cases import ImportRequest, Imports

MINE = {
    "required": ["shelf"],
    "properties": {
        "shelf": {"enum": ["low", "high"]},
        "count": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
OPEN = {**MINE, "additionalProperties": {"maximum": 5}}
CLOSED = {"properties": {"shelf": {"enum": ["low"]}}, "additionalProperties": False}
METHODS: schemas.Methods = {
    "mine": MINE,
    "open": OPEN,
    "closed": CLOSED,
    "web-download": WebDownload.schema,
    "glance-download": GlanceDownload.schema,
    "copy-image": {},
}
REGION = {"glance_region": "east", "glance_image_id": "0c0bb9ae-3a0f-4a55-9bd3-3a7a9bb0d2a0"}


class _Begun:
    def start(self, _ctx: Context, _image_id: str, read: Any) -> ImportRequest:
        self.wanted: ImportRequest = read()
        return self.wanted


def _begin(method: dict[str, object], **more: object) -> ImportRequest:
    begun = _Begun()
    api = ImportsApi(cast("Staging", None), cast("Imports", begun), 1 << 20, METHODS)
    with Flask("x").test_request_context(
        method="POST",
        data=json.dumps({"method": method, **more}),
        content_type="application/json",
        environ_overrides={"SERVER_SOFTWARE": "gunicorn/1"},
    ):
        assert api.start(request, Context(), "i").status_code == 202
    return begun.wanted


@pytest.mark.parametrize(
    "method",
    [
        {"name": "mine", "shelf": "low", "count": 3, "expected": {"sha256": "x"}},
        {"name": "copy-image"},
        {"name": "open", "shelf": "low", "more": 5, "uri": "x"},
        {"name": "closed", "shelf": "low", "expected": {"sha256": "x"}, "signature": "s"},
        {"name": "unknown", "uri": 5},
        {"name": "web-download", "uri": "http://a/b", "checksum_url": "http://a/c"},
        {"name": "glance-download", **REGION, "glance_service_interface": "internal"},
    ],
)
def test_what_fits_is_taken(method: dict[str, object]) -> None:
    assert _begin(method).method == method


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"name": "mine"}, "method: 'shelf' is a required property"),
        ({"name": "mine", "shelf": "middle"}, "method.shelf: 'middle' is not one of low, high"),
        ({"name": "mine", "shelf": "low", "count": "1"}, "method.count: '1' is not of type integer"),
        ({"name": "mine", "shelf": "low", "tags": [1]}, "method.tags.0: 1 is not of type string"),
        ({"name": "mine", "shelf": "low", "tags": ["x" * 70_000]}, "method.tags.0: longer than 65535 characters"),
        ({"name": "mine", "shelf": "low", **{str(x): x for x in range(63)}}, "method: more than 64 names"),
        (
            {"name": "mine", "shelf": "low", "more": 5},
            "method: no such field: more; it has count, expected, name, shelf, signature, tags",
        ),
        ({"name": "copy-image", "shelf": "middle"}, "method: no such field: shelf; it has expected, name, signature"),
        (
            {"name": "web-download", "uri": "http://a", "URI": "x" * 70_000},
            "method: no such field: URI; it has checksum_name, checksum_url, expected, name, signature, uri",
        ),
        ({"name": "open", "shelf": "low", "more": 6}, "method.more: 6 is more than 5"),
        ({"name": "closed", "colour": "red"}, "method: no such field: colour; it has expected, name, shelf, signature"),
        ({"name": "web-download"}, "method: 'uri' is a required property"),
        ({"name": "web-download", "uri": ""}, "method.uri: shorter than 1 character"),
        (
            {"name": "web-download", "uri": "http://a", "checksum_name": 5},
            "method.checksum_name: 5 is not of type string",
        ),
        (
            {"name": "glance-download", **REGION, "glance_image_id": 5},
            "method.glance_image_id: 5 is not of type string",
        ),
        (
            {"name": "glance-download", **REGION, "glance_service_interface": 5},
            "method.glance_service_interface: 5 is not of type string",
        ),
    ],
)
def test_what_does_not_is_refused_with_the_field_and_what_is_allowed(method: dict[str, object], said: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        _begin(method)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("method", "meant"),
    [
        ({"name": "copy-image", "uri": ""}, {"name": "copy-image"}),
        ({"name": "copy-image", "uri": None, **REGION, "glance_service_interface": None}, {"name": "copy-image"}),
        ({"name": "web-download", "uri": "http://a", **REGION}, {"name": "web-download", "uri": "http://a"}),
        ({"name": "glance-download", **REGION, "uri": "x" * 70_000}, {"name": "glance-download", **REGION}),
        ({"name": "closed", "shelf": "low", "uri": ""}, {"name": "closed", "shelf": "low"}),
    ],
)
def test_names_of_the_other_methods_of_glance_are_taken_and_not_kept(
    method: dict[str, object], meant: dict[str, object]
) -> None:
    """gophercloud sends an empty ``uri`` with each method, glanceclient the region with each when it is told one."""
    wanted = _begin(method)
    assert (wanted.method, wanted.body) == (meant, {"method": meant})


def test_names_that_nobody_knows_beside_the_method_are_not_kept() -> None:
    known = {"stores": ["a"], "all_stores": False, "all_stores_must_succeed": False}
    assert _begin({"name": "copy-image"}, **known, more="x" * 70_000).body == {
        "method": {"name": "copy-image"},
        **known,
    }


def test_it_is_published_by_method() -> None:
    found = schemas.published(METHODS)
    choices = {x["title"]: x for x in found["properties"]["method"]["anyOf"]}
    assert list(choices) == list(METHODS)
    assert choices["mine"]["required"] == ["name", "shelf"]
    assert choices["mine"]["properties"]["shelf"] == {"enum": ["low", "high"]}
    judge = jsonschema_rs.Draft202012Validator(found)
    assert judge.is_valid({"method": {"name": "glance-download", **REGION}})
    assert judge.is_valid({"method": {"name": "copy-image"}})
    assert judge.is_valid({"method": {"name": "closed", "signature": "s"}})
    assert not judge.is_valid({"method": {"name": "web-download"}})
    assert not judge.is_valid({"method": {"name": "unknown"}})


@pytest.mark.parametrize("schema", [{"properties": {"x": {"type": "strin"}}}, {"properties": 5}, {"required": 7}])
def test_one_that_is_no_schema_stops_the_start(schema: dict[str, object]) -> None:
    with pytest.raises(
        errors.ConfigError,
        match=(
            r"\[DEFAULT\] enabled_import_methods = broken: what the plugin says of its parameters is no JSON schema:"
            r" .*; use another"
        ),
    ):
        ImportsApi(cast("Staging", None), cast("Imports", None), 1, {"broken": schema})
