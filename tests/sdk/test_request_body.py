"""What is said of bodies that are not as their schema wants them."""

from __future__ import annotations

from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.sdk.request_body import Checker

CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "description": {"type": "string"}},
    "additionalProperties": False,
}


ONE: dict[str, Any] = {"type": "object", "properties": {"a": {}}}


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "object", "additionalProperties": False}, {"a": 1}, "body: it takes no fields"),
        (False, 1, "a: nothing may stand here"),
        ({"minimum": 1}, 0, "a: 0 is less than 1"),
        ({"maximum": 1}, 2, "a: 2 is more than 1"),
        ({"exclusiveMinimum": 1}, 1, "a: 1 is not more than 1"),
        ({"exclusiveMaximum": 1}, 1, "a: 1 is not less than 1"),
        ({"multipleOf": 2}, 3, "a: 3 is no multiple of 2"),
        ({"const": "x"}, "y", "a: 'y' is not x"),
        ({"minLength": 1}, "", "a: shorter than 1 character"),
        ({"maxLength": 2}, "abc", "a: longer than 2 characters"),
        ({"minItems": 2}, [1], "a: fewer than 2 elements"),
        ({"maxItems": 1}, [1, 2], "a: more than 1 element"),
        ({"minProperties": 1}, {}, "a: fewer than 1 field"),
        ({"maxProperties": 1}, {"b": 1, "c": 2}, "a: more than 1 name"),
        ({"uniqueItems": True}, [1, 1], "a: an element is there twice"),
        ({"propertyNames": {"maxLength": 1}}, {"bc": 1}, "a: the name of a field: longer than 1 character"),
        ({"not": {"type": "string"}}, "x", "a: 'x' is not allowed"),
        ({"contains": {"type": "string"}}, [1], "a: none of the elements is one that must be there"),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            1,
            "a: it may be several things, and is none: 1 is not of type string; 1 is not of type null",
        ),
        (
            {"oneOf": [{"type": "string"}, {"minLength": 1}]},
            "x",
            "a: it is several of the things of which it may be one",
        ),
        ({"unevaluatedProperties": False}, {"b": 1}, "a: no such field: b"),
        ({"prefixItems": [{}], "items": False}, [1, 2], "a.1: nothing may stand here"),
    ],
)
def test_what_is_wrong_is_told_in_words_of_our_own(schema: Any, value: Any, said: str) -> None:
    """Not in those of the library that judges."""
    whole = said.startswith("body:")
    with pytest.raises(errors.Invalid) as refused:
        Checker(schema if whole else {**ONE, "properties": {"a": schema}}).check(value if whole else {"a": value})
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (CLOSED, {"default": 1}, "body: no such field: default; it has description, name"),
        ({"type": "array", "items": CLOSED}, [{"name": "x", "a": 1}], "0: no such field: a; it has description, name"),
        (
            {"properties": {"one": {"$ref": "#/$defs/closed"}}, "$defs": {"closed": CLOSED}},
            {"one": {"default": 1}},
            "one: no such field: default; it has description, name",
        ),
        (
            {**CLOSED, "properties": {f"field_{x:02}": {} for x in range(40)}},
            {"default": 1},
            "body: no such field: default",
        ),
    ],
)
def test_who_sends_a_field_that_is_none_is_told_those_that_are(schema: dict[str, Any], value: Any, said: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        Checker(schema).check(value)
    assert str(refused.value) == said
