"""The uses of an image: what is counted, who sees it, and that no request has more to write for it, over each
database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from api import people
from conftest import built

from glancecore.assembly.lifecycle import Service
from glancecore.features.uses.counting import COLLECTION
from glancecore.features.uses.extension import UsesExtension
from glancecore.kernel.transfer.downloads import Download
from glancecore.ports.record_repository import RecordQuery
from glancecore.testing.service import Person

DATA = b"0123456789"


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with built(request.param) as made:
        yield made


@pytest.fixture
def project(service: Service) -> dict[str, Any]:
    return dict(people(service.app, f"p-{uuid.uuid4().hex[:8]}"))


def image(owner: Person, **fields: object) -> str:
    answer = owner.call("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare", **fields})
    assert answer.status_code == 201, answer.text
    image_id = str((answer.json or {})["id"])
    assert (
        owner.call("PUT", f"/v2/images/{image_id}/file", DATA, Content_Type="application/octet-stream").status_code
        == 204
    )
    return image_id


def uses(service: Service, who: Person, image_id: str) -> tuple[int, str | None]:
    service.of(UsesExtension).counter.write()
    answer = who.call("GET", f"/v2/images/{image_id}/use")
    assert answer.status_code == 200, answer.text
    told = answer.json or {}
    return told["use_count"], told["last_used_at"]


def test_each_way_to_read_the_data_is_a_use(
    service: Service, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, admin, began = project["owner"], project["admin"], datetime.now(UTC).replace(microsecond=0)
    image_id = image(owner)
    path = f"/v2/images/{image_id}/file"
    assert uses(service, owner, image_id) == (0, None), "an upload is none"
    answer = owner.call("GET", path)
    assert (answer.status_code, answer.data) == (200, DATA)
    answer.close()
    count, last = uses(service, owner, image_id)
    assert count == 1
    assert last is not None
    assert began <= datetime.fromisoformat(last) <= datetime.now(UTC)
    answer = owner.call("GET", path, Range="bytes=0-3")
    assert (answer.status_code, answer.data) == (206, DATA[:4])
    answer.close()
    assert uses(service, owner, image_id)[0] == 2, "a part of it, too"
    assert admin.call("GET", f"/v2/images/{image_id}/locations").status_code == 200
    assert uses(service, owner, image_id)[0] == 3
    monkeypatch.setattr(Download, "direct_url", lambda *_: "https://backend.example/signed")
    assert owner.call("GET", path).status_code == 307
    assert uses(service, owner, image_id)[0] == 4


def test_what_reads_no_data_is_none(service: Service, project: dict[str, Any]) -> None:
    owner, image_id = project["owner"], image(project["owner"])
    path = f"/v2/images/{image_id}"
    shown = owner.call("GET", path).json
    for method, where, headers, status in (
        ("HEAD", f"{path}/file", {}, 200),
        ("GET", f"{path}/file", {"If_None_Match": f'"{shown["os_hash_value"]}"'}, 304),
        ("GET", f"{path}/file", {"Range": "bytes=99-"}, 416),
        ("GET", path, {}, 200),
    ):
        assert owner.call(method, where, **headers).status_code == status, where
    assert project["stranger"].call("GET", f"{path}/file").status_code == 404
    assert project["reader"].call("GET", f"{path}/file").status_code == 403
    assert owner.call("GET", f"{path}/locations").status_code == 403
    assert uses(service, owner, image_id) == (0, None)


def test_it_is_for_the_owner_and_nobody_else(service: Service, project: dict[str, Any]) -> None:
    owner, image_id = project["owner"], image(project["owner"], visibility="community")
    project["stranger"].call("GET", f"/v2/images/{image_id}/file").close()
    assert (
        uses(service, owner, image_id)[0]
        == uses(service, project["reader"], image_id)[0]
        == uses(service, project["admin"], image_id)[0]
        == 1
    )
    answer = project["stranger"].call("GET", f"/v2/images/{image_id}/use")
    assert answer.status_code == 403
    assert "use_count" not in answer.text
    assert project["stranger"].call("GET", f"/v2/images/{image(owner)}/use").status_code == 404
    for who in (owner, project["stranger"]):
        for row in (
            who.call("GET", f"/v2/images/{image_id}").json,
            *who.call("GET", "/v2/images?visibility=community").json["images"],
        ):
            assert not {"use_count", "last_used_at"} & row.keys()


def test_no_request_writes_or_asks_more_for_it(
    service: Service, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, image_id = project["owner"], image(project["owner"])
    written: list[object] = []
    asked: list[object] = []
    images, records = type(service.database.images), type(service.database.records)
    monkeypatch.setattr(images, "commit", lambda _, *changes: written.extend(changes))
    for name in ("get", "find", "of_image", "expired"):
        monkeypatch.setattr(records, name, lambda _, *given: asked.append(given))
    owner.call("GET", f"/v2/images/{image_id}/file").close()
    owner.call("GET", "/v2/images")
    owner.call("GET", f"/v2/images/{image_id}")
    assert project["admin"].call("GET", f"/v2/images/{image_id}/locations").status_code == 200
    assert (written, asked) == ([], [])
    monkeypatch.undo()
    assert uses(service, owner, image_id)[0] == 2


def test_a_deleted_image_leaves_nothing(service: Service, project: dict[str, Any]) -> None:
    owner, image_id = project["owner"], image(project["owner"])
    owner.call("GET", f"/v2/images/{image_id}/file").close()
    uses(service, owner, image_id)
    owner.call("GET", f"/v2/images/{image_id}/file").close()
    assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    service.of(UsesExtension).counter.write()
    assert service.database.records.find(RecordQuery(COLLECTION, equal=[image_id])) == []
    assert owner.call("GET", f"/v2/images/{image_id}/use").status_code == 404
