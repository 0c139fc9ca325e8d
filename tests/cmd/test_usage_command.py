"""glance-manage usage, on a database in memory."""

from __future__ import annotations

import argparse
import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from glancecore.cmd.manage import parser
from glancecore.domain.image import Location, LocationStatus, Status, Visibility
from glancecore.features.uses.counting import Use, UseRows
from glancecore.ports.repository import ImageAdded
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Cloud:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self.database = capsys, MemoryDatabase()

    def run(self, *words: str) -> str:
        args: argparse.Namespace = parser().parse_args(["usage", *words])
        assert args.run(args, self.database) == 0
        return self._capsys.readouterr().out

    def image(self, size: int, *stores: str, age: int = 0, **fields: Any) -> str:
        image = make_image(
            status=Status.ACTIVE if stores else Status.QUEUED,
            size=size if stores else None,
            created_at=NOW - timedelta(days=age),
            **fields,
        )
        self.database.images.commit(
            ImageAdded(
                replace(
                    image,
                    locations=tuple(
                        Location(
                            f"mem://{x}/{image.id}",
                            x,
                            status=LocationStatus.DAMAGED if x == "bad" else LocationStatus.ACTIVE,
                        )
                        for x in stores
                    ),
                )
            )
        )
        return image.id

    def used(self, image_id: str, count: int, at: datetime) -> None:
        UseRows(self.database).add({image_id: Use(count, at)})


@pytest.fixture
def cloud(capsys: pytest.CaptureFixture[str]) -> Cloud:
    return Cloud(capsys)


def test_nothing_is_nothing(cloud: Cloud) -> None:
    assert cloud.run() == "by project:\nby store:\nby visibility:\n"
    assert cloud.run("--csv") == "project,store,visibility,images,bytes\n"
    assert json.loads(cloud.run("--json")) == {"counted_since": None, "rows": []}
    assert cloud.run("--images", "largest") == "uses are not counted yet\n"


def test_by_project_store_and_visibility(cloud: Cloud) -> None:
    cloud.image(100, "fast", "slow", owner="p")
    cloud.image(10, "fast", owner="p", visibility=Visibility.PUBLIC)
    cloud.image(0, owner="p")
    cloud.image(7, "bad", owner=None)
    for _ in range(150):  # more than a page
        cloud.image(1, "slow", owner="q")
    assert (
        cloud.run()
        == "by project:\n  p: images 3, bytes 210\n  q: images 150, bytes 150\n  -: images 1, bytes 7\nby store:\n "
        " slow: images 151, bytes 250\n  fast: images 2, bytes 110\n  bad: images 1, bytes 7\n  -: images 1, bytes"
        " 0\nby visibility:\n  shared: images 153, bytes 357\n  public: images 1, bytes 10\n"
    )
    rows = json.loads(cloud.run("--json"))["rows"]
    assert rows == [
        {"project": None, "store": "bad", "visibility": "shared", "images": 1, "bytes": 7},
        {"project": "p", "store": "", "visibility": "shared", "images": 1, "bytes": 0},
        {"project": "p", "store": "fast", "visibility": "public", "images": 1, "bytes": 10},
        {"project": "p", "store": "fast", "visibility": "shared", "images": 1, "bytes": 100},
        {"project": "p", "store": "slow", "visibility": "shared", "images": 1, "bytes": 100},
        {"project": "q", "store": "slow", "visibility": "shared", "images": 150, "bytes": 150},
    ]
    table = list(csv.DictReader(io.StringIO(cloud.run("--csv"))))
    assert [
        {**x, "project": x["project"] or None, "images": int(x["images"]), "bytes": int(x["bytes"])} for x in table
    ] == rows


def test_the_first_of_each_order(cloud: Cloud) -> None:
    small, large, copied = (
        cloud.image(5, "fast", age=9),
        cloud.image(50, "fast", age=1),
        cloud.image(30, "fast", "slow", age=3),
    )
    cloud.used(large, 4, NOW - timedelta(hours=5))
    cloud.used(small, 1, NOW)

    def listed(order: str, *more: str) -> list[str]:
        return [x["image"] for x in json.loads(cloud.run("--json", "--images", order, *more))["rows"]]

    assert listed("largest") == [copied, large, small]
    assert listed("oldest") == [small, copied, large]
    assert listed("unused") == [copied]
    assert listed("longest-unused") == [copied, large, small]
    assert listed("largest", "--limit", "1") == [copied]


def test_what_was_used_stands_in_the_line(cloud: Cloud) -> None:
    image_id = cloud.image(5, "fast", owner="p", name="debian\n13", age=1)
    UseRows(cloud.database).begin(NOW)
    cloud.used(image_id, 3, NOW)
    assert (
        cloud.run("--images", "largest")
        == f"uses are counted since 2026-03-01T12:00:00Z\n{image_id} bytes 5 project p created 2026-02-28T12:00:00Z"
        " used 3 times, last 2026-03-01T12:00:00Z: debian\\n13\n"
    )
    assert cloud.run("--images", "unused") == "uses are counted since 2026-03-01T12:00:00Z\n"


@pytest.mark.parametrize(
    ("name", "cell"), [("=1+1", "'=1+1"), ("@x", "'@x"), ('a,"b"', 'a,"b"'), (None, ""), ("+", "'+")]
)
def test_a_name_is_no_formula(cloud: Cloud, name: str | None, cell: str) -> None:
    cloud.image(5, "fast", name=name)
    assert [x["name"] for x in csv.DictReader(io.StringIO(cloud.run("--csv", "--images", "largest")))] == [cell]
