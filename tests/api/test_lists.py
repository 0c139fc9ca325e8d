"""Every filter, sort and page rule of the list, over every database."""

from __future__ import annotations

import itertools
import time
import uuid
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from api import Person

from glancecore.assembly.lifecycle import Service
from glancecore.features.images import use_cases as images

#: The images that the rows are about, by name, oldest first.
IMAGES: dict[str, dict[str, Any]] = {
    "alpha": {"tags": ["red", "big"], "os_distro": "debian", "min_ram": 1, "min_disk": 10, "disk_format": "raw"},
    "beta": {"tags": ["red"], "os_distro": "Debian", "min_ram": 2, "disk_format": "qcow2", "protected": True},
    "gamma, delta": {"tags": [], "container_format": "ovf", "min_ram": 3, "os_hidden": True},
    "eta:theta": {"tags": ["Red", "\u00fc \U0001f600"], "color": "\U0001f600", "min_ram": 4},
    "iota": {"name": None, "disk_format": None, "container_format": None, "min_ram": 5},
    "kappa": {"tags": ["big"], "os_distro": "debian", "min_ram": 6, "data": b"twelve bytes"},
}


@pytest.fixture(scope="module")
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="module")
def ids(owner: Person) -> dict[str, str]:
    made = {}
    for name, fields in IMAGES.items():
        wanted = {"name": name, **fields}
        data = wanted.pop("data", None)
        made[name] = owner.create(**wanted)["id"]
        if data is not None:
            assert owner.upload(made[name], data).status_code == 204
        time.sleep(0.002)
    return made


ALL = "alpha beta eta:theta iota kappa"
#: (query, names of the images that it finds)
FOUND: list[tuple[str, str]] = [
    ("", ALL),
    ("name=alpha", "alpha"),
    ("name=Alpha", ""),
    ("name=in:alpha,beta", "alpha beta"),
    ("name=eq:eta:theta", "eta:theta"),
    ('os_hidden=true&name=in:"gamma, delta",alpha', "gamma, delta"),
    ("os_hidden=true", "gamma, delta"),
    ("os_hidden=TRUE", "gamma, delta"),
    ("os_hidden=False", ALL),
    ("id={alpha}", "alpha"),
    ("id=in:{alpha},{beta}", "alpha beta"),
    ("status=queued", "alpha beta eta:theta iota"),
    ("status=active", "kappa"),
    ("status=in:active,saving", "kappa"),
    ("status=deleted", ""),
    ("status=nonsense", ""),
    ("disk_format=qcow2", "beta"),
    ("disk_format=in:qcow2,iso", "beta"),
    ("container_format=ovf&os_hidden=true", "gamma, delta"),
    ("tag=red", "alpha beta"),
    ("tag=red&tag=big", "alpha"),
    ("tag=Red", "eta:theta"),
    ("tag=nothing", ""),
    ("tag=%C3%BC+%F0%9F%98%80", "eta:theta"),
    ("color=%F0%9F%98%80", "eta:theta"),
    ("os_distro=debian", "alpha kappa"),
    ("os_distro=Debian", "beta"),
    ("os_distro=debian&tag=big&min_ram=6", "kappa"),
    ("unheard_of=x", ""),
    ("protected=true", "beta"),
    ("protected=false", "alpha eta:theta iota kappa"),
    ("min_ram=4", "eta:theta"),
    ("min_ram=x", ""),
    ("min_ram_min=4", "eta:theta iota kappa"),
    ("min_ram_min=2&min_ram_max=4", "beta eta:theta"),
    ("min_disk_min=1", "alpha"),
    ("size=12", "kappa"),
    ("size=13", ""),
    ("size_min=1", "kappa"),
    ("size_max=11", ""),
    ("virtual_size_min=1", "kappa"),
    ("size_min=12&size_max=12", "kappa"),
    ("owner={project}", ALL),
    ("owner=nobody", ""),
    ("checksum={checksum}", "kappa"),
    ("os_hash_value={hash}", "kappa"),
    ("os_hash_algo=sha512", "kappa"),
    ("created_at=gte:2000-01-01", ALL),
    ("created_at=gt:2100-01-01T00:00:00Z", ""),
    ("created_at=lt:2000-01-01T00:00:00", ""),
    ("created_at=lte:2100-01-01T00:00:00%2B02:00", ALL),
    ("created_at=eq:{created}&name=alpha", "alpha"),
    ("created_at={created}&name=alpha", "alpha"),
    ("created_at=neq:{created}&name=alpha", ""),
    ("created_at=gt:{created}&name=alpha", ""),
    ("created_at=gte:{created}&name=alpha", "alpha"),
    ("created_at=lte:{created}&name=alpha", "alpha"),
    ("created_at=lt:{created}&name=alpha", ""),
    ("updated_at=gte:{created}", ALL),
    ("visibility=private", ""),
    ("visibility=shared", ALL),
    ("visibility=all&owner={project}", ALL),
    ("visibility=", ""),
    ("deleted=true", ALL),
    ("deleted=nonsense", ALL),
    ("limit=0", ""),
    ("limit=999999", ALL),
    ("name=alpha&name=beta", "beta"),
    ("name=in:alpha", "alpha"),
    # what is no field is a property, whatever it sounds like
    ("properties=x", ""),
    ("locations=x", ""),
    ("members=x", ""),
    ("container=bare", ""),
]


@pytest.mark.parametrize(("query", "names"), FOUND)
def test_found(owner: Person, ids: dict[str, str], query: str, names: str) -> None:
    kappa = owner.call("GET", f"/v2/images/{ids['kappa']}").json or {}
    alpha = owner.call("GET", f"/v2/images/{ids['alpha']}").json or {}
    known = {
        "project": owner.project,
        "checksum": kappa["checksum"],
        "hash": kappa["os_hash_value"],
        "created": alpha["created_at"],
        **{k: v for k, v in ids.items() if k.isalpha()},
    }
    for key, value in known.items():
        query = query.replace(f"{{{key}}}", quote(value, safe=""))
    wanted = {ids[name] for name in ([names] if names in ids else names.split())}
    answer = owner.call("GET", f"/v2/images?{query}")
    assert answer.status_code == 200, answer.text
    assert {x["id"] for x in (answer.json or {})["images"]} == wanted


#: (query, a word of the message)
REFUSED = [
    ("visibility=secret", "visibility"),
    ("member_status=maybe", "member_status"),
    ("os_hidden=perhaps", "os_hidden"),
    ("protected=True", "protected"),
    ("protected=", "protected"),
    ("name=neq:x", "name"),
    ("id=lt:x", "id"),
    ('name=in:"x', "name"),
    ("name=in:", "name"),
    ("status=gt:x", "status"),
    ("created_at=yesterday", "created_at"),
    ("created_at=near:2000-01-01", "created_at"),
    ("updated_at=gt:", "updated_at"),
    ("size_min=x", "size_min"),
    ("size_max=", "size_max"),
    ("foo_min=1", "foo_min"),
    ("foo_max=1", "foo_max"),
    ("changes-since=2000-01-01", "changes-since"),
    ("limit=-1", "limit"),
    ("limit=", "limit"),
    ("limit=x", "limit"),
    ("limit=1.5", "limit"),
    ("marker=nonsense", "marker"),
    (f"marker={uuid.uuid4()}", "marker"),
    ("sort_key=color", "color"),
    ("sort_dir=up", "up"),
    ("sort=", "sort"),
    ("sort=name:up", "up"),
    ("sort=name,,id", "sort"),
    ("sort=name&sort_key=id", "sort"),
    ("sort=name&sort_dir=asc", "sort"),
    ("sort_key=name&sort_key=id&sort_key=size&sort_dir=asc&sort_dir=desc", "sort_dir"),
    ("size_min=99999999999999999999999", "size_min"),
]


@pytest.mark.parametrize(("query", "word"), REFUSED)
def test_refused(owner: Person, query: str, word: str) -> None:
    answer = owner.call("GET", f"/v2/images?{query}")
    assert answer.status_code == 400
    assert word in (answer.json or {})["message"]


KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")


def _sorted(owner: Person, query: str) -> list[dict[str, Any]]:
    answer = owner.call("GET", f"/v2/images?{query}")
    assert answer.status_code == 200, answer.text
    return list((answer.json or {})["images"])


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.usefixtures("ids")
def test_sorted(owner: Person, key: str, direction: str) -> None:
    """Both syntaxes; null comes before everything; ties by creation."""
    for query in (f"sort={key}:{direction}", f"sort_key={key}&sort_dir={direction}"):
        rows = _sorted(owner, query)
        order = [
            (row[key] is not None, row[key] or "") if key != "size" else (row[key] is not None, row[key] or 0)
            for row in rows
        ]
        assert order == sorted(order, reverse=direction == "desc")
    assert _sorted(owner, f"sort={key}") == _sorted(owner, f"sort={key}:desc")


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
@pytest.mark.parametrize(
    "query",
    [
        "",
        "sort=name:asc",
        "sort=disk_format:desc,name:asc",
        "sort=size:asc",
        "tag=red",
        "min_ram_min=2",
        "sort_key=name&sort_key=id&sort_dir=asc&sort_dir=desc",
        "sort=updated_at:asc",
    ],
)
@pytest.mark.usefixtures("ids")
def test_paged(owner: Person, query: str, limit: int) -> None:
    """Following next gives every image once, in order; behind an exactly full last page comes an empty one."""
    wanted = [x["id"] for x in _sorted(owner, query)]
    path, found = f"/v2/images?{query}&limit={limit}", []
    for _ in itertools.count():
        page = owner.call("GET", path).json or {}
        found += [x["id"] for x in page["images"]]
        assert ("next" in page) == (len(page["images"]) == limit)
        if "next" not in page:
            break
        path = page["next"]
    assert found == wanted


def test_links_keep_repeated_parameters(owner: Person, ids: dict[str, str]) -> None:
    page = owner.call("GET", "/v2/images?tag=red&tag=big&sort_key=name&sort_key=id&limit=1").json or {}
    for link in ("first", "next"):
        pairs = parse_qsl(urlsplit(page[link]).query)
        assert [v for k, v in pairs if k == "tag"] == ["red", "big"]
        assert [v for k, v in pairs if k == "sort_key"] == ["name", "id"]
    assert dict(parse_qsl(urlsplit(page["next"]).query))["marker"] == ids["alpha"]
    assert page["schema"] == "/v2/schemas/images"


def test_a_marker_need_not_match_the_filters_but_must_be_visible(owner: Person, ids: dict[str, str]) -> None:
    listed = [x["id"] for x in _sorted(owner, f"name=alpha&sort=name:asc&marker={ids['iota']}")]
    assert listed == [ids["alpha"]]
    stranger = Person(owner.app, f"{owner.project}-x")
    assert stranger.call("GET", f"/v2/images?marker={ids['alpha']}").status_code == 400


# -- pages that end early --------------------------------------------------------------------------
@pytest.fixture
def crowd(service: Service, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody with 30 images, one in ten of them with min_ram 7, where a page looks through 8."""
    person = Person(service.app, f"p-{uuid.uuid4().hex[:6]}")
    for n in range(30):
        person.create(name=f"n{n}", min_ram=7 if n % 10 == 9 else 1, min_disk=n % 3)
    monkeypatch.setattr(images, "LOOKS", (4, 8))
    return person


def test_a_short_page_leads_on(crowd: Person) -> None:
    for query, expected in (
        ("min_disk=1", [f"n{n}" for n in range(29, -1, -1) if n % 3 == 1]),
        ("", [f"n{n}" for n in range(29, -1, -1)]),
        ("min_disk=0&sort=name:asc", sorted(f"n{n}" for n in range(0, 30, 3))),
    ):
        path, names, counts = f"/v2/images?limit=5&visibility=shared&{query}", list[str](), list[int]()
        while path:
            answer = crowd.call("GET", path)
            assert answer.status_code == 200, answer.text
            page = answer.json or {}
            names += [x["name"] for x in page["images"]]
            counts.append(len(page["images"]))
            path = page.get("next", "")
            assert page["images"] or not path
        assert names == expected, query
        assert ("min_" in query) == (min(counts[:-2]) < 5), (query, counts)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("min_ram=99", "id, name, owner"),
        ("size_min=5&sort=name:asc", "id, name, owner"),
        ("sort=size:desc", "created_at, updated_at or name"),
        ("sort=name:asc,size:desc", "created_at, updated_at or name"),
        ("disk_format=vdi", "a tag, a property"),
    ],
)
def test_a_list_that_too_much_would_have_to_be_looked_through_for_is_refused(
    crowd: Person, query: str, told: str
) -> None:
    answer = crowd.call("GET", f"/v2/images?limit=5&{query}")
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "too_broad"), answer.text
    assert told in (answer.json or {})["message"]


def test_what_narrows_a_list_makes_it_whole(crowd: Person) -> None:
    for query in ("name=n3&sort=size:desc", "name=in:n3,x&min_ram=1&sort=status:asc"):
        answer = crowd.call(
            "GET", f"/v2/images?limit=25&{query}"
        )  # so many are looked at then; others have such names, too
        assert [x["name"] for x in (answer.json or {})["images"]] == ["n3"], answer.text
