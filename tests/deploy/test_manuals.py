"""Manual pages format without a warning, and completion completes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import lab
import pytest

DEPLOY = lab.REPO / "deploy"
PAGES = sorted((DEPLOY / "man").glob("*"))
COMMANDS = [x.stem for x in PAGES]


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    lab.need("groff-base", "zsh")


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(x) for x in command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_pages_format(page: Path) -> None:
    text = re.sub(r"\x1b\[\d*m|.\x08", "", run("groff", "-man", "-ww", "-Wbreak", "-Tutf8", page))
    name = re.search(rf"^NAME\n +{page.stem} +. (.+)$", text.replace("\u2010", "-"), re.MULTILINE)
    assert name, text
    assert "OPTIONS" in text
    assert "SEE ALSO" in text


def completed(words: str) -> set[str]:
    """What bash offers when the words are typed so far and the key is hit."""
    parts = words.split(" ")
    name = parts[0]
    script = (
        "source"
        f" {DEPLOY}/completion/bash/{name}\nCOMP_WORDS=({' '.join(repr(x) for x in parts)})\nCOMP_CWORD={len(parts) - 1}\nCOMP_LINE='{words}'\nCOMP_POINT={len(words)}\n$(complete"
        f" -p {name} | sed 's/.*-F \\([^ ]*\\).*/\\1/') {name} '{parts[-1]}' '{parts[-2]}'\nprintf '%s\\n'"
        ' "${COMPREPLY[@]}"'
    )
    return set(run("bash", "--norc", "-c", script).split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("glance-manage ", {"db", "store", "metadefs", "outbox"}),
        ("glance-manage db s", {"sync"}),
        ("glance-manage store ", {"list", "show", "adopt", "forget"}),
        ("glance-api --conf", {"--config-file", "--config-dir"}),
        ("glance-manage db check --js", {"--json"}),
        ("glance-replicator livec", {"livecopy"}),
        ("glance-plugins check --glance", {"--glance-config"}),
    ],
)
def test_bash_completes(words: str, offered: set[str]) -> None:
    assert offered <= completed(words)


def test_bash_offers_files_where_one_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "some.conf").touch()
    assert completed(f"glance-api --config-file {tmp_path}/so") == {f"{tmp_path}/some.conf"}


@pytest.mark.parametrize("name", COMMANDS)
def test_zsh_can_read_it(name: str) -> None:
    run("zsh", "-n", DEPLOY / "completion/zsh" / f"_{name}")
    assert (DEPLOY / "completion/zsh" / f"_{name}").read_text().startswith(f"#compdef {name}\n")


def test_every_command_has_them() -> None:
    assert (
        set(COMMANDS)
        == {x.name for x in (DEPLOY / "completion/bash").iterdir()}
        == {x.name.removeprefix("_") for x in (DEPLOY / "completion/zsh").iterdir()}
    )
    assert len(COMMANDS) > 12
