"""What is wrong with a file of metadata definitions is told by file, key and rule; nothing of it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glancecore.cmd.manage import parser
from glancecore.domain import errors
from glancecore.testing.fakes import MemoryDatabase

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


def manage(database: MemoryDatabase, capsys: Capture, *words: str | Path, code: int = 0) -> Any:
    """What glance-manage prints as JSON."""
    args = parser().parse_args(["--json", *map(str, words)])
    assert args.run(args, database) == code
    return json.loads(capsys.readouterr().out)


GOOD = {"title": "T", "type": "string"}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"display_name": "x"}, ("namespace",)),
        ({"namespace": "N", "colour": "red"}, ("colour",)),
        ({"namespace": "N", "visibility": "shared"}, ("visibility", "public, private")),
        (
            {"namespace": "N", "properties": {"cpu": {"title": "C", "type": "text"}}},
            ("properties.cpu.type", "integer, number"),
        ),
        ({"namespace": "N", "properties": {"cpu": {"type": "string"}}}, ("properties.cpu", "title")),
        (
            {"namespace": "N", "objects": [{"name": "o", "properties": {"a": {**GOOD, "maxLength": -1}}}]},
            ("objects.0.properties.a.maxLength", "less than 0"),
        ),
        (
            {"namespace": "N", "objects": [{"name": "o", "properties": {"a": {**GOOD, "pattern": "["}}}]},
            ("objects.0.properties.a.pattern",),
        ),
        ({"namespace": "N", "tags": [{"name": "a"}, {"name": "A"}]}, ("tag A",)),
        ({"namespace": "N", "resource_type_associations": [{"prefix": "x"}]}, ("resource_type_associations.0", "name")),
        ([], ("object",)),
    ],
)
def test_a_bad_file_is_told_by_file_key_and_rule_and_not_loaded(
    database: MemoryDatabase, capsys: Capture, tmp_path: Path, content: object, names: tuple[str, ...]
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(content))
    (tmp_path / "good.json").write_text(json.dumps({"namespace": "Good"}))
    rows = manage(database, capsys, "metadefs", "load", "--path", tmp_path, code=1)
    errors = [x["error"] for x in rows if "error" in x]
    assert len(errors) == 1
    assert errors[0].startswith(f"{tmp_path}/bad.json: ")
    assert all(x in errors[0] for x in names), errors
    assert set(database.metadefs.namespaces) == {"Good"}


@pytest.mark.parametrize(
    "text", ["{", '{"namespace": "N", "namespace": "M"}', '{"namespace": "N\xff"}', "NaN", "[" * 100_000]
)
def test_what_is_no_json(database: MemoryDatabase, capsys: Capture, tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_bytes(text.encode("latin-1"))
    rows = manage(database, capsys, "metadefs", "load", "--path", tmp_path / "bad.json", code=1)
    assert rows[0]["error"].startswith(f"{tmp_path}/bad.json: ")
    assert database.metadefs.namespaces == {}


def test_missing_files_and_folders(database: MemoryDatabase, capsys: Capture, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "never"):
        with pytest.raises(errors.Invalid, match=str(path)):
            manage(database, capsys, "metadefs", "load", "--path", path)
    rows = manage(database, capsys, "metadefs", "export", "--path", tmp_path, "Never", code=1)
    assert "Never" in rows[0]["error"]


def test_options_that_contradict_each_other(database: MemoryDatabase, capsys: Capture) -> None:
    for words in (("--prefer-new",), ("--merge", "--prefer-new", "--overwrite")):
        with pytest.raises(errors.Invalid, match="--prefer-new"):
            manage(database, capsys, "metadefs", "load", *words)


def test_files_are_named_so_that_any_namespace_has_one(
    database: MemoryDatabase, capsys: Capture, tmp_path: Path
) -> None:
    names = ["OS::A", "a b", "\U0001f600", "..a", "%2F", "x" * 80, "-"]
    for n, name in enumerate(names):
        (tmp_path / f"{n}.json").write_text(json.dumps({"namespace": name}))
    manage(database, capsys, "metadefs", "load", "--path", tmp_path)
    out = tmp_path / "out"
    rows = manage(database, capsys, "metadefs", "export", "--path", out)
    assert {json.loads(Path(x["file"]).read_text())["namespace"] for x in rows} == set(names)
    assert len(list(out.iterdir())) == len(names), "and no half-written ones"
    assert (out / "OS::A.json").stat().st_mode == (tmp_path / "0.json").stat().st_mode
