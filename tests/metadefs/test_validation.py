"""Properties held against definitions: every rule, whose definitions count, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from glancecore.domain.context import Viewer
from glancecore.domain.metadef import Association, MetadefVisibility, Namespace, Property
from glancecore.features.metadefs.validation import MEMORY, MetadefValidation
from glancecore.ports.metadef_repository import MetadefQuery, NamespaceAdded, NamespaceChanged
from glancecore.testing.examples import make_association, make_namespace, make_object, saved_namespace
from glancecore.testing.memory_metadefs import MemoryMetadefs

IMAGE = "OS::Glance::Image"


class Counting(MemoryMetadefs):
    asked = 0

    def find_whole(self, query: MetadefQuery) -> list[Namespace]:
        self.asked += 1
        return super().find_whole(query)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def prop(name: str, kind: str = "string", **rules: Any) -> Property:
    return Property(name, {"title": name, "type": kind, **rules})


def public(*properties: Property, name: str = "public", **fields: Any) -> Namespace:
    given: dict[str, Any] = {
        "visibility": MetadefVisibility.PUBLIC,
        "associations": (make_association(IMAGE),),
        **fields,
    }
    return make_namespace(name, properties=properties, **given)


def broken(value: object, kind: str = "string", **rules: Any) -> list[str]:
    """Rules that the value breaks."""
    repository = MemoryMetadefs()
    repository.commit(NamespaceAdded(public(prop("p", kind, **rules))))
    verdict = MetadefValidation(repository).check("mine", IMAGE, {"p": value})
    assert verdict.checked == (["p"] if value is not None else [])
    assert all((x.namespace, x.property) == ("public", "p") and x.message for x in verdict.violations)
    return [x.rule for x in verdict.violations]


@pytest.mark.parametrize(
    ("value", "kind", "rules", "expected"),
    [
        ("any", "string", {}, []),
        (5, "string", {}, ["type"]),
        (None, "string", {"enum": ["a"]}, []),
        ("a", "string", {"enum": ["a", "b"]}, []),
        ("A", "string", {"enum": ["a", "b"]}, ["enum"]),
        ("", "string", {"enum": ["a"]}, ["enum"]),
        ("ab", "string", {"minLength": 3}, ["minLength"]),
        ("abcd", "string", {"maxLength": 3}, ["maxLength"]),
        ("abc", "string", {"minLength": 3, "maxLength": 3, "pattern": "^a"}, []),
        ("xbc", "string", {"pattern": "^a"}, ["pattern"]),
        ("5", "integer", {}, []),
        (5, "integer", {}, []),
        ("+5", "integer", {}, []),
        ("5.5", "integer", {}, ["type"]),
        ("five", "integer", {}, ["type"]),
        (True, "integer", {}, ["type"]),
        ("", "integer", {}, ["type"]),
        ("0", "integer", {"minimum": 1}, ["minimum"]),
        ("9", "integer", {"maximum": 8}, ["maximum"]),
        ("8", "integer", {"minimum": 8, "maximum": 8}, []),
        ("3", "integer", {"enum": [1, 2]}, ["enum"]),
        ("2", "integer", {"enum": [1, 2]}, []),
        ("2", "integer", {"enum": ["1", "2"]}, []),
        ("1.5", "number", {"minimum": 1.5}, []),
        ("1.4", "number", {"minimum": 1.5}, ["minimum"]),
        ("nan", "number", {}, ["type"]),
        ("true", "boolean", {}, []),
        ("No", "boolean", {}, []),
        (False, "boolean", {}, []),
        ("perhaps", "boolean", {}, ["type"]),
        ("a,b", "array", {"items": {"enum": ["a", "b"]}}, []),
        ("a,c", "array", {"items": {"enum": ["a", "b"]}}, ["enum"]),
        ('["a","a"]', "array", {"uniqueItems": True}, ["uniqueItems"]),
        (["a"], "array", {"minItems": 2}, ["minItems"]),
        ("a,b,c", "array", {"maxItems": 2}, ["maxItems"]),
        ('{"a": 1}', "object", {}, []),
        ("{", "object", {}, ["type"]),
        ("<or> 5 <or> 9", "integer", {"operators": ["<or>"], "maximum": 8}, ["maximum"]),
        ("<or> 5 <or> 8", "integer", {"operators": ["<or>"], "maximum": 8}, []),
        ("7", "integer", {"operators": ["<or>"], "maximum": 8}, []),
        ("<in> 7", "integer", {"operators": ["<or>"]}, ["type"]),
    ],
)
def test_rules(value: object, kind: str, rules: dict[str, Any], expected: list[str]) -> None:
    assert broken(value, kind, **rules) == expected


def test_only_defined_properties_are_checked() -> None:
    repository = MemoryMetadefs()
    repository.commit(NamespaceAdded(public(prop("known", "integer"))))
    verdict = MetadefValidation(repository).check(None, IMAGE, {"known": "1", "unknown": "x", "Known": "y"})
    assert (verdict.checked, verdict.violations) == (["known"], [])


def test_properties_of_objects_count_and_prefixes_are_applied() -> None:
    repository = MemoryMetadefs()
    repository.commit(
        NamespaceAdded(
            make_namespace(
                "n",
                visibility=MetadefVisibility.PUBLIC,
                objects=(make_object("o", prop("cores", "integer")),),
                properties=(prop("bus", enum=["a"]),),
                associations=(make_association(IMAGE, "hw_"), make_association("Flavor", "hw:")),
            )
        )
    )
    validation = MetadefValidation(repository)
    assert [
        x.property for x in validation.check(None, IMAGE, {"hw_cores": "x", "hw_bus": "x", "cores": "x"}).violations
    ] == ["hw_cores", "hw_bus"]
    assert [x.property for x in validation.check(None, "Flavor", {"hw:cores": "x", "hw_cores": "x"}).violations] == [
        "hw:cores"
    ]
    assert validation.check(None, "Volume", {"hw_cores": "x", "cores": "x"}).checked == []


def test_private_definitions_bind_their_project_only() -> None:
    repository = MemoryMetadefs()
    repository.commit(
        NamespaceAdded(
            make_namespace(
                "n", properties=(prop("p", "integer"),), owner="ours", associations=(make_association(IMAGE),)
            )
        )
    )
    validation = MetadefValidation(repository)
    assert [len(validation.check(x, IMAGE, {"p": "x"}).violations) for x in ("ours", "theirs", None)] == [1, 0, 0]


def test_one_of_several_definitions_must_accept() -> None:
    repository = MemoryMetadefs()
    repository.commit(
        NamespaceAdded(public(prop("bus", enum=["virtio"]), name="kvm")),
        NamespaceAdded(public(prop("bus", enum=["lsiLogic"]), name="vmware")),
    )
    validation = MetadefValidation(repository)
    for value, namespaces in (("virtio", []), ("lsiLogic", []), ("floppy", ["kvm", "vmware"])):
        assert [x.namespace for x in validation.check(None, IMAGE, {"bus": value}).violations] == namespaces


def test_definitions_are_remembered_for_a_while() -> None:
    repository, clock = Counting(), Clock()
    first = public(prop("p", "integer"))
    repository.commit(NamespaceAdded(first))
    validation = MetadefValidation(repository, clock)
    for _ in range(10):
        assert validation.check("mine", IMAGE, {"p": "x"}).violations
    assert repository.asked == 2, "once for the public ones, once for the project's"
    repository.commit(NamespaceChanged(first, saved_namespace(first, properties=())))
    assert validation.check("mine", IMAGE, {"p": "x"}).violations
    clock.now += MEMORY
    assert not validation.check("mine", IMAGE, {"p": "x"}).violations


def test_all_pages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glancecore.features.metadefs.validation._PAGE", 2)
    repository = MemoryMetadefs()
    for n in range(5):
        repository.commit(NamespaceAdded(public(prop(f"p{n}", "integer"), name=f"n{n}")))
    verdict = MetadefValidation(repository).check("x", IMAGE, {f"p{n}": "x" for n in range(5)})
    assert [x.namespace for x in verdict.violations] == [f"n{n}" for n in range(5)]


def test_viewers_are_exact() -> None:
    """An association counts by its exact name, and an admin's project like any other."""
    repository = MemoryMetadefs()
    other = Association("os::glance::image", *[make_namespace().created_at] * 2)
    repository.commit(NamespaceAdded(public(prop("p", "integer"), associations=(other,))))
    assert MetadefValidation(repository).check(Viewer("admins", admin=True).project, IMAGE, {"p": "x"}).checked == []
