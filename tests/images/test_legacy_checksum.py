"""Without the MD5: images have their strong hash alone, and nobody takes the other for missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glancecore.assembly.lifecycle import Service
from glancecore.features.copies.jobs.updater import Updater
from glancecore.testing.periodic import KitTurn, make_job
from glancecore.testing.service import Person, basic, built, merged, read, synced, written
from glancecore.testing.waiting import until

DATA = b"an image" * 1000
#: Kept before anything counts.
_NEW = hashlib.new


@pytest.fixture
def made() -> list[str]:
    """Algorithms of the digests that were made of image data."""
    return []


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str]) -> Iterator[Service]:
    config = merged(
        basic(tmp_path),
        {
            "DEFAULT": {
                "legacy_checksum": False,
                "enabled_import_methods": "[glance-direct, copy-image]",
                "enabled_backends": "fast:file, other:file",
            },
            "other": {"filesystem_store_datadir": tmp_path / "other"},
        },
    )
    conf = read(written(config, tmp_path))
    synced(conf)

    def new(name: str, *more: Any, **also: Any) -> Any:
        made.append(name)
        return _NEW(name, *more, **also)

    monkeypatch.setattr(hashlib, "new", new)
    with built(conf) as found:
        found.start()
        yield found


def shown(person: Person, image_id: str) -> dict[str, object]:
    return dict(person.call("GET", f"/v2/images/{image_id}").json or {})


def test_an_upload(service: Service, made: list[str]) -> None:
    person = Person(service.app)
    image_id = str(person.create()["id"])
    assert person.upload(image_id, DATA).status_code == 204
    image = shown(person, image_id)
    assert (image["status"], image["checksum"], image["os_hash_algo"], image["os_hash_value"]) == (
        "active",
        None,
        "sha512",
        hashlib.sha512(DATA).hexdigest(),
    )
    answer = person.call("GET", f"/v2/images/{image_id}/file")
    assert (answer.data, "Content-MD5" in answer.headers) == (DATA, False)
    assert set(made) == {"sha512"}


def test_an_import_and_a_copy(service: Service, made: list[str]) -> None:
    person = Person(service.app, roles="admin,member,reader")
    image_id = str(person.create()["id"])
    assert (
        person.call("PUT", f"/v2/images/{image_id}/stage", DATA, Content_Type="application/octet-stream").status_code
        == 204
    )
    assert (
        person.call(
            "POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}, "stores": ["fast"]}
        ).status_code
        == 202
    )
    until(lambda: shown(person, image_id)["status"] == "active")
    assert (
        person.call(
            "POST", f"/v2/images/{image_id}/import", {"method": {"name": "copy-image"}, "stores": ["other"]}
        ).status_code
        == 202
    )
    until(lambda: shown(person, image_id)["stores"] == "fast,other")
    image = shown(person, image_id)
    assert (image["checksum"], image["os_hash_value"]) == (None, hashlib.sha512(DATA).hexdigest())
    assert "md5" not in made


def test_the_updater_misses_nothing(service: Service, made: list[str]) -> None:
    person = Person(service.app)
    image_id = str(person.create()["id"])
    assert person.upload(image_id, DATA).status_code == 204
    turn = KitTurn(None, dry_run=True)  # type: ignore[arg-type]
    make_job(Updater, service.tools).run(turn)
    assert turn.findings == []
    assert set(made) == {"sha512"}
