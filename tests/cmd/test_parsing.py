"""Every command knows --version, and takes its own options on both sides of its words."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from importlib.metadata import entry_points, version
from pathlib import Path

import lab
import pytest

from glancecore.cmd import cache_manage, manage, periodic, replicator

COMMANDS = sorted(x.name for x in entry_points(group="console_scripts") if x.value.startswith("glancecore."))
PARSERS: dict[str, Callable[[], ArgumentParser]] = {
    "glance-manage": manage.parser,
    "glance-replicator": replicator.parser,
    "glance-periodic": periodic.parser,
    "glance-cache-manage": lambda: cache_manage.parser([]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_tells_its_version(name: str) -> None:
    done = lab.command(name, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name} {version('glancecore')}\n", "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("glance-manage", "db check"),
        ("glance-manage", "db_check"),
        ("glance-manage", "store show x"),
        ("glance-manage", "metadefs validate --image x"),
        ("glance-replicator", "size x"),
        ("glance-replicator", "livecopy a b"),
        ("glance-cache-manage", "list-cached"),
        ("glance-cache-manage", "nodes x"),
        ("glance-periodic", "run x"),
        ("glance-periodic", "list"),
        ("glance-periodic", "report x"),
    ],
)
def test_json_may_stand_anywhere(name: str, words: str) -> None:
    parts = words.split()
    for at in range(len(parts) + 1):
        if not parts[at - 1].startswith("--"):
            assert PARSERS[name]().parse_args([*parts[:at], "--json", *parts[at:]]).json is True
    assert PARSERS[name]().parse_args(parts).json is False


@pytest.mark.parametrize(
    "words", ["--image a --image b size x", "--image a size --image b x", "size x --image a --image b"]
)
def test_images_add_up_wherever_they_stand(words: str) -> None:
    args = replicator.parser().parse_args(words.split())
    assert args.image == ["a", "b"]
    assert {x for x in vars(args) if " " in x} == set()


def test_configuration_files_keep_their_order() -> None:
    args = manage.parser().parse_args(["--config-file", "1", "db", "--config-dir", "2", "check", "--config-file", "3"])
    assert args.config_sources == [("--config-file", "1"), ("--config-dir", "2"), ("--config-file", "3")]
    assert manage.parser().parse_args(["db", "check"]).config_sources is None


def test_glances_own_word_of_a_command_stays() -> None:
    assert manage.parser().parse_args(["db", "sync", "--version", "heads"]).version == "heads"


def test_commands_without_their_own_parser(tmp_path: Path) -> None:
    file = tmp_path / "glance-api.conf"
    file.write_text(
        lab.config_text(
            {
                "database": {"connection": f"sqlite:///{tmp_path}/glance.sqlite"},
                "file": {"filesystem_store_datadir": tmp_path / "x"},
            }
        )
    )
    assert (
        json.loads(lab.command("glance-plugins", "list", "--config-file", file, "--json").stdout)[0]["kind"]
        == "database"
    )
    assert (
        json.loads(lab.command("glance-status", "upgrade", "--config-file", file, "check", "--json").stdout)[0]["check"]
        == "database schema"
    )


def test_what_serves_prints_no_json() -> None:
    done = lab.command("glance-periodic", "--json")
    assert done.returncode == 2
    assert "--json: without a command" in done.stderr
