"""Checking properties against the metadata definitions for a resource type.

Definitions count when their namespace is associated with the resource type and public, or owned by the project in
question; the association's prefix comes before their names. Only properties that somebody has defined are checked, each
by itself. When several namespaces define the same one, a value is right if one of them accepts it: drivers of different
hypervisors define the same names with different values."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from glancecore.domain.context import Viewer
from glancecore.domain.metadef import MetadefVisibility, Namespace, Property
from glancecore.domain.text import shortened
from glancecore.ports.metadef_repository import MetadefField, MetadefQuery, MetadefRepository, MetadefSort

#: Seconds that definitions are remembered; a change takes effect within it.
MEMORY = 5.0
_PAGE = 500
_RULES = (
    "type",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
)
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1", "t", "y"}), frozenset({"false", "no", "off", "0", "f", "n"})
_INTEGER = re.compile(r"[+-]?\d{1,18}")
#: What is told of one value at most, and characters of one sentence.
_MOST_TOLD, _LONGEST = 10, 500
#: Steps that one pattern may take with one value: definitions are users' own.
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000, size_limit=1 << 20)
_BY_NAME = (MetadefSort(MetadefField.NAMESPACE, descending=False),)


@dataclass(frozen=True, slots=True)
class Violation:
    """``rule`` is the keyword of the definition that the value breaks: type, enum, minimum …"""

    namespace: str
    property: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class PropertiesVerdict:
    """``checked`` names the properties that have a definition."""

    checked: Sequence[str]
    violations: Sequence[Violation]


class _Definition:
    """One property definition, ready to be asked."""

    def __init__(self, namespace: str, given: Property) -> None:
        self.namespace = namespace
        self.type = str(given.definition.get("type", "string"))
        operators = given.definition.get("operators")
        self.operators = [str(x) for x in operators] if isinstance(operators, list) else []
        enum = given.definition.get("enum")
        self.enum = enum if isinstance(enum, list) else None
        self._allowed = frozenset(map(str, self.enum or ()))
        self._validator = _validator({name: given.definition[name] for name in _RULES if name in given.definition})

    def violations(self, name: str, value: object) -> Iterator[Violation]:
        for each in self._values(value):
            typed = _typed(each, self.type)
            if self.enum is not None and self.type != "array" and not _among(each, typed, self._allowed):
                allowed = ", ".join(str(x) for x in self.enum)
                yield Violation(
                    self.namespace,
                    name,
                    "enum",
                    shortened(f"{shortened(repr(each))} is not one of {allowed}", _LONGEST),
                )
                continue
            for error in self._validator.iter_errors(typed):
                yield Violation(
                    self.namespace, name, error.kind.name, shortened(_explain(error, each, self.type), _LONGEST)
                )

    def _values(self, value: object) -> list[object]:
        """A value in front of which an operator of the definition stands is what follows it; ``<or>`` may part
        several."""
        if not isinstance(value, str) or not self.operators:
            return [value]
        found: list[list[str]] = []
        for word in value.split():
            if word in self.operators:
                found.append([])
            elif found:
                found[-1].append(word)
            else:
                return [value]
        return [" ".join(x) for x in found]


def _typed(value: object, wanted: str) -> Any:
    """The values of images are texts: what a text means to a definition of that type; itself when it means nothing."""
    if not isinstance(value, str) or wanted == "string":
        return value
    text = value.strip()
    if wanted == "boolean" and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if wanted == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if wanted == "number":
        try:
            number = float(text)
        except ValueError:
            return value
        return number if math.isfinite(number) else value
    if wanted in ("array", "object"):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return [x.strip() for x in text.split(",")] if wanted == "array" else value
    return value


def _among(value: object, typed: object, allowed: frozenset[str]) -> bool:
    return str(typed) in allowed or str(value) in allowed


def is_pattern(pattern: str) -> bool:
    """Whether it is a regular expression of JSON schema, of a size that can be searched by."""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_PATTERNS)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Of the rules that are good ones: definitions of a database that was taken over may have others, which nobody can
    follow."""
    try:
        return jsonschema_rs.Draft202012Validator(schema, pattern_options=_PATTERNS)
    except (jsonschema_rs.ValidationError, ValueError):
        good = {}
        for name, value in schema.items():
            try:
                jsonschema_rs.Draft202012Validator({name: value}, pattern_options=_PATTERNS)
            except (jsonschema_rs.ValidationError, ValueError):
                continue
            good[name] = value
        return jsonschema_rs.Draft202012Validator(good, pattern_options=_PATTERNS)


def _explain(error: jsonschema_rs.ValidationError, value: object, type_: str) -> str:
    limit, value = error.kind.value, shortened(str(value))
    match error.kind.name:
        case "type":
            return f"{value!r} is no {type_}"
        case "minimum":
            return f"{value} is less than {limit}"
        case "maximum":
            return f"{value} is more than {limit}"
        case "minLength":
            return f"{value!r} is shorter than {limit} characters"
        case "maxLength":
            return f"{value!r} is longer than {limit} characters"
        case "pattern":
            return f"{value!r} does not match {limit}"
    return str(error.message)


Definitions = Mapping[str, Sequence[_Definition]]


class MetadefValidation:
    """Thread-safe. Definitions are read once in ``MEMORY`` seconds for each resource type and project."""

    def __init__(self, repository: MetadefRepository, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str | None], tuple[float, Definitions]] = {}

    def check(self, project: str | None, resource_type: str, properties: Mapping[str, object]) -> PropertiesVerdict:
        """By the public definitions and those of ``project``. A null value is none and breaks no rule."""
        sets = [self._definitions(resource_type, None)]
        if project is not None:
            sets.append(self._definitions(resource_type, project))
        checked: list[str] = []
        violations: list[Violation] = []
        for name, value in properties.items():
            found = (
                [
                    list(islice(x.violations(name, value), _MOST_TOLD))
                    for definitions in sets
                    for x in definitions.get(name, ())
                ]
                if value is not None
                else []
            )
            if found:
                checked.append(name)
                if all(found):
                    violations += [x for each in found for x in each]
        return PropertiesVerdict(checked, violations)

    def _definitions(self, resource_type: str, project: str | None) -> Definitions:
        """Of a project's private namespaces; None: the public ones."""
        key, now = (resource_type, project), self._clock()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        query = MetadefQuery(
            Viewer(project),
            MetadefVisibility.PUBLIC if project is None else MetadefVisibility.PRIVATE,
            (resource_type,),
            _BY_NAME,
            limit=_PAGE,
        )
        found: dict[str, list[_Definition]] = {}
        for namespace in whole(self._repository, query):
            prefix = namespace.prefix_for(resource_type) or ""
            for each in (*namespace.properties, *(x for group in namespace.objects for x in group.properties)):
                found.setdefault(prefix + each.name, []).append(_Definition(namespace.name, each))
        with self._lock:
            if len(self._known) >= 1000:
                self._known.clear()
            self._known[key] = (now + MEMORY, found)
        return found


def whole(repository: MetadefRepository, query: MetadefQuery) -> Iterator[Namespace]:
    """All pages of a question."""
    while True:
        page = repository.find_whole(query)
        yield from page
        if len(page) < query.limit:
            return
        query = replace(query, marker=page[-1].name)
