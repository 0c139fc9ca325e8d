"""Between the check before a deletion and the deletion no channel is moved to the image; on a moved clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from glancecore.assembly import extension_kernel
from glancecore.assembly.lifecycle import Service
from glancecore.domain.context import Context
from glancecore.testing.service import Person, basic, built, merged, read, synced, written


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families"}}), tmp_path))
    synced(conf)
    with built(conf) as made:
        yield made


def asked(person: Person, method: str, path: str, body: object = None, status: int = 200) -> Any:
    answer = person.call(method, path, body, Content_Type="application/json")
    assert answer.status_code == status, answer.text
    return answer.json


def test_no_channel_is_moved_to_what_leaves(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    person, now = Person(service.app), datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(extension_kernel, "now", lambda: now)
    path = f"/families/{asked(person, 'POST', '/families', {'name': 'f'}, 201)['id']}"
    image_id = str(person.create()["id"])
    assert person.upload(image_id).status_code == 204
    asked(person, "PUT", f"{path}/versions/1", {"image_id": image_id}, 201)
    families: Any = service.extensions["families"]
    families.keeping.check_image(Context(), service.database.images.get_any(image_id), None)
    assert asked(person, "PUT", f"{path}/channels/stable", {"label": "1"}, 409)["error"] == "image_busy"
    now += timedelta(seconds=59)
    asked(person, "PUT", f"{path}/channels/stable", {"label": "1"}, 409)
    now += timedelta(seconds=1)
    asked(person, "PUT", f"{path}/channels/stable", {"label": "1"})


def test_a_protected_image_does_not_leave(service: Service) -> None:
    person = Person(service.app)
    path = f"/families/{asked(person, 'POST', '/families', {'name': 'f'}, 201)['id']}"
    image_id = str(person.create(protected=True)["id"])
    assert person.upload(image_id).status_code == 204
    asked(person, "PUT", f"{path}/versions/1", {"image_id": image_id}, 201)
    asked(person, "DELETE", f"/v2/images/{image_id}", None, 403)
    asked(person, "PUT", f"{path}/channels/stable", {"label": "1"})


def test_a_move_that_is_under_way_trips_over_the_mark(service: Service) -> None:
    """The deletion begins when the move has read everything and is about to commit."""
    person = Person(service.app)
    path = f"/families/{asked(person, 'POST', '/families', {'name': 'f'}, 201)['id']}"
    image_id = str(person.create()["id"])
    assert person.upload(image_id).status_code == 204
    asked(person, "PUT", f"{path}/versions/1", {"image_id": image_id}, 201)
    families: Any = service.extensions["families"]
    save, begun = families.keeping.save, []

    def slow(family: Any, *changes: Any, **more: Any) -> Any:
        if not begun:
            begun.append(True)
            asked(person, "DELETE", f"/v2/images/{image_id}", None, 204)
        return save(family, *changes, **more)

    families.keeping.save = slow
    asked(person, "PUT", f"{path}/channels/stable", {"label": "1"}, 404)
    assert asked(person, "GET", f"{path}/channels") == {"channels": []}
