"""glance-manage metadefs: files in, files out, and what is wrong with a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from client import Client

STARTER = lab.REPO / "glancecore" / "metadefs"


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service() as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(service: lab.Service) -> None:
    service.manage("metadefs", "unload")


def manage(service: lab.Service, *words: str | Path, code: int = 0) -> tuple[Any, str]:
    """What it prints as JSON, and what it says on standard error."""
    done = lab.command("glance-manage", "--config-file", service.config_file, "--json", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else None, done.stderr


def outcomes(rows: list[dict[str, str]]) -> set[str]:
    return {x["outcome"] for x in rows}


def write(folder: Path, **namespace: object) -> Path:
    file = folder / "ns.json"
    file.write_text(json.dumps(namespace))
    return file


def normal(definition: dict[str, Any], filled: dict[str, Any]) -> dict[str, Any]:
    """A file's content, with what the form allows to leave out filled in."""
    parts: dict[str, Any] = {"resource_type_associations": [], "properties": {}, "objects": [], "tags": []}
    found = {**parts, **filled, **definition}
    return {**found, "objects": [{"properties": {}, **x} for x in found["objects"]]}


def listed(service: lab.Service) -> dict[str, dict[str, Any]]:
    """All namespaces, whole, as the API shows them."""
    found, path = {}, "/v2/metadefs/namespaces?limit=7"
    while path:
        page = Client(service.url).call("GET", path).json()
        for x in page["namespaces"]:
            found[x["namespace"]] = Client(service.url).call("GET", f"/v2/metadefs/namespaces/{x['namespace']}").json()
        path = page.get("next")
    return found


def test_the_peers_files_come_back_as_they_were(service: lab.Service, tmp_path: Path) -> None:
    """The definitions that come with Glance are read from its package as it is installed."""
    files = lab.venv("peer", "glance==33.0.0", "gunicorn==27.0.1", "PyMySQL==1.2.4") / "etc" / "glance" / "metadefs"
    given = {x["namespace"]: x for x in (json.loads(file.read_text()) for file in files.glob("*.json"))}
    assert len(given) > 25
    rows, _ = manage(service, "metadefs", "load", "--path", files)
    assert outcomes(rows) == {"added"}
    assert {x["namespace"] for x in rows} == set(given)
    shown = listed(service)
    assert set(shown) == set(given)
    for name, wanted in given.items():
        assert shown[name].get("properties", {}) == wanted.get("properties", {})
        assert [x["properties"] for x in shown[name].get("objects", [])] == [
            x["properties"] for x in wanted.get("objects", [])
        ]
    manage(service, "metadefs", "export", "--path", tmp_path)
    exported = {x["namespace"]: x for x in (json.loads(file.read_text()) for file in tmp_path.glob("*.json"))}
    filled = {"visibility": "private", "protected": False}
    assert {name: normal(x, filled) for name, x in exported.items()} == {
        name: normal(x, filled) for name, x in given.items()
    }
    assert list(exported["OS::Compute::LibvirtImage"]["properties"]) == list(
        given["OS::Compute::LibvirtImage"]["properties"]
    )
    rows, _ = manage(service, "metadefs", "load", "--overwrite", "--path", tmp_path)
    assert outcomes(rows) == {"unchanged"}


def test_the_starter_set_is_what_is_loaded_without_a_path(service: lab.Service, tmp_path: Path) -> None:
    rows, _ = manage(service, "metadefs", "load")
    assert {Path(x["file"]).name for x in rows} == {x.name for x in STARTER.glob("*.json")}
    assert outcomes(rows) == {"added"}
    assert outcomes(manage(service, "metadefs", "load")[0]) == {"kept"}
    manage(service, "db", "export_metadefs", "--path", tmp_path / "new" / "folder")
    exported = {
        x["namespace"]: x for x in (json.loads(file.read_text()) for file in (tmp_path / "new" / "folder").iterdir())
    }
    given = {x["namespace"]: x for x in (json.loads(file.read_text()) for file in STARTER.iterdir())}
    assert {name: normal(x, {}) for name, x in exported.items()} == {name: normal(x, {}) for name, x in given.items()}


def test_existing_namespaces_are_left_merged_or_overwritten(service: lab.Service, tmp_path: Path) -> None:
    a, b = ({"title": x, "type": "string"} for x in "ab")
    manage(
        service, "metadefs", "load", "--path", write(tmp_path, namespace="N", display_name="old", properties={"p": a})
    )
    file = write(tmp_path, namespace="N", display_name="new", properties={"p": b, "q": b})
    for words, outcome, name, properties in (
        ((), "kept", "old", {"p": a}),
        (("--merge",), "changed", "old", {"p": a, "q": b}),
        (("--merge",), "unchanged", "old", {"p": a, "q": b}),
        (("--merge", "--prefer_new"), "changed", "new", {"p": b, "q": b}),
    ):
        rows, _ = manage(service, "metadefs", "load", "--path", file, *words)
        assert outcomes(rows) == {outcome}, words
        shown = listed(service)["N"]
        assert (shown["display_name"], shown["properties"]) == (name, properties)
    write(tmp_path, namespace="N", tags=[{"name": "t"}])
    for words in (("--overwrite",), ("--merge", "--overwrite")):
        manage(service, "db", "load_metadefs", "--path", file, *words)
        shown = listed(service)["N"]
        assert "display_name" not in shown
        assert "properties" not in shown
        assert shown["tags"] == [{"name": "t"}]
    _, said = manage(service, "metadefs", "load", "--path", file, "--prefer-new", code=1)
    assert "--merge" in said


def test_unload_by_files(service: lab.Service, tmp_path: Path) -> None:
    manage(service, "metadefs", "load")
    file = write(tmp_path, namespace="Own", protected=True)
    manage(service, "metadefs", "load", "--path", file)
    rows, _ = manage(service, "metadefs", "unload", "--path", STARTER)
    assert outcomes(rows) == {"removed"}
    assert set(listed(service)) == {"Own"}
    assert outcomes(manage(service, "metadefs", "unload", "--path", STARTER)[0]) == {"not there"}


def test_validate_a_file_and_an_image(service: lab.Service, tmp_path: Path) -> None:
    manage(service, "metadefs", "load")
    image = (
        Client(service.url)
        .call("POST", "/v2/images", {"name": "x", "hw_disk_bus": "floppy", "os_type": "linux", "mine": "x"})
        .json()
    )
    wanted = [{"namespace": "OS::Compute::LibvirtImage", "property": "hw_disk_bus", "rule": "enum"}]
    file = tmp_path / "properties.json"
    file.write_text(json.dumps({"hw_disk_bus": "floppy", "os_type": "linux", "mine": "x"}))
    for words in (("--image", image["id"]), (str(file),)):
        verdict, _ = manage(service, "metadefs", "validate", *words, code=1)
        assert verdict["valid"] is False
        assert sorted(verdict["checked"]) == ["hw_disk_bus", "os_type"]
        assert [{key: x[key] for key in wanted[0]} for x in verdict["violations"]] == wanted
    file.write_text(json.dumps({"hw_disk_bus": "virtio"}))
    assert manage(service, "metadefs", "validate", file)[0]["valid"] is True
    verdict, _ = manage(service, "metadefs", "validate", "--resource-type", "OS::Never", file)
    assert verdict["checked"] == []


def test_the_starter_set_is_in_our_own_words() -> None:
    peers = lab.venv("peer", "glance==33.0.0", "gunicorn==27.0.1", "PyMySQL==1.2.4") / "etc" / "glance" / "metadefs"
    ours, theirs = (_sentences(x) for x in (STARTER, peers))
    assert len(ours) > 60
    assert not ours & theirs


def _sentences(folder: Path) -> set[str]:
    """Of four words at least."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update(x.strip() for x in str(value.get("description", "")).split(".") if len(x.split()) > 3)
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    for file in folder.glob("*.json"):
        walk(json.loads(file.read_text()))
    return found
