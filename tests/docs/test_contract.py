"""docs/contract.md is true: its routes, statuses, fields, transitions, defaults and rules are those of the code, all of
them, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from blocks import REPO

from glancecore.assembly.core import list_rules
from glancecore.conf import opts
from glancecore.domain import fields
from glancecore.domain.image import NEXT, Status, Visibility
from glancecore.domain.member import MemberStatus
from glancecore.domain.task import TaskStatus, TaskType
from glancecore.features.images import location_schemas as locations
from glancecore.features.images import schemas as images
from glancecore.features.members import schemas as members
from glancecore.features.metadefs import schemas as metadefs
from glancecore.features.tasks import schemas as tasks
from glancecore.http.errors import STATUS
from glancecore.kernel.transfer import signatures
from glancecore.ports.repository import SortField, TimeOp

CONTRACT = (REPO / "docs/contract.md").read_text(encoding="utf-8")
API = json.loads((REPO / "docs/openapi.json").read_text(encoding="utf-8"))["paths"]
OPTIONS = {x.name: x for group, found in opts.list_opts() if group == "DEFAULT" for x in found}
#: A route as the page names it, perhaps with what it answers when all goes well.
ROUTE = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?]*)`(?: → ((?:\d{3}, )*\d{3}))?")
#: Found by the server, not by the application.
OF_THE_SERVER = {404, 405, 411, 413, 415, 431, 501}


def section(number: str) -> str:
    """The text of a section, with what is below it."""
    depth = "#" * (2 + number.count("."))
    found = re.search(
        rf"^{depth} {re.escape(number)}\.? .*?(?=^#{{2,{len(depth)}}} |\Z)", CONTRACT, re.MULTILINE | re.DOTALL
    )
    assert found, f"section {number}"
    return found[0]


def rows(text: str, *head: str) -> list[list[str]]:
    """The cells of the one table that begins with these columns."""
    found: list[list[list[str]]] = []
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        cells = [[x.strip() for x in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
        if cells[0][: len(head)] == list(head):
            found.append(cells[2:])
    assert len(found) == 1, f"{len(found)} tables begin with {head}"
    return found[0]


def words(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def listed(text: str, after: str) -> list[str]:
    """The words of a list: ``after`` is what stands before it; it ends with a bracket, a semicolon or a full stop."""
    found = re.search(re.escape(after) + r"([^);.]*)", text)
    assert found, after
    return [x.strip(" `") for x in found[1].split(",")]


# -- routes and statuses ---------------------------------------------------------------------------
def test_every_route_is_there_and_no_other() -> None:
    said = {(method, path) for method, path, _ in ROUTE.findall(CONTRACT)} - {("GET", "/openapi.json")}
    assert said == {(method.upper(), path) for path, methods in API.items() for method in methods}


def test_every_route_says_what_it_answers() -> None:
    said = {(method, path): set(codes.split(", ")) for method, path, codes in ROUTE.findall(CONTRACT) if codes}
    known = {
        (method.upper(), path): set(x["responses"]) - {"default"}
        for path, methods in API.items()
        for method, x in methods.items()
    }
    assert said == known


def test_every_path_is_one() -> None:
    paths = {
        x.partition("?")[0] for x in words(CONTRACT) if re.match(r"/(v2/|versions|healthcheck|metrics|openapi)", x)
    }
    assert paths <= {*API, "/openapi.json"}


def test_statuses_are_answered_by_something() -> None:
    tables = [line for line in CONTRACT.splitlines() if line.startswith("| ") and re.search(r"\| \d{3} \|$", line)]
    said = {int(line.rsplit("|", 2)[1]) for line in tables}
    assert len(tables) > 60
    assert said <= {*STATUS.values(), *OF_THE_SERVER}
    assert 500 not in said


def test_errors_have_these_names() -> None:
    [row] = [line for line in CONTRACT.splitlines() if line.startswith("| application/json")]
    names = re.findall(r'"(\w+)": ', row)
    schema = API["/v2/images"]["get"]["responses"]["default"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Error"}
    assert names == json.loads((REPO / "docs/openapi.json").read_text())["components"]["schemas"]["Error"]["required"]


def test_parameters_of_lists_are_there() -> None:
    known = {x["name"] for x in API["/v2/images"]["get"]["parameters"]} - {
        "limit",
        "marker",
        "sort",
        "sort_key",
        "sort_dir",
    }
    assert known <= set(words(section("5.2")))
    [sorting] = re.findall(r"^Sorting, by (.*):$", CONTRACT, re.MULTILINE)
    assert words(sorting) == [x.value for x in SortField]
    [row] = [x for x in rows(section("5.2"), "parameter", "takes") if x[0] == "`created_at`, `updated_at`"]
    assert {x.strip() for x in row[1].split("op ")[1].split(",")} == {x.value for x in TimeOp}


# -- images ----------------------------------------------------------------------------------------
def test_every_field_of_an_image_is_there() -> None:
    table = rows(section("3.1"), "field", "type")
    known = images.fields(images.Formats(disk=["raw"], container=["bare"]))
    assert {x for row in table for x in words(row[0])} == set(known)
    read_only = {x for row in table if row[3].startswith("RO") for x in words(row[0])}
    assert read_only == set(fields.READ_ONLY)
    assert set(words(section("3.2"))[:5]) == {*fields.RESERVED - {"id", "locations"}, fields.RESERVED_PREFIX}
    assert f"any other name ≤ {fields.MAX_NAME}" in [row[0] for row in table]


def test_transitions() -> None:
    table = {row[0]: row[1] for row in rows(section("14.1"), "from", "to")}
    for status, following in NEXT.items():
        said = table.pop(status.value)
        if status is Status.DELETING:
            assert said.startswith("deleted, ")
        else:
            assert set(said.split(", ")) - {""} == {x.value for x in following}
    assert table == {}


def test_visibilities() -> None:
    assert {row[0] for row in rows(section("14.2"), "", "by id")} == {x.value for x in Visibility}
    [row] = [x for x in rows(section("5.2"), "parameter", "takes") if x[0] == "`visibility`"]
    assert set(row[1].split(", ")) == {*(x.value for x in Visibility), "all"}
    [row] = [x for x in rows(section("5.2"), "parameter", "takes") if x[0] == "`member_status`"]
    assert set(row[1].split(";")[0].split(", ")) == {*(x.value for x in MemberStatus), "all"}


def test_parts_of_images() -> None:
    assert set(re.findall(r'"(\w+)"', section("10.3").splitlines()[2])) == set(
        members.documents()["member"]["properties"]
    )
    assert ", ".join(locations.ALGORITHMS[:-1]) + f" or {locations.ALGORITHMS[-1]}" in section("10.4")
    assert f"at most {fields.MAX_LOCATION_METADATA} texts of {fields.MAX_LOCATION_TEXT:,} characters" in section("14.5")
    assert [*signatures.HASHES, *signatures.KEY_TYPES] == [
        x.split(" where")[0]
        for x in listed(section("14.8").replace("\n", " "), "Hashes ")
        + listed(section("14.8").replace("\n", " "), "keys ")
    ]
    assert f"More than {images.MOST_OPERATIONS:,} operations" in section("6")


def test_tasks() -> None:
    text = section("12").replace("\n", " ")
    assert set(listed(text, "`type` (")) == {x.value for x in TaskType}
    assert listed(text, "`status` (") == [x.value for x in TaskStatus]
    own = set(tasks.OF_IMAGE["properties"]["tasks"]["items"]["properties"])
    said = set(
        re.findall(r"\{([^}…]*)", section("10.6").split("\n\n")[1].split('"tasks": [')[1])[0]
        .replace(" ", "")
        .strip(",")
        .split(",")
    )
    assert said | set(words(section("10.6").split("**≠**")[1])[:4]) == own


# -- metadata definitions --------------------------------------------------------------------------
@pytest.mark.parametrize(("number", "schema"), [("13.2", metadefs.NAMESPACE), ("13.5", metadefs.OBJECT)])
def test_definitions(number: str, schema: images.Schema) -> None:
    first = section(number).split("\n\n")[1].split("`GET")[0]
    assert set(schema["properties"]) <= set(words(first))


def test_property_definitions() -> None:
    first = section("13.4").split("\n\n")[1].split("**≠**")[0]
    assert set(words(first)) == set(metadefs.PROPERTY_BODY["properties"])


# -- what operators set ----------------------------------------------------------------------------
def test_defaults() -> None:
    table = rows(section("14.3"), "option", "default")
    assert len(table) > 10
    assert {row[0].strip("`"): row[1] for row in table} == {
        row[0].strip("`"): str(OPTIONS[row[0].strip("`")].default) for row in table
    }
    quotas = {x for x in OPTIONS if x.endswith("_quota")}
    assert quotas <= {row[0].strip("`") for row in table}
    assert f"`hashing_algorithm` ({OPTIONS['hashing_algorithm'].default})" in CONTRACT


def test_the_default_policy() -> None:
    said: dict[str, str] = {}
    for row in rows(section("15"), "who, beside an admin", "check", "rules"):
        for name in words(row[2]):
            assert name not in said, name
            said[name] = row[1].strip("`")
    assert said == {x.name: x.check_str for x in list_rules()}


def test_rules_that_the_page_names_exist() -> None:
    named = set(re.findall(r"(?:no right to|without|the rule|needs) `([a-z_]+)`", CONTRACT)) - set(OPTIONS)
    assert len(named) > 10
    assert named <= {x.name for x in list_rules()}


def differences() -> Iterator[str]:
    for line in CONTRACT.splitlines():
        if "≠" in line:
            yield line


def test_differences_are_marked() -> None:
    """A mark is a mark: a difference that is told in other words would not be found."""
    assert len(list(differences())) > 50
    assert [x for x in differences() if "**≠**" not in x] == []
