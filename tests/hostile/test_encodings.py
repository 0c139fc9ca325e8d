"""Data that comes encoded although nobody asked for it: what the wire adds is never stored as an image."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

from api import V21, Person
from building import built

DATA = gzip.compress(b"the disk" * 1000)


@pytest.fixture(scope="module")
def owner() -> object:
    with built("sqlite") as service:
        yield Person(service.app, "demo", "member,reader")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "x-gzip", "identity, gzip", "aes128gcm"])
@pytest.mark.parametrize("way", ["file", "stage"])
def test_encoded_uploads_are_refused(owner: Person, way: str, encoding: str) -> None:
    image_id = owner.create()["id"]
    answer = owner.call(
        "PUT", f"/v2/images/{image_id}/{way}", DATA, Content_Type="application/octet-stream", Content_Encoding=encoding
    )
    assert answer.status_code == 415, answer.text
    assert "Content-Encoding" in (answer.json or {})["message"]
    assert (owner.call("GET", f"/v2/images/{image_id}").json or {})["status"] == "queued"


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate,chunked", "GZIP", "chunked, gzip"])
@pytest.mark.parametrize("way", ["file", "stage"])
def test_so_are_those_that_are_encoded_on_their_way(owner: Person, way: str, coding: str) -> None:
    """The server takes away chunks, and leaves the rest."""
    image_id = owner.create()["id"]
    answer = owner.call(
        "PUT", f"/v2/images/{image_id}/{way}", DATA, Content_Type="application/octet-stream", Transfer_Encoding=coding
    )
    assert answer.status_code == 415, answer.text
    assert "Transfer-Encoding" in (answer.json or {})["message"]
    assert (owner.call("GET", f"/v2/images/{image_id}").json or {})["status"] == "queued"


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_plain_ones_are_taken(owner: Person, encoding: str) -> None:
    image_id = owner.create()["id"]
    answer = owner.call(
        "PUT", f"/v2/images/{image_id}/file", DATA, Content_Type="application/octet-stream", Content_Encoding=encoding
    )
    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/images", {"name": "x"}),
        ("PATCH", "/v2/images/{id}", [{"op": "replace", "path": "/name", "value": "x"}]),
        ("POST", "/v2/images/{id}/members", {"member": "x"}),
        ("POST", "/v2/images/{id}/import", {"method": {"name": "glance-direct"}}),
        ("POST", "/v2/images/{id}/locations", {"url": "http://127.0.0.1/x"}),
    ],
)
def test_so_is_every_other_body(owner: Person, method: str, path: str, body: object) -> None:
    image_id = owner.create()["id"]
    answer = owner.call(
        method,
        path.replace("{id}", image_id),
        gzip.compress(json.dumps(body).encode()),
        Content_Encoding="gzip",
        Content_Type=V21 if method == "PATCH" else "application/json",
    )
    assert answer.status_code == 415, answer.text
