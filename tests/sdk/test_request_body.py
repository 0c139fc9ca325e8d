"""What is said of bodies that are not as their schema wants them."""

from __future__ import annotations

from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.sdk.request_body import Checker

CLOSED: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}, "description": {"type": "string"}}, "additionalProperties": False}


@pytest.mark.parametrize(("schema", "value", "said"), [
    (CLOSED, {"default": 1}, "body: no such field: default; it has description, name"),
    ({"type": "array", "items": CLOSED}, [{"name": "x", "a": 1}], "0: no such field: a; it has description, name"),
    ({"properties": {"one": {"$ref": "#/$defs/closed"}}, "$defs": {"closed": CLOSED}}, {"one": {"default": 1}}, "one: no such field: default; it has description, name"),
    ({**CLOSED, "properties": {f"field_{x:02}": {} for x in range(40)}}, {"default": 1}, "body: no such field: default"),
])
def test_who_sends_a_field_that_is_none_is_told_those_that_are(schema: dict[str, Any], value: Any, said: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        Checker(schema).check(value)
    assert str(refused.value) == said
