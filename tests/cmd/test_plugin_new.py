"""glance-plugins new: files of a plugin of one's own. That they are green, installed and served:
tests/docs/test_walks.py, by the pages that say so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import lab
import pytest

from glancecore.assembly.kinds import KINDS
from glancecore.cmd import plugin_new
from glancecore.domain.errors import ConfigError


def texts(folder: Path) -> dict[str, str]:
    return {str(x.relative_to(folder)): x.read_text() for x in sorted(folder.rglob("*")) if x.is_file()}


@pytest.mark.parametrize(("kind", "short"), plugin_new.KINDS.items())
def test_the_files_are_of_that_name(tmp_path: Path, kind: str, short: str) -> None:
    made = plugin_new.make(kind, "acme2", tmp_path / "mine")
    files = texts(made)
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "tests/test_conformance.py",
        f"src/glancecore_{short}_acme2/options.py",
    } <= set(files)
    assert not [x for x, text in files.items() if re.search("template", x + text, re.IGNORECASE)]
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == f"glancecore-{short}-acme2"
    group = KINDS[kind].group
    assert list(project["entry-points"][group]) == ["acme2"]
    package, _, cls = project["entry-points"][group]["acme2"].partition(":")
    assert f"class {cls}(" in files[f"src/{package.replace('.', '/')}.py"]


@pytest.mark.parametrize("kind", plugin_new.KINDS)
def test_every_file_compiles(tmp_path: Path, kind: str) -> None:
    for name, text in texts(plugin_new.make(kind, "acme", tmp_path / "mine")).items():
        if name.endswith(".py"):
            compile(text, name, "exec")


@pytest.mark.parametrize("name", ["", "Acme", "ac-me", "ac_me", "2acme", "../acme", "acme\n", "a" * 21, "äcme"])
def test_names_that_would_make_no_package(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="lower-case letters and digits"):
        plugin_new.make("store", name, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"--folder: {tmp_path} exists already; give another one"):
        plugin_new.make("store", "acme", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can't be made: Not a directory; give another one"):
        plugin_new.make("store", "acme", tmp_path / "file" / "mine")


def test_no_configuration_is_needed(tmp_path: Path) -> None:
    """It is a machine of an author, whatever lies in /etc/glance."""
    wrong = tmp_path / "wrong.conf"
    wrong.write_text("no configuration\n")
    done = lab.command(
        "glance-plugins", "--config-file", wrong, "new", "extension", "acme", "--folder", tmp_path / "mine"
    )
    assert done.returncode == 0, done.stderr
    assert f"cd {tmp_path / 'mine'}" in done.stdout
    assert (tmp_path / "mine" / "pyproject.toml").exists()
    again = lab.command("glance-plugins", "new", "extension", "acme", "--folder", tmp_path / "mine")
    assert again.returncode == 1
    assert again.stderr.startswith("error: --folder: ")
    assert len(again.stderr.splitlines()) == 1
