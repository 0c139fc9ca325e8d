"""Who may call, and what becomes of calls that are none."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from werkzeug.test import Client, TestResponse

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports import proof
from glancecore.ports.calls import calls
from glancecore.ports.repository import ImageAdded
from glancecore.registry.app import RegistryApp, RegistrySettings
from glancecore.registry.probes import Probes
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
    return Client(RegistryApp(database, RegistrySettings(secrets, **settings), Probes(database, REGISTRY, 0, ["127.0.0.0/8"])))


def call(to: Client, body: bytes, secret: str | None = SECRET, *, at: float = 0, path: str = f"/1/{GET.name}", shape: str = GET.shape,
         method: str = "POST", **more: Any) -> TestResponse:
    when = str(int(time.time() + at))
    headers = {proof.SHAPE: shape}
    if secret is not None:
        headers |= {proof.TIME: when, proof.PROOF: proof.proof(secret, when, path, shape, body)}
    return to.open(path, method=method, headers=headers, **{"data": body, **more})


def refused(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["refused"]


def test_a_call_that_is_proved_is_answered(database: MemoryDatabase, image: Image) -> None:
    answer = call(client(database, "another secret of ours", SECRET), GET.request([image.id]))
    assert (answer.status_code, GET.read_answer(answer.data)) == (200, image)
    assert answer.headers[proof.SERVED] == "1"


@pytest.mark.parametrize("secret", [None, "", "a secret that is wrong"])
def test_without_the_secret_nothing_is_answered(database: MemoryDatabase, image: Image, secret: str | None) -> None:
    to = client(database, SECRET)
    assert refused(call(to, GET.request([image.id]), secret)) == (401, "secret")
    assert refused(call(to, b"", secret, path="/1", shape="", method="GET")) == (401, "secret")
    assert refused(call(to, b"", secret, path="/1/no/call")) == (401, "secret")


@pytest.mark.parametrize("part", ["body", "path", "shape", "time"])
def test_the_proof_covers_all_of_the_call(database: MemoryDatabase, image: Image, part: str) -> None:
    body, path, when = GET.request([image.id]), f"/1/{GET.name}", str(int(time.time()))
    good = {"body": body, "path": path, "shape": GET.shape, "time": when}
    made = {**good, part: {"body": GET.request(["x"]), "path": "/1/images/lease", "shape": "other", "time": str(int(when) - 1)}[part]}
    headers = {proof.SHAPE: good["shape"], proof.TIME: when,
               proof.PROOF: proof.proof(SECRET, made["time"], made["path"], made["shape"], made["body"])}
    answer = client(database, SECRET).post(path, data=body, headers=headers)
    assert refused(answer) == (401, "secret")


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
    answer = call(client(database, SECRET), wrong, path="/1/images/commit", shape=commit.shape)
    assert (answer.status_code, (answer.json or {})["error"]) == (409, "ImageExists")


@pytest.mark.parametrize(("body", "more", "status", "code"), [
    (b"{", {}, 400, "malformed"), (b"{}", {}, 400, "malformed"), (b"[]", {}, 400, "malformed"), (b"[1,2,3]", {}, 400, "malformed"),
    (b"[]", {"shape": "0"}, 426, "protocol"), (b"[]", {"path": "/2/images/get_any"}, 426, "protocol"), (b"[]", {"method": "PUT"}, 405, "method"),
    (b"[]", {"path": "/1/images/drop"}, 404, "unknown"), (b"[]", {"path": "/1/database/sync"}, 404, "unknown"),
    (b"[]", {"path": "/1/images/__init__"}, 404, "unknown"), (b"[" + b" " * 2000 + b"]", {}, 413, "too_large"),
])
def test_what_is_no_call_is_refused(database: MemoryDatabase, body: bytes, more: dict[str, Any], status: int, code: str) -> None:
    assert refused(call(client(database, SECRET, max_body=1000), body, **more)) == (status, code)


def test_arguments_are_built_of_known_classes_only(database: MemoryDatabase) -> None:
    commit = calls()["images/commit"]
    for change in (b'["Database", {}]', b'["os.system", "true"]', b'["ImageAdded", {"image": 5}]', b'["LeaseEnded", {}]', b"7", b'["ImageAdded"]',
                   b'["ImageAdded", {"image": []}]'):
        body = b"[" + change + b"]"
        assert refused(call(client(database, SECRET), body, path="/1/images/commit", shape=commit.shape)) == (400, "malformed")
    assert database.images.state.images == {}


def test_a_body_without_length_or_end_is_refused(database: MemoryDatabase) -> None:
    to = client(database)
    headers = {proof.SHAPE: GET.shape, "Transfer-Encoding": "chunked"}
    assert refused(to.post(f"/1/{GET.name}", input_stream=BytesIO(b"[]"), headers=headers)) == (411, "length")
    short = to.post(f"/1/{GET.name}", data=b'["x', headers={proof.SHAPE: GET.shape}, environ_overrides={"CONTENT_LENGTH": "10"})
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
    assert (answer.status_code, orjson.loads(answer.data)) == (503, {"database": "the database can't be used at the moment"})
