"""Messages name packages of this project only, and each by its own name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from glancecore.assembly import kinds, loader
from glancecore.domain.errors import ConfigError

DRIVERS = Path(__file__).parents[2] / "drivers"


def test_what_is_shipped_is_what_lies_in_drivers() -> None:
    groups = {x.group: x.name for x in kinds.KINDS.values()}
    found: dict[str, dict[str, str]] = {}
    for file in DRIVERS.glob("[!_]*/pyproject.toml"):
        project = tomllib.loads(file.read_text())["project"]
        for group, entries in project["entry-points"].items():
            if group in groups:
                found.setdefault(groups[group], {}).update(dict.fromkeys(entries, project["name"]))
    assert found == {x.name: x.shipped for x in kinds.KINDS.values() if x.shipped}


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_typing_error_names_no_package_of_strangers(kind: str) -> None:
    for name in ("flie", "image_conversio", "keystoen", "x"):
        with pytest.raises(ConfigError) as caught:
            loader.load(kind, name, "[DEFAULT] option")
        for word in str(caught.value).split():
            assert not word.startswith("glancecore-") or word in kinds.KINDS[kind].shipped.values()
