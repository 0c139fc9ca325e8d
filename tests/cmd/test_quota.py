"""glance-manage quota, on a database in memory."""

from __future__ import annotations

import argparse
import json

import pytest

from glancecore import conf as configuration
from glancecore.cmd.manage import parser
from glancecore.domain import errors
from glancecore.domain.quota import RESOURCES
from glancecore.ports.repository import ImageAdded
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase


class Cloud:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self.database, self.conf = capsys, MemoryDatabase(), configuration.new(files=[])

    def run(self, *words: str) -> tuple[int, str]:
        json_too = words[0] == "--json"
        args: argparse.Namespace = parser().parse_args([*words[:json_too], "quota", *words[json_too:]])
        args.conf = self.conf
        code = int(args.run(args, self.database))
        return code, self._capsys.readouterr().out


@pytest.fixture
def cloud(capsys: pytest.CaptureFixture[str]) -> Cloud:
    return Cloud(capsys)


def test_set_show_list_and_unset(cloud: Cloud) -> None:
    cloud.conf.set_override("project_image_quota", 7)
    assert cloud.run("list") == (0, "no project has limits of its own\n")
    assert cloud.run("set", "p", "--image-size-total", "3GB", "--image-count-uploading", "-1") == (
        0,
        (
            "image_size_total: 0 of 3221225472, set for this project\nimage_stage_total: 0 of no limit,"
            " default\nimage_count_total: 0 of 7, default\nimage_count_uploading: 0 of no limit, set for this"
            " project\nall processes know it in 2 s\n"
        ),
    )
    cloud.run("set", "a", "--image-count-total=0")
    assert cloud.run("list") == (
        0,
        "a: image_count_total 0\np: image_size_total 3221225472, image_count_uploading no limit\n",
    )
    assert [json.loads(x) for x in cloud.run("--json", "list")[1].splitlines()] == [
        {"project": "a", "limits": {"image_count_total": 0}},
        {"project": "p", "limits": {"image_size_total": 3 << 30, "image_count_uploading": -1}},
    ]
    assert cloud.run("unset", "p", "image_size_total")[0] == 0
    assert cloud.run("list")[1] == "a: image_count_total 0\np: image_count_uploading no limit\n"
    assert cloud.run("unset", "p")[0] == 0 == cloud.run("unset", "a")[0]
    assert cloud.run("unset", "p")[0] == 0, "also one that has none"
    assert cloud.run("--json", "list") == (0, "")


def test_what_is_used_stands_beside_it(cloud: Cloud) -> None:
    for _ in range(2):
        cloud.database.images.commit(ImageAdded(make_image(owner="p")))
    said = cloud.run("set", "p", "--image-count-total", "1")[1]
    assert "image_count_total: 2 of 1, set for this project\n" in said
    assert (
        "the project uses more of image_count_total than it may: nothing is taken away, and nothing of it may be"
        " added\n" in said
    )
    told = json.loads(cloud.run("--json", "show", "p")[1])
    assert told == {
        "project": "p",
        "resources": {
            x: {
                "usage": 2 * (x == "image_count_total"),
                "limit": 1 if x == "image_count_total" else -1,
                "own": x == "image_count_total",
            }
            for x in RESOURCES
        },
    }
    assert json.loads(cloud.run("--json", "show", "nobody")[1])["resources"]["image_count_total"] == {
        "usage": 0,
        "limit": -1,
        "own": False,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("set", "p", "--image-size-total", "3GiB"),
            "'3GiB': give a size such as 500MB, 100GB or 2TB, or -1 for no limit",
        ),
        (("set", "p", "--image-size-total", "-2"), "'-2': give a size"),
        (("set", "p", "--image-size-total", f"{(1 << 62) + 1}"), "give a size"),
        (("set", "p", "--image-count-total", "1.5"), "'1.5': give a number, or -1 for no limit"),
        (("set", "p", "--image-count-total", "5GB"), "'5GB': give a number"),
        (("set", "p", "--image-count-total", f"{1 << 63}"), "give a number"),
        (("set", "p", "--image-count-total", "\u0663"), "give a number"),
        (("set", "", "--image-count-total", "1"), "project: 0 characters; an id has 1 to 255"),
        (("show", "a\nb"), "project: control characters are not allowed"),
        (
            ("unset", "p", "images"),
            "'images' is none of image_size_total, image_stage_total, image_count_total, image_count_uploading",
        ),
    ],
)
def test_wrong_arguments_are_named(
    cloud: Cloud, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cloud.run(*words)
    assert said in capsys.readouterr().err
    assert cloud.run("--json", "list") == (0, "")


def test_set_says_what_can_be_limited(cloud: Cloud) -> None:
    with pytest.raises(
        errors.Invalid, match="quota set: say what is limited, by one of --image-size-total, --image-stage-total"
    ):
        cloud.run("set", "p")


def test_a_plugin_that_has_limits_of_projects_keeps_them(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glancecore.builtin.config_quota.ConfigQuota.per_project", True)
    for words in (("list",), ("set", "p", "--image-count-total", "1"), ("unset", "p")):
        with pytest.raises(errors.NotEnabled, match=r"\[DEFAULT\] quota_driver = config has the limits of projects"):
            cloud.run(*words)
    assert cloud.run("show", "p")[0] == 0
