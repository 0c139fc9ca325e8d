"""Every pattern ends where the text ends: a newline behind a match is no match."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from house import House
from hypothesis import strategies
from hypothesis.errors import HypothesisException
from routes import ROUTES, body_of

from glancecore.domain.errors import Invalid
from glancecore.features.images import schemas as images
from glancecore.features.members import schemas as members
from glancecore.features.metadefs import schemas as metadefs
from glancecore.features.tasks import schemas as tasks
from glancecore.sdk.request_body import Checker
from glancecore.testing.hostile import fields_of

REPO = Path(__file__).parents[2]
SOURCES = sorted([*REPO.glob("glancecore/**/*.py"), *REPO.glob("drivers/[!_]*/src/**/*.py")])


def patterns(schema: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield where, schema["pattern"]
        for name, inner in schema.items():
            yield from patterns(inner, f"{where}.{name}")
    elif isinstance(schema, list):
        for n, inner in enumerate(schema):
            yield from patterns(inner, f"{where}.{n}")


def _all() -> dict[str, str]:
    formats = images.Formats(["raw"], ["bare"])
    found: dict[str, Any] = {
        "body of an image": images.body(formats),
        "image": images.document(formats),
        "answer": images.answer(formats),
        **members.documents(),
        **tasks.documents(),
        **metadefs.documents(),
        "openapi": {f"{x} {y}": z for (x, y), z in ROUTES.items()},
    }
    return {pattern: where for name, schema in found.items() for where, pattern in patterns(schema, name)}


def matches(pattern: str) -> list[str]:
    """Some texts that it takes."""
    known = ["aaaaaaaa-0000-4000-8000-000000000001", "/a", "/a/b", "name", "OS::Compute::Libvirt"]
    found = [x for x in known if re.search(pattern, x)]
    try:
        found.append(strategies.from_regex(pattern, fullmatch=True).example())
    except HypothesisException:
        pass
    return found


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@pytest.mark.parametrize(("pattern", "where"), _all().items(), ids=lambda x: x[:40].replace("/", "."))
def test_a_newline_behind_a_match_is_refused(pattern: str, where: str) -> None:
    assert pattern.startswith("^") or "(?!" in pattern, f"{where}: matches in the middle, too"
    checker, tried = Checker({"pattern": pattern}), 0
    for text in matches(pattern):
        try:
            checker.check(text)
        except Invalid:
            continue  # Python's notion of it is wider
        tried += 1
        for end in ("\n", "\r\n", "\n\n"):
            with pytest.raises(Invalid):
                checker.check(text + end)
    assert tried, f"{where}: nothing is known that matches {pattern}"


def test_there_are_patterns() -> None:
    assert len(_all()) >= 3
    assert sum(1 for _ in fields_of((body_of(ROUTES["POST", "/v2/images"]) or ("", {}))[1])) > 10


@pytest.mark.parametrize("file", SOURCES, ids=lambda x: str(x.relative_to(REPO)))
def test_no_pattern_of_the_code_ends_in_a_dollar(file: Path) -> None:
    """``$`` of Python's re matches before a newline at the end: whole texts are compared with ``fullmatch``."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        of_re = isinstance(owner, ast.Name) and owner.id == "re"
        if of_re and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            assert not re.search(r"(?<!\\)\$(?!\))|\$$", node.args[0].value), (
                f"line {node.lineno}: {node.args[0].value!r}"
            )
            assert node.func.attr != "match", f"line {node.lineno}: use fullmatch"


@pytest.mark.parametrize("name", ["aaaaaaaa-0000-4000-8000-00000000000a"])
def test_an_id_with_a_newline_is_none(here: House, name: str) -> None:
    for path in ("/v2/images",):
        assert here.owner.call("POST", path, {"id": f"{name}\n"}).status_code == 400
    assert here.owner.call("POST", "/v2/images", {"kernel_id": f"{name}\n"}).status_code == 400
    assert here.owner.call("GET", f"/v2/images/{name}%0A").status_code == 400
