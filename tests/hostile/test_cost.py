"""What a request costs is in proportion to its bytes, whatever is in them: CPU of this process, against a harmless
request of the same size in the same run, with a wide margin. And who may not do a thing can't make the service read
what he sends for it."""

from __future__ import annotations

import functools
import gc
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from allowed import TABLE, V21
from house import House
from routes import ROUTES, body_of
from values import LARGE

from glancecore.testing.hostile import fields_of, with_value

pytestmark = pytest.mark.long

#: Bytes of a body: below the limit, and large enough for what grows faster than its size to be seen.
SIZE = 128 << 10
#: Times what a harmless request takes. What was mended took 1,000 and more.
MARGIN = 40
#: Seconds of CPU below which nothing is called dear: less is noise.
NOISE = 0.02
#: For fields deep in a body: the others are as in those above.
FEW = ("mixed scalars", "short texts", "names", "names of objects", "one text")


def harmless(size: int) -> bytes:
    """As an honest client would fill a large body: names and texts."""
    one = {"name": "x" * 200, "tags": ["abcdefgh"] * 50, **{f"property_{n}": "some text " * 10 for n in range(20)}}
    return json.dumps(
        {
            "resource_type": "OS::Glance::Image",
            "properties": {f"p{n}": one for n in range(size // len(json.dumps(one)))},
        }
    ).encode()


@functools.cache
def made(what: str) -> str:
    return LARGE[what](SIZE)


def spent(house: House, method: str, path: str, raw: bytes, headers: Mapping[str, str], person: str = "admin") -> float:
    start = time.process_time()
    answer = house.people[person].call(method, path, raw, **{"Content_Type": "application/json", **headers})
    seconds = time.process_time() - start
    assert answer.status_code < 500, answer.text[:300]
    assert answer.status_code < 300 or len(answer.data) < 64 << 10, "a refusal does not say all that was wrong again"
    return seconds


@pytest.fixture(scope="module")
def usual(here: House) -> Iterator[float]:
    """Seconds of a harmless request of SIZE bytes. What the tests themselves have in memory is kept from the garbage
    collector: to look through it is no cost of a request."""
    raw = harmless(SIZE)
    assert abs(len(raw) - SIZE) < SIZE // 5
    gc.collect()
    gc.freeze()
    yield max(min(spent(here, "POST", "/v2/metadefs/validate", raw, {}) for _ in range(3)), NOISE / MARGIN)
    gc.unfreeze()


def places() -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
    for (method, path), operation in ROUTES.items():
        found = body_of(operation)
        if found is None or isinstance(TABLE[method, path].body, bytes):
            continue
        for where, _ in fields_of(found[1]):
            yield method, path, where


@pytest.mark.parametrize(
    ("method", "path", "where"),
    list(places()),
    ids=lambda x: ".".join(map(str, x)) if isinstance(x, tuple) else x.replace("/", "."),
)
def test_judging_is_cheap(here: House, usual: float, method: str, path: str, where: tuple[str | int, ...]) -> None:
    row = TABLE[method, path]
    image = here.image()
    name = f"n-{uuid.uuid4()}"
    if "{namespace}" in path:
        assert (
            here.admin.call(
                "POST", "/v2/metadefs/namespaces", {"namespace": name, "tags": [{"name": "seed"}]}
            ).status_code
            == 201
        )
    address = path.format(
        image_id=image.id, member="others", namespace=name, name="seed", tag="seed", project_id="others"
    )
    start = json.loads(json.dumps(row.body).replace("{new}", f"n-{uuid.uuid4()}"))
    dear = {}
    for what in LARGE:
        if len(where) > 2 and what not in FEW:
            continue
        raw = with_value(start, where, made(what))
        seconds = spent(here, method, address, raw, row.headers)
        if seconds > usual * MARGIN:  # once more, as the machine may have been busy
            seconds = min(seconds, spent(here, method, address, raw, row.headers))
        if seconds > usual * MARGIN:
            dear[what] = round(seconds, 3)
    assert not dear, f"a harmless request of {SIZE} bytes takes {usual:.4f} s"


@pytest.mark.parametrize(
    "stores",
    [
        ["", *range(4000)],
        [*range(2000), *map(str, range(2000))],
        [[n] for n in range(4000)],
        [{"a": n} for n in range(4000)],
    ],
    ids=["numbers", "both", "lists", "objects"],
)
def test_a_list_that_must_have_no_twins(here: House, usual: float, stores: list[Any]) -> None:
    """19 kB of these took 18 seconds."""
    raw = json.dumps({"method": {"name": "web-download"}, "stores": stores}).encode()
    assert spent(here, "POST", f"/v2/images/{here.image().id}/import", raw, {}) < usual * MARGIN


def _adds(count: int) -> list[dict[str, str]]:
    return [{"op": "add", "path": f"/p{n:x}", "value": ""} for n in range(count)]


@pytest.mark.parametrize(
    "steps",
    [
        _adds(24_500),
        _adds(1000),
        [{"op": "add", "path": "/p", "value": "v"}] * 1000,
        [{"op": "replace", "path": "/tags", "value": ["a"] * 100}] * 1000,
        [{"op": "add", "path": f"/p{n % 100}", "value": "x" * 900} for n in range(1000)],
    ],
    ids=["24,500 adds", "1,000 adds", "one name", "tags", "values"],
)
def test_an_operation_costs_the_same_however_many_there_are(here: House, usual: float, steps: list[Any]) -> None:
    image = here.image(properties={f"q{n}": "x" * 100 for n in range(128)})
    assert (
        spent(here, "PATCH", f"/v2/images/{image.id}", json.dumps(steps).encode(), {"Content_Type": V21})
        < usual * MARGIN
    )


def test_the_number_of_operations_is_limited(here: House) -> None:
    answer = here.owner.call("PATCH", f"/v2/images/{here.image().id}", _adds(1001), Content_Type=V21)
    assert answer.status_code == 413
    assert "1000" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    sorted(
        (
            key
            for key, operation in ROUTES.items()
            if body_of(operation) is not None
            and key not in {("POST", "/v2/images"), ("POST", "/v2/metadefs/namespaces")}
        ),
        key=lambda x: (x[1], x[0]),
    ),
    ids=lambda x: x.replace("/", "."),
)
def test_who_may_not_is_refused_before_the_body_is_read(here: House, method: str, path: str) -> None:
    """Where who may does not depend on the body. An invalid body is not noticed."""
    row = TABLE[method, path]
    image = here.image("public")
    name = f"n-{uuid.uuid4()}"
    if "{namespace}" in path:
        assert (
            here.admin.call("POST", "/v2/metadefs/namespaces", {"namespace": name, "visibility": "public"}).status_code
            == 201
        )
    address = path.format(
        image_id=image.id, member="others", namespace=name, name="seed", tag="seed", project_id="others"
    )
    person = "anonymous" if path == "/v2/metadefs/validate" else "stranger"
    answer = here.people[person].call(
        method, address, b"{" * 100, **{"Content_Type": "application/json", **row.headers}
    )
    assert answer.status_code == 403, answer.text
