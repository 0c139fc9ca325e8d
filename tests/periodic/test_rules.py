"""Rules of declared copies."""

from __future__ import annotations

import pytest

from glancecore.domain.errors import ConfigError
from glancecore.domain.image import Visibility
from glancecore.features.copies.declared import parse
from glancecore.testing.examples import make_image

STORES = ("fast", "cheap", "far")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("all -> 2 stores", True),
        ("tag=golden -> 2 stores", True),
        ("tag=gold -> 2 stores", False),
        ("property os_distro=debian -> 1 store", True),
        ("property os_distro=debia -> 1 store", False),
        ("property nothing=x -> 1 store", False),
        ("property motto=a = b -> 1 store", True),
        ("visibility=public and tag=golden -> fast", True),
        ("visibility=public and tag=silver -> fast", False),
        ("owner=ours -> fast", True),
        ("disk_format=qcow2 -> fast", False),
        ("name=None -> fast", False),
    ],
)
def test_which_images(text: str, holds: bool) -> None:
    image = make_image(
        tags=("golden",),
        properties={"os_distro": "debian", "motto": "a = b"},
        visibility=Visibility.PUBLIC,
        disk_format="raw",
    )
    assert parse(text, STORES, "rules").holds(image) is holds


@pytest.mark.parametrize(
    ("text", "having", "missing", "met"),
    [
        ("all -> 2 stores", [], ["far", "fast"], False),
        ("all -> 2 stores", ["fast"], ["far"], False),
        ("all -> 2 stores", ["fast", "cheap"], [], True),
        ("all -> 1 store", ["fast", "cheap", "far"], [], True),
        ("all -> fast,cheap", ["far"], ["fast", "cheap"], False),
        ("all -> fast, cheap", ["fast", "cheap"], [], True),
        ("all -> 3 stores", ["fast", "cheap", "far"], [], True),
    ],
)
def test_which_stores(text: str, having: list[str], missing: list[str], met: bool) -> None:
    rule = parse(text, STORES, "rules")
    assert rule.missing(having, ["far", "fast", "cheap"]) == missing
    assert rule.met(having) is met


def test_fewer_stores_than_wanted() -> None:
    assert parse("all -> 3 stores", STORES, "rules").missing(["fast"], ["fast", "far"]) == ["far"]


def test_enforced_or_best_effort() -> None:
    assert parse("all -> 2 stores", STORES, "rules").enforced
    soft = parse("all -> fast,cheap (best effort)", STORES, "rules")
    assert (soft.enforced, soft.stores) == (False, ("fast", "cheap"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tag=golden", "is no rule"),
        ("-> fast", "is no rule"),
        ("golden -> fast", "'golden' is none of"),
        ("color=red -> fast", "'color=red' is none of"),
        ("all -> 4 stores", "wants 4 stores, there are 3"),
        ("all -> 0 stores", "wants 0 stores"),
        ("all -> fast,slow", "no store 'slow'"),
        ("property x -> fast", "is none of"),
    ],
)
def test_mistakes_are_named(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"\[x\] rules: .*" + told):
        parse(text, STORES, "[x] rules")
