"""Who may call, and what becomes of calls that are none."""

from __future__ import annotations

import dataclasses
import itertools
import time
from io import BytesIO
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from werkzeug.test import Client, TestResponse

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.repository import ImageAdded
from glancecore.registry.app import RegistryApp, RegistrySettings
from glancecore.registry.probes import Probes
from glancecore.sdk.registry import signing as proof
from glancecore.sdk.registry.calls import calls
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase

SECRET = "the secret of these tests"
GET = calls()["images/get_any"]


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def image(database: MemoryDatabase) -> Image:
    made = make_image()
    database.images.commit(ImageAdded(made))
    return made


def client(database: MemoryDatabase, *secrets: str, **settings: Any) -> Client:
    return Client(
        RegistryApp(database, RegistrySettings(secrets, **settings), Probes(database, REGISTRY, 0, ["127.0.0.0/8"]))
    )


NUMBERS = itertools.count(1)


def claim(to: Client, body: bytes, path: str, shape: str = GET.shape, *, at: float = 0) -> proof.Claim:
    """What a caller claims who knows whom it talks to."""
    instance = to.get("/instance").headers[proof.INSTANCE]
    return proof.Claim(
        path, shape, str(int(time.time() + at)), proof.digest(body), "ca11e4", str(next(NUMBERS)), instance
    )


def call(
    to: Client,
    body: bytes,
    secret: str | None = SECRET,
    *,
    at: float = 0,
    path: str = f"/2/{GET.name}",
    shape: str = GET.shape,
    method: str = "POST",
    **more: Any,
) -> TestResponse:
    headers = {proof.SHAPE: shape} if secret is None else claim(to, body, path, shape, at=at).headers(secret)
    return to.open(path, method=method, headers=headers, **{"data": body, **more})


def refused(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["refused"]


def test_a_call_that_is_proved_is_answered(database: MemoryDatabase, image: Image) -> None:
    answer = call(client(database, "another secret of ours", SECRET), GET.request([image.id]))
    assert (answer.status_code, GET.read_answer(answer.data)) == (200, image)
    assert answer.headers[proof.SERVED] == "2"


@pytest.mark.parametrize("secret", [None, "", "a secret that is wrong"])
def test_without_the_secret_nothing_is_answered(database: MemoryDatabase, image: Image, secret: str | None) -> None:
    to = client(database, SECRET)
    assert refused(call(to, GET.request([image.id]), secret)) == (401, "secret")
    assert refused(call(to, b"", secret, path="/2", shape="", method="GET")) == (401, "secret")
    assert refused(call(to, b"", secret, path="/2/no/call")) == (401, "secret")


@pytest.mark.parametrize("part", [x.name for x in dataclasses.fields(proof.Claim)])
def test_the_proof_covers_all_of_the_call(database: MemoryDatabase, image: Image, part: str) -> None:
    to, body, path = client(database, SECRET), GET.request([image.id]), f"/2/{GET.name}"
    good = claim(to, body, path)
    other = dataclasses.replace(
        good, **{part: {"path": "/2/images/lease", "shape": "other", "time": str(int(good.time) - 1)}.get(part, "1234")}
    )
    assert refused(to.post(path, data=body, headers=good.headers(SECRET) | {proof.PROOF: other.proof(SECRET)})) == (
        401,
        "secret",
    )


def test_another_body_is_refused(database: MemoryDatabase, image: Image) -> None:
    to, path = client(database, SECRET), f"/2/{GET.name}"
    headers = claim(to, GET.request([image.id]), path).headers(SECRET)
    assert refused(to.post(path, data=GET.request(["x"]), headers=headers)) == (400, "digest")


class Unread(BytesIO):
    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = readlines = read  # type: ignore[assignment]


@pytest.mark.parametrize("kind", ["stranger", "old", "elsewhere", "again"])
def test_the_body_of_a_call_that_is_refused_is_not_read(database: MemoryDatabase, image: Image, kind: str) -> None:
    to, path, body = client(database, SECRET), f"/2/{GET.name}", GET.request([image.id])
    made = claim(to, body, path, at=-1000 if kind == "old" else 0)
    if kind == "elsewhere":
        made = dataclasses.replace(made, instance="another process")
    if kind == "again":
        assert to.post(path, data=body, headers=made.headers(SECRET)).status_code == 200
    headers = made.headers("a secret that is wrong" if kind == "stranger" else SECRET)
    answer = to.post(path, input_stream=Unread(), headers=headers, environ_overrides={"CONTENT_LENGTH": str(32 << 20)})
    assert (
        refused(answer)
        == {
            "stranger": (401, "secret"),
            "old": (401, "clock"),
            "elsewhere": (421, "instance"),
            "again": (401, "replay"),
        }[kind]
    )


def test_a_call_is_carried_out_once_and_by_one_process(database: MemoryDatabase) -> None:
    one, other = client(database, SECRET), client(database, SECRET)
    commit = calls()["images/commit"]
    path, body = f"/2/{commit.name}", commit.request([ImageAdded(make_image())])
    headers = claim(one, body, path, commit.shape).headers(SECRET)
    assert refused(other.post(path, data=body, headers=headers)) == (421, "instance")
    assert one.post(path, data=body, headers=headers).status_code == 200
    assert refused(one.post(path, data=body, headers=headers)) == (401, "replay")
    assert len(database.images.state.images) == 1


def test_calls_may_overtake_each_other(database: MemoryDatabase, image: Image) -> None:
    to, path, body = client(database, SECRET), f"/2/{GET.name}", GET.request([image.id])
    made = [claim(to, body, path).headers(SECRET) for _ in range(4)]
    assert [to.post(path, data=body, headers=made[n]).status_code for n in (2, 0, 3, 1, 2, 0, 3, 1)] == [200] * 4 + [
        401
    ] * 4


@pytest.mark.parametrize("arguments", [["absent"], None])
def test_an_answer_proves_itself_and_which_call_it_is_of(
    database: MemoryDatabase, image: Image, arguments: list[str] | None
) -> None:
    to, path, body = (
        client(database, "another secret of ours", SECRET),
        f"/2/{GET.name}",
        GET.request(arguments or [image.id]),
    )
    headers = claim(to, body, path).headers(SECRET)
    answer = to.post(path, data=body, headers=headers)
    assert answer.headers[proof.PROOF] == proof.of_answer(SECRET, headers[proof.PROOF], answer.status_code, answer.data)
    made = [
        proof.of_answer(*x)
        for x in (
            (SECRET, "another call", answer.status_code, answer.data),
            (SECRET, headers[proof.PROOF], 500, answer.data),
            (SECRET, headers[proof.PROOF], answer.status_code, b"another answer"),
            ("another secret of ours", headers[proof.PROOF], answer.status_code, answer.data),
        )
    ]
    assert answer.headers[proof.PROOF] not in made


@pytest.mark.parametrize("at", [-proof.LEEWAY - 2, proof.LEEWAY + 2])
def test_an_old_call_is_refused_and_the_clocks_are_named(database: MemoryDatabase, image: Image, at: float) -> None:
    answer = call(client(database, SECRET), GET.request([image.id]), at=at)
    assert refused(answer) == (401, "clock")
    assert "clocks" in answer.text


def test_without_secrets_everybody_is_answered(database: MemoryDatabase, image: Image) -> None:
    assert call(client(database), GET.request([image.id]), None).status_code == 200


def test_errors_of_the_domain_are_answers(database: MemoryDatabase) -> None:
    answer = call(client(database, SECRET), GET.request(["absent"]))
    assert answer.status_code == 409
    assert (answer.json or {})["error"] == "ImageNotFound"
    commit = calls()["images/commit"]
    wrong = commit.request([ImageAdded(make_image(id="a" * 36)), ImageAdded(make_image(id="a" * 36))])
    answer = call(client(database, SECRET), wrong, path="/2/images/commit", shape=commit.shape)
    assert (answer.status_code, (answer.json or {})["error"]) == (409, "ImageExists")


@pytest.mark.parametrize(
    ("body", "more", "status", "code"),
    [
        (b"{", {}, 400, "malformed"),
        (b"{}", {}, 400, "malformed"),
        (b"[]", {}, 400, "malformed"),
        (b"[1,2,3]", {}, 400, "malformed"),
        (b"[]", {"shape": "0"}, 426, "protocol"),
        (b"[]", {"path": "/1/images/get_any"}, 426, "protocol"),
        (b"[]", {"method": "PUT"}, 405, "method"),
        (b"[]", {"path": "/2/images/drop"}, 404, "unknown"),
        (b"[]", {"path": "/2/database/sync"}, 404, "unknown"),
        (b"[]", {"path": "/2/images/__init__"}, 404, "unknown"),
        (b"[" + b" " * 2000 + b"]", {}, 413, "too_large"),
    ],
)
def test_what_is_no_call_is_refused(
    database: MemoryDatabase, body: bytes, more: dict[str, Any], status: int, code: str
) -> None:
    assert refused(call(client(database, SECRET, max_body=1000), body, **more)) == (status, code)


def test_arguments_are_built_of_known_classes_only(database: MemoryDatabase) -> None:
    commit = calls()["images/commit"]
    for change in (
        b'["Database", {}]',
        b'["os.system", "true"]',
        b'["ImageAdded", {"image": 5}]',
        b'["LeaseEnded", {}]',
        b"7",
        b'["ImageAdded"]',
        b'["ImageAdded", {"image": []}]',
    ):
        body = b"[" + change + b"]"
        assert refused(call(client(database, SECRET), body, path="/2/images/commit", shape=commit.shape)) == (
            400,
            "malformed",
        )
    assert database.images.state.images == {}


def test_a_body_without_length_or_end_is_refused(database: MemoryDatabase) -> None:
    to = client(database)
    headers = {proof.SHAPE: GET.shape, "Transfer-Encoding": "chunked"}
    assert refused(to.post(f"/2/{GET.name}", input_stream=BytesIO(b"[]"), headers=headers)) == (411, "length")
    short = to.post(
        f"/2/{GET.name}", data=b'["x', headers={proof.SHAPE: GET.shape}, environ_overrides={"CONTENT_LENGTH": "10"}
    )
    assert refused(short) == (400, "truncated")


def test_our_own_mistakes_are_not_told_in_detail(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_id: str) -> None:
        raise RuntimeError("mysql://user:password@host")

    monkeypatch.setattr(database.images, "get_any", broken)
    answer = call(client(database), GET.request(["x"]), None)
    assert refused(answer) == (500, "failed")
    assert "password" not in answer.text


def test_probes_need_no_secret(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    to = client(database, SECRET)
    assert to.get("/healthcheck").data == b"OK"
    assert to.get("/healthcheck/ready").json == {"database": "ok"}
    near = {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}}
    call(to, GET.request(["absent"]))
    assert 'glance_registry_calls_total{call="images/get_any",outcome="error"}' in to.get("/metrics", **near).text
    assert to.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 403
    assert to.get("/metrics", **near, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403

    def away() -> None:
        raise errors.DatabaseUnavailable("the database can't be used at the moment")

    monkeypatch.setattr(database, "ping", away)
    answer = to.get("/healthcheck/ready")
    assert (answer.status_code, orjson.loads(answer.data)) == (
        503,
        {"database": "the database can't be used at the moment"},
    )
