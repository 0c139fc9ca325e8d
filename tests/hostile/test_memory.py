"""One request of a member takes a bounded part of a worker's memory, however much the images say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from house import House, opened

pytestmark = pytest.mark.long

MOST = 50 << 20
BIG = {f"p{n:03}": "x" * 65_000 for n in range(112)}
_CHILD = """
import resource, sys
sys.path[:0] = [{hostile!r}, {api!r}]
import house
with house.opened("sqlite") as made:
    made.image(name="warm", properties={{"p": "x"}})
    image = made.image(name="warm")
    for path in ("/v2/images?limit=1000&name=warm", f"/v2/images/{{image.id}}/tasks"):  # what is imported late is imported now
        assert made.owner.call("GET", path).status_code == 200
    {prepare}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = made.owner.call("GET", path)
    assert answer.status_code == 200
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, len(answer.data))
"""


def grown(prepare: str) -> tuple[int, int]:
    """By how many bytes a fresh process grows, as the operating system sees it, for the request for ``path``; and the
    answer's length."""
    here = Path(__file__).parent
    text = _CHILD.format(
        hostile=str(here), api=str(here.parent / "api"), prepare="\n    ".join(prepare.strip().splitlines())
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    most, length = done.stdout.split()[-2:]
    return int(most), int(length)


@pytest.mark.parametrize(
    ("count", "properties"), [(12, 112), (200, 4)], ids=["too large to be made", "as large as can be made"]
)
def test_a_list_takes_a_bounded_part_of_a_worker(count: int, properties: int) -> None:
    most, length = grown(f"""
for n in range({count}):
    made.image(name="big", properties={{f"p{{x:03}}": "x" * 65000 for x in range({properties})}})
path = "/v2/images?limit=1000&name=big"
""")
    assert most < MOST, f"{most >> 20} MiB for an answer of {length >> 20}"
    assert length > 1 << 20


def test_an_images_tasks_take_a_bounded_part_of_a_worker() -> None:
    most, _ = grown("""
for _ in range(1500):
    made.task(image, input={"import_req": {"method": {"name": "web-download", "uri": "x" * 60000}}})
""")
    assert most < MOST


def test_images_that_are_too_large_to_be_made_are_listed_page_by_page(here: House) -> None:
    """Twelve of them, of 7 MB each, as a database that was taken over may have."""
    made = {here.image(name="big", properties=BIG).id for _ in range(12)}
    seen: list[str] = []
    path = "/v2/images?name=big&limit=1000"
    while path:
        answer = here.owner.call("GET", path)
        assert len(answer.data) < 12 << 20
        page = answer.json or {}
        seen += [x["id"] for x in page["images"]]
        path = page.get("next", "")
    assert len(seen) == 12
    assert set(seen) == made


def test_a_page_of_small_images_is_as_long_as_asked(here: House) -> None:
    for n in range(60):
        here.image(name="small", properties={f"p{x}": f"{n}" for x in range(20)})
    page = here.owner.call("GET", "/v2/images?name=small&limit=60").json or {}
    assert len(page["images"]) == 60
    assert "next" in page
    page = here.owner.call("GET", "/v2/images?name=small&limit=61").json or {}
    assert len(page["images"]) == 60
    assert "next" not in page


@pytest.mark.parametrize("way", ["create", "patch", "tags", "one tag"])
def test_the_metadata_of_an_image_is_limited(here: House, way: str) -> None:
    value = "x" * 60_000
    if way == "create":
        answer = here.owner.call("POST", "/v2/images", {f"p{n}": value for n in range(5)})
    elif way == "patch":
        image = here.owner.create(**{f"p{n}": value for n in range(4)})["id"]
        answer = here.owner.patch(image, {"op": "add", "path": "/p4", "value": value})
    else:
        image = here.image(properties={f"p{n}": "x" * 65_520 for n in range(4)}, tags=()).id
        answer = (
            here.owner.patch(image, {"op": "replace", "path": "/tags", "value": ["y" * 250]})
            if way == "tags"
            else here.owner.call("PUT", f"/v2/images/{image}/tags/{'y' * 250}")
        )
    assert answer.status_code == 413, answer.text
    assert "image_metadata_quota" in answer.text


def test_an_image_above_the_limit_stays_editable(here: House) -> None:
    image = here.image(properties=BIG).id
    assert here.owner.patch(image, {"op": "replace", "path": "/name", "value": "n"}).status_code == 200
    assert here.owner.patch(image, {"op": "remove", "path": "/p000"}).status_code == 200
    assert here.owner.patch(image, {"op": "replace", "path": "/p001", "value": "short"}).status_code == 200
    assert here.owner.patch(image, {"op": "add", "path": "/new", "value": "x"}).status_code == 413


def test_the_metadata_of_a_project_is_limited() -> None:
    with opened("sqlite", project_metadata_quota=1000) as house:
        house.owner.create(p="x" * 600)
        answer = house.owner.call("POST", "/v2/images", {"p": "x" * 600})
        assert answer.status_code == 413
        assert "image_metadata_total" in answer.text
        image = house.owner.create()["id"]
        assert house.owner.patch(image, {"op": "add", "path": "/p", "value": "x" * 300}).status_code == 200
        assert house.owner.patch(image, {"op": "replace", "path": "/p", "value": "x" * 600}).status_code == 413
        assert house.owner.patch(image, {"op": "replace", "path": "/name", "value": "n"}).status_code == 200
        assert house.people["other"].call("POST", "/v2/images", {"p": "x" * 600}).status_code == 201


def test_the_newest_tasks_of_an_image_are_listed(here: House) -> None:
    image = here.image()
    made = [here.task(image).id for _ in range(130)]
    page = here.owner.call("GET", f"/v2/images/{image.id}/tasks").json or {}
    assert [x["id"] for x in page["tasks"]] == made[:-101:-1]


def test_names_that_come_back_in_links_are_quoted(here: House) -> None:
    page = here.owner.call("GET", f"/v2/images?name={quote('a&b=c é')}&limit=0").json or {}
    assert page["first"] == "/v2/images?name=a%26b%3Dc+%C3%A9&limit=0"
