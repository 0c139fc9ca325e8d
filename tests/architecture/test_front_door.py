"""What a contributor meets first is there, and names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((REPO / ".github/workflows/test.yml").read_text())
HOOKS = [
    hook for repo in yaml.safe_load((REPO / ".pre-commit-config.yaml").read_text())["repos"] for hook in repo["hooks"]
]
TARGETS = set(re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
#: Words of Markdown that are a path of the tree.
_PATH = re.compile(r"`((?:glancecore|drivers|tests|docs|etc|deploy|tools)/[\w./-]+)`")


def commands() -> list[str]:
    return [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize(
    "folder",
    [
        REPO,
        *sorted(x.parent for x in [*REPO.glob("drivers/[!_]*/pyproject.toml"), *REPO.glob("clients/*/pyproject.toml")]),
    ],
    ids=lambda x: x.name,
)
def test_the_license_is_beside_each_distribution(folder: Path) -> None:
    assert (folder / "LICENSE").read_bytes() == (REPO / "LICENSE").read_bytes()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", ".github/workflows/test.yml"])
def test_targets_of_make_that_are_named_exist(page: str) -> None:
    named = set(re.findall(r"(?:`|^ +|run: )make ([a-z]+)", (REPO / page).read_text(), re.MULTILINE))
    assert len(named) > 3
    assert named - TARGETS == set()


def test_paths_that_are_named_exist() -> None:
    named = [x for x in _PATH.findall((REPO / "CONTRIBUTING.md").read_text()) if "NAME" not in x]
    assert len(named) > 8
    assert [x for x in named if not list(REPO.glob(x.replace("/.../", "/**/")))] == []


def test_hooks_call_what_lint_calls() -> None:
    assert {x["id"] for x in HOOKS} >= {"ruff", "mypy", "layers", "shell"}
    assert {x["language"] for x in HOOKS} == {"system"}, (
        "the tools are the project's own, in the versions that the tests use"
    )
    for hook in HOOKS:
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/") or (REPO / program).is_file(), program


def test_public_ci_runs_what_everybody_runs() -> None:
    run = commands()
    assert {"make lint", "make unit", "make check", "make dist", ".ci/run"} <= set(run)
    assert [x for x in run if not x.startswith(("make ", ".ci/run")) and "apt-get" not in x] == []


def test_public_ci_knows_every_version_of_python() -> None:
    import pythons

    assert WORKFLOW["jobs"]["pythons"]["strategy"]["matrix"]["version"] == list(pythons.VERSIONS)
    assert "3.11" in str(WORKFLOW["jobs"]["check"])
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_words_of_the_glossary_are_in_order_and_explained() -> None:
    table = (REPO / "CONTRIBUTING.md").read_text().partition("## Glossary")[2]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)[1:]
    words = [word for word, _ in rows]
    assert words == sorted(words, key=str.lower)
    assert len(words) > 20
