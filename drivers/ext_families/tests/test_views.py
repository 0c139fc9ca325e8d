"""What outsiders and admins are shown, and what deleted families leave; in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from glancecore_ext_families import routes
from oslo_config import cfg

from glancecore.assembly.lifecycle import Service
from glancecore.domain import clock, errors
from glancecore.domain.context import Context
from glancecore.features.images import use_cases
from glancecore.kernel.writer import Writer
from glancecore.ports import unlisted
from glancecore.ports.record_repository import Record, RecordAdded, RecordQuery, RecordRemoved
from glancecore.testing.service import Person, basic, built, merged, read, synced, written

FAMILY_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def conf(tmp_path: Path) -> cfg.ConfigOpts:
    made = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families"}}), tmp_path))
    synced(made)
    return made


@pytest.fixture
def service(conf: cfg.ConfigOpts) -> Iterator[Service]:
    with built(conf) as made:
        yield made


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, "owner")


@pytest.fixture
def admin(service: Service) -> Person:
    return Person(service.app, "owner", "admin,member,reader")


@pytest.fixture
def stranger(service: Service) -> Person:
    return Person(service.app, "stranger")


def asked(person: Person, method: str, path: str, body: object = None, status: int = 200) -> Any:
    answer = person.call(method, path, body, Content_Type="application/json")
    assert answer.status_code == status, answer.text
    return answer.json


def image(person: Person, **fields: object) -> str:
    image_id = str(person.create(**fields)["id"])
    assert person.upload(image_id).status_code == 204
    return image_id


def family(owner: Person, **fields: object) -> str:
    return f"/families/{asked(owner, 'POST', '/families', {'name': 'f', **fields}, 201)['id']}"


def public(owner: Person, admin: Person) -> str:
    path = family(owner)
    asked(admin, "PATCH", path, {"visibility": "public"})
    return path


def add(owner: Person, path: str, label: str, **fields: object) -> str:
    image_id = image(owner, **fields)
    asked(owner, "PUT", f"{path}/versions/{label}", {"image_id": image_id}, 201)
    return image_id


# -- a family that is deleted and made again -------------------------------------------------------
def left(service: Service, collection: str) -> list[Record]:
    return service.extensions["families"].kernel.records.find(RecordQuery(f"families.{collection}", prefix=""))


def test_cleaning_up_leaves_the_next_family_of_that_id_alone(service: Service, owner: Person) -> None:
    path = family(owner, id=FAMILY_ID)
    add(owner, path, "1")
    asked(owner, "DELETE", f"{path}?force=true", None, 204)
    assert left(service, "gone") == []
    assert family(owner, id=FAMILY_ID) == path
    add(owner, path, "2")
    asked(owner, "PUT", f"{path}/channels/stable", {"label": "2"})
    keeping: Any = service.extensions["families"].keeping  # type: ignore[attr-defined]
    assert keeping.sweep(FAMILY_ID, 1000) is True, "somebody who read of the first deletion, and comes late"
    assert [x["label"] for x in asked(owner, "GET", f"{path}/versions")["versions"]] == ["2"]
    assert asked(owner, "GET", "/v2/images?name=f@stable")["images"]
    assert len(left(service, "moves")) == 1
    assert len(left(service, "labels")) == 1


def test_the_next_family_comes_in_the_middle_of_cleaning_up(service: Service, owner: Person) -> None:
    """Another one has cleaned up when the page is read and about to be removed."""
    path = family(owner, id=FAMILY_ID)
    add(owner, path, "1")
    families: Any = service.extensions["families"]
    sweep = families.keeping.sweep
    families.keeping.sweep = lambda *_: False  # the request leaves it to the job
    asked(owner, "DELETE", f"{path}?force=true", None, 204)
    del families.keeping.sweep
    remove = families.keeping._remove
    seen: list[Any] = []

    def late(*given: Any) -> Any:
        if not seen:
            seen.append(True)
            assert sweep(FAMILY_ID, 1000) is True
            family(owner, id=FAMILY_ID)
            add(owner, path, "2")
            given = (
                *given[:-1],
                families.kernel.records.find(RecordQuery("families.versions", 0, prefix=f"{FAMILY_ID}:")),
            )
        return remove(*given)

    families.keeping._remove = late
    assert families.keeping.sweep(FAMILY_ID, 1000) is True
    assert seen == [True]
    assert [x["label"] for x in asked(owner, "GET", f"{path}/versions")["versions"]] == ["2"]


def test_several_clean_up_at_once(service: Service, owner: Person) -> None:
    """What one of them has removed stops no other."""
    path = family(owner, id=FAMILY_ID)
    for label in "123":
        add(owner, path, label)
    families: Any = service.extensions["families"]
    families.keeping.sweep = lambda *_: False
    asked(owner, "DELETE", f"{path}?force=true", None, 204)
    del families.keeping.sweep
    removed = families.keeping._removed
    seen: list[Any] = []

    def beside(family_id: str, records: list[Record]) -> Any:
        if not seen:
            seen.append(True)
            families.kernel.writer.save(RecordRemoved(records[0]))
        return removed(family_id, records)

    families.keeping._removed = beside
    assert families.keeping.sweep(FAMILY_ID, 1000) is True
    assert [left(service, x) for x in ("versions", "labels", "moves", "gone")] == [[], [], [], []]


# -- admins ----------------------------------------------------------------------------------------
def test_others_private_images_take_no_name_from_admins(owner: Person, admin: Person, stranger: Person) -> None:
    path = family(owner)
    meant = add(owner, path, "1")
    asked(owner, "PUT", f"{path}/channels/stable", {"label": "1"})
    taken = {x: image(stranger, name=x) for x in ("f", "f@stable")}
    for name in ("f", "f@stable"):
        assert asked(admin, "GET", f"/v2/images/{name}")["id"] == meant
        assert [x["id"] for x in asked(admin, "GET", f"/v2/images?name={name}")["images"]] == [meant]
        assert [x["id"] for x in asked(admin, "GET", f"/v2/images?name={name}&owner=stranger")["images"]] == [
            taken[name]
        ], "one may ask for others' all the same"
    answer = asked(admin, "GET", "/v2/images?name=f&limit=1")
    assert ([x["id"] for x in answer["images"]], "next" in answer) == ([meant], False)
    mine = image(owner, name="f")
    assert {x["id"] for x in asked(admin, "GET", "/v2/images?name=f")["images"]} == {mine, taken["f"]}


# -- outsiders -------------------------------------------------------------------------------------
def test_a_list_with_many_that_are_hidden(
    service: Service, owner: Person, admin: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are looked at for one page, following next leads to all."""
    monkeypatch.setattr(routes, "_LOOK", 1)
    monkeypatch.setattr(routes, "_MOST_LOOKED", 2)
    path = public(owner, admin)
    for number in range(7):
        add(owner, path, f"v-{number}", visibility="community" if number in (0, 6) else "private")
    found: list[str] = []
    pages, at = 0, f"{path}/versions?limit=1"
    while at:
        answer = asked(stranger, "GET", at)
        found += [x["label"] for x in answer["versions"]]
        pages, at = pages + 1, answer.get("next", "")
        assert not any(f"v-{x}" in str(answer) for x in range(1, 6))
        assert pages < 20
    assert found == ["v-6", "v-0"]
    for marker in ("~", "~x", "~-1", "~9999999999"):
        asked(stranger, "GET", f"{path}/versions?marker={marker}", None, 400)


def test_what_a_page_of_images_leaves_is_asked_for(
    service: Service, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = family(owner)
    made = [add(owner, path, str(x)) for x in range(5)]
    families: Any = service.extensions["families"]
    images = families.kernel.images
    find = type(families.kernel.images).find

    def short(self: Any, ctx: Context, query: Any) -> Any:
        return find(self, ctx, replace(query, limit=min(query.limit, 2)))

    monkeypatch.setattr(type(images), "find", short)
    ctx = Context(project="owner", roles=frozenset({"member", "reader"}))
    assert set(families.catalogue.images(ctx, made)) == set(made)


def test_a_default_that_is_hidden(owner: Person, admin: Person, stranger: Person) -> None:
    path = public(owner, admin)
    add(owner, path, "1")
    seen = add(owner, path, "2", visibility="community")
    asked(owner, "PUT", f"{path}/channels/secret", {"label": "1"})
    asked(owner, "PUT", f"{path}/channels/open", {"label": "2"})
    asked(owner, "PATCH", path, {"default": "secret"})
    shown = [
        asked(stranger, "GET", path),
        *(x for y in ("", "?name=f") for x in asked(stranger, "GET", f"/families{y}")["families"]),
    ]
    assert [x["default"] for x in shown] == [None] * 3
    assert asked(owner, "GET", path)["default"] == "secret"
    answer = stranger.call("GET", "/v2/images/f")
    assert (answer.status_code, "secret" in answer.text) == (404, False)
    assert (
        asked(stranger, "GET", f"{path}/channels/open")["revision"],
        asked(owner, "GET", f"{path}/channels/open")["revision"],
    ) == (None, 2)
    assert [x["revision"] for x in asked(stranger, "GET", f"{path}/channels")["channels"]] == [None, None]
    asked(owner, "PATCH", path, {"default": "open"})
    assert (asked(stranger, "GET", path)["default"], asked(stranger, "GET", "/v2/images/f")["id"]) == ("open", seen)


# -- dates -----------------------------------------------------------------------------------------
def test_dates_are_kept_in_one_form(owner: Person) -> None:
    path = family(owner)
    for label in "12":
        add(owner, path, label)
    said = {
        "deprecated_at": "2026-9-1T3:4:5Z",
        "obsolete_at": "2026-10-01T00:00:00Z",
        "ends_at": "٢٠٢٦-11-01T00:00:00Z",
    }
    shown = asked(owner, "POST", f"{path}/versions/1/actions/deprecate", said)
    assert {x: shown[x] for x in said} == {
        "deprecated_at": "2026-09-01T03:04:05Z",
        "obsolete_at": "2026-10-01T00:00:00Z",
        "ends_at": "2026-11-01T00:00:00Z",
    }
    wrong = {"deprecated_at": "2026-11-01T00:00:00Z", "obsolete_at": "2026-9-01T00:00:00Z"}
    asked(owner, "POST", f"{path}/versions/1/actions/deprecate", wrong, 400)
    shown = asked(owner, "POST", f"{path}/versions/1/actions/deprecate", {"deprecated_at": "0999-01-01T00:00:00Z"})
    assert (shown["deprecated_at"], shown["state"]) == ("0999-01-01T00:00:00Z", "deprecated")


# -- deleting images -------------------------------------------------------------------------------
def test_an_image_is_deleted_while_it_is_taken_out(service: Service, owner: Person) -> None:
    path = family(owner)
    image_id = add(owner, path, "1")
    catalogue: Any = service.extensions["families"].catalogue  # type: ignore[attr-defined]
    known = catalogue.version_of
    seen: list[Any] = []

    def slow(of: str) -> Any:
        found = known(of)
        if not seen:
            seen.append(True)
            asked(owner, "DELETE", f"{path}/versions/1", None, 204)
        return found

    catalogue.version_of = slow
    asked(owner, "DELETE", f"/v2/images/{image_id}", None, 204)
    asked(owner, "GET", f"/v2/images/{image_id}", None, 404)


def listed(person: Person, query: str = "") -> list[str]:
    return [x["id"] for x in asked(person, "GET", f"/v2/images{query}")["images"]]


def test_what_is_deprecated_leaves_the_lists_of_others(owner: Person, admin: Person, stranger: Person) -> None:
    path = family(owner)
    first, second = (add(owner, path, x, name="listed", visibility="shared") for x in "12")
    for image_id in (first, second):
        published(admin, image_id)
    assert listed(stranger) == [second, first]
    asked(owner, "POST", f"{path}/versions/1/actions/deprecate", {})
    assert (listed(stranger), listed(owner), listed(admin)) == ([second], [second, first], [second, first])
    assert listed(stranger, "?name=listed") == [second]
    assert listed(stranger, "?limit=1") == [second]
    assert listed(stranger, f"?limit=1&marker={second}") == []
    assert listed(stranger, f"?id={first}") == [first], "who names it has it"
    assert asked(stranger, "GET", f"/v2/images/{first}")["id"] == first
    asked(owner, "POST", f"{path}/versions/1/actions/restore", {})
    assert listed(stranger) == [second, first]


def test_pages_go_on_behind_what_is_left_out(owner: Person, admin: Person, stranger: Person) -> None:
    path, made = family(owner), []
    for label in range(9):
        made.append(add(owner, path, str(label)))
        published(admin, made[-1])
    for label in (1, 2, 3, 4, 5, 7):
        asked(owner, "POST", f"{path}/versions/{label}/actions/deprecate", {})
    seen, page = [], asked(stranger, "GET", "/v2/images?limit=2")
    seen += [x["id"] for x in page["images"]]
    assert len(page["images"]) == 2, "full, though others are left out between"
    while "next" in page:
        page = asked(stranger, "GET", page["next"])
        seen += [x["id"] for x in page["images"]]
    assert seen == [made[8], made[6], made[0]]


def moved(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    monkeypatch.setattr(use_cases, "now", lambda: clock.now() + timedelta(**by))


def test_an_image_leaves_the_lists_of_others_at_its_time(
    owner: Person, admin: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = family(owner)
    image_id = add(owner, path, "1")
    published(admin, image_id)
    later = (clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked(owner, "POST", f"{path}/versions/1/actions/deprecate", {"deprecated_at": later, "force": True})
    assert listed(stranger) == [image_id]
    moved(monkeypatch, days=1, seconds=-60)
    assert listed(stranger) == [image_id]
    moved(monkeypatch, days=1, seconds=1)
    assert (listed(stranger), listed(owner)) == ([], [image_id])


@pytest.mark.parametrize("how", ["taken out", "family deleted", "another's", "swept late"])
def test_what_is_in_no_family_any_more_is_listed_again(
    service: Service, owner: Person, admin: Person, stranger: Person, how: str
) -> None:
    path = family(owner)
    image_id = add(owner, path, "1")
    published(admin, image_id)
    asked(owner, "POST", f"{path}/versions/1/actions/deprecate", {"force": True})
    assert listed(stranger) == []
    if how == "taken out":
        asked(owner, "DELETE", f"{path}/versions/1", None, 204)
    elif how == "another's":
        published(admin, image_id, owner="official")
        assert listed(stranger) == [image_id]
        published(admin, image_id, owner="owner")
        assert listed(stranger) == [], "it is the family's own again"
        published(admin, image_id, owner="official")
    else:
        late = how == "swept late"
        families: Any = service.extensions["families"]
        if late:
            families.keeping.sweep = lambda *_: False
        asked(owner, "DELETE", f"{path}?force=true", None, 204)
        if late:
            del families.keeping.sweep
            assert families.keeping.sweep(path.rpartition("/")[2], 100)
    assert listed(stranger) == [image_id]


def test_a_change_of_owner_that_is_refused_lists_nothing_again(
    service: Service, owner: Person, admin: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = family(owner)
    image_id = add(owner, path, "1")
    published(admin, image_id)
    asked(owner, "POST", f"{path}/versions/1/actions/deprecate", {"force": True})
    save = Writer.save

    def full(self: Writer, *changes: Any, **more: Any) -> Any:
        if more.get("events"):
            raise errors.QuotaExceeded("the new owner has too much metadata")
        return save(self, *changes, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "save", full)
        assert (
            admin.call(
                "PATCH",
                f"/v2/images/{image_id}",
                [{"op": "replace", "path": "/owner", "value": "official"}],
                Content_Type="application/openstack-images-v2.1-json-patch",
            ).status_code
            == 413
        )
    assert listed(stranger) == []


def test_dates_that_an_older_release_has_set_are_caught_up_with(
    service: Service, owner: Person, admin: Person, stranger: Person
) -> None:
    """It neither wrote down when images leave lists, nor took back what was written down."""
    path = family(owner)
    made = [add(owner, path, x) for x in "1234"]
    for image_id in made:
        published(admin, image_id)
    for label in "134":
        asked(owner, "POST", f"{path}/versions/{label}/actions/deprecate", {"force": True})
    published(admin, made[3], owner="official")
    kernel = service.extensions["families"].kernel
    stale = unlisted.from_then_on(made[1], clock.now())
    kernel.writer.save(RecordRemoved(kernel.records.get(unlisted.COLLECTION, made[0])), RecordAdded(stale))
    assert listed(stranger) == [made[3], made[0]]
    job = next(x for x in service.periodic.scheduled if x.name == "families_unlist")
    assert service.periodic.run(job, dry_run=True).report.counts == {"mended": 2}
    assert listed(stranger) == [made[3], made[0]]
    assert service.periodic.run(job, dry_run=False).report.counts == {"mended": 2}
    assert service.periodic.run(job, dry_run=False).report.counts == {}
    assert listed(stranger) == [made[3], made[1]]
    assert kernel.records.get(unlisted.COLLECTION, made[2]).version == 1, "what was right is not written again"


def published(admin: Person, image_id: str, **fields: object) -> None:
    steps = [{"op": "replace", "path": f"/{x}", "value": y} for x, y in {"visibility": "public", **fields}.items()]
    answer = admin.call(
        "PATCH", f"/v2/images/{image_id}", steps, Content_Type="application/openstack-images-v2.1-json-patch"
    )
    assert answer.status_code == 200, answer.text


def test_a_family_hides_no_image_of_another_project(owner: Person, admin: Person, stranger: Person) -> None:
    """An admin has taken the image over."""
    path = family(owner)
    image_id = add(owner, path, "1")
    published(admin, image_id, owner="official")
    asked(owner, "POST", f"{path}/versions/1/actions/deprecate", {"force": True})
    assert listed(stranger) == [image_id]


def test_only_what_is_public_is_left_out(owner: Person, stranger: Person) -> None:
    """Else members could bury what others look for."""
    path = family(owner)
    image_id = add(owner, path, "1", visibility="community")
    asked(owner, "POST", f"{path}/versions/1/actions/deprecate", {"force": True})
    assert listed(stranger, "?visibility=community") == [image_id]


def test_many_that_are_left_out_are_no_fault(
    owner: Person, admin: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases, "LOOKS", (3, 10))
    path = family(owner)
    made = [add(owner, path, str(label)) for label in range(20)]
    for image_id in made:
        published(admin, image_id)
    for label in range(1, 20):
        asked(owner, "POST", f"{path}/versions/{label}/actions/deprecate", {})
    assert listed(stranger, "?limit=1") == [made[0]]


# -- what is read together -------------------------------------------------------------------------
def test_what_another_node_changes_is_seen_by_the_next_request(
    conf: cfg.ConfigOpts, service: Service, owner: Person, admin: Person
) -> None:
    """This one knows where each reference has led, and believes none of it."""
    with built(conf) as elsewhere:
        other = Person(elsewhere.app, "owner")
        path = public(other, Person(elsewhere.app, "owner", "admin,member,reader"))
        one, two = add(other, path, "1"), add(other, path, "2")

        def led(reference: str, image_id: str | None) -> None:
            for _ in range(2):
                shown = asked(owner, "GET", f"/v2/images/{reference}", None, 200 if image_id else 404)
                assert image_id is None or shown["id"] == image_id, reference

        asked(other, "PUT", f"{path}/channels/stable", {"label": "1"})
        led("f@stable", one)
        asked(other, "PUT", f"{path}/channels/stable", {"label": "2"})
        led("f@stable", two)
        asked(other, "POST", f"{path}/channels/stable/actions/rollback", {})
        led("f@stable", one)
        led("f", two)
        asked(other, "PATCH", path, {"default": "stable"})
        led("f", one)
        led("f@latest", two)
        three = add(other, path, "3")
        led("f@latest", three)
        asked(other, "POST", f"{path}/versions/3/actions/deprecate", {})
        led("f@latest", two)
        asked(other, "POST", f"{path}/versions/3/actions/restore", {})
        led("f@latest", three)
        asked(other, "POST", f"/v2/images/{three}/actions/deactivate", None, 204)
        led("f@latest", two)
        led("f:2", two)
        asked(other, "DELETE", f"{path}/versions/2", None, 204)
        led("f:2", None)
        named = image(other, name="f")
        assert [x["id"] for x in asked(owner, "GET", "/v2/images?name=f")["images"]] == [named]
        asked(owner, "GET", "/v2/images/f", None, 404)
        asked(other, "DELETE", f"/v2/images/{named}", None, 204)
        led("f", one)
        guest = Person(elsewhere.app, "guest")
        own = f"/families/{asked(guest, 'POST', '/families', {'name': 'f'}, 201)['id']}"
        mine = add(guest, own, "1")
        here = Person(service.app, "guest")
        assert asked(here, "GET", "/v2/images/f@latest")["id"] == mine, "the project's own one comes first"
        asked(guest, "DELETE", f"{own}?force=true", None, 204)
        asked(here, "GET", "/v2/images/f@latest", None, 404)
        asked(other, "DELETE", f"{path}?force=true", None, 204)
        led("f@stable", None)


def counted(count: list[str], question: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*args: Any, **named: Any) -> Any:
        count.append(question.__name__)
        return question(*args, **named)

    return ask


def test_a_reference_costs_no_more_questions_than_a_show(
    service: Service, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = family(owner)
    image_id = add(owner, path, "1")
    asked(owner, "PUT", f"{path}/channels/stable", {"label": "1"})
    database, count = service.database, list[str]()
    for port in (database.images, database.records):
        for name in ("get", "find", "several", "has_name"):
            if (question := getattr(port, name, None)) is not None:
                monkeypatch.setattr(port, name, counted(count, question))

    def asks(reference: str) -> int:
        assert asked(owner, "GET", f"/v2/images/{reference}")["id"] == image_id  # what it leads to is noted
        count.clear()
        asked(owner, "GET", f"/v2/images/{reference}")
        return len(count)

    shown = asks(image_id)
    assert {x: asks(x) for x in ("f@stable", "f@latest", "f:1")} == dict.fromkeys(("f@stable", "f@latest", "f:1"), 2)
    assert asks("f") == 3 <= shown


# -- what others do to it --------------------------------------------------------------------------
def test_many_images_of_strangers_do_not_take_a_familys_name(
    owner: Person, admin: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared ones, which are in nobody's list."""
    monkeypatch.setattr(use_cases, "LOOKS", (3, 6))
    path = public(owner, admin)
    image_id = add(owner, path, "1", visibility="community")
    for _ in range(9):
        stranger.create(name="f", visibility="shared")
    for person in (owner, Person(owner.app, "third")):
        assert asked(person, "GET", "/v2/images/f")["id"] == image_id
        assert [x["id"] for x in asked(person, "GET", "/v2/images?name=f")["images"]] == [image_id]


@pytest.mark.parametrize("bad", ["\x1b]0;owned\x07", "a\u202eb", "a\u2028b", "a\rb"])
def test_texts_of_people_are_nothing_that_a_terminal_obeys(owner: Person, bad: str) -> None:
    """They are printed by clients, those of public families to everybody."""
    asked(owner, "POST", "/families", {"name": "g", "description": bad}, 400)
    path = family(owner, description="two\nlines")
    add(owner, path, "1")
    for method, where, body in (
        ("PATCH", "", {"description": bad}),
        ("PUT", "/channels/stable", {"label": "1", "reason": bad}),
        ("POST", "/versions/1/actions/deprecate", {"reason": bad, "force": True}),
        ("POST", "/versions/1/actions/restore", {"reason": bad}),
    ):
        answer = asked(owner, method, f"{path}{where}", body, 400)
        assert answer["message"].startswith(("description: ", "reason: ")), answer
    assert asked(owner, "GET", path)["description"] == "two\nlines"
