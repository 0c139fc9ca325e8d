"""Declared copies: which images must lie in how many stores, or in which."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from glancecore.domain.errors import ConfigError
from glancecore.domain.image import Image

_RULE = re.compile(r"\s*(?P<which>.+?)\s*->\s*(?P<where>.+?)\s*(?P<soft>\(best effort\))?\s*", re.IGNORECASE)
_COUNT = re.compile(r"(\d+) stores?", re.IGNORECASE)
#: Fields that a rule may ask for beside tags and properties.
_FIELDS = ("owner", "visibility", "disk_format", "container_format", "name")
_HOW = (
    "write it as tag=golden -> 2 stores, or property os_distro=debian and visibility=public -> fast,cheap (best effort)"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """``kind``: all, tag, property, or a field's name."""

    kind: str
    name: str = ""
    value: str = ""

    def holds(self, image: Image) -> bool:
        if self.kind == "all":
            return True
        if self.kind == "tag":
            return self.value in image.tags
        if self.kind == "property":
            return image.properties.get(self.name) == self.value
        found = getattr(image, self.kind)
        return found is not None and str(found) == self.value


@dataclass(frozen=True, slots=True)
class Rule:
    """Images for which all conditions hold have copies in ``stores``, and in at least ``count`` stores. ``enforced``:
    what can't be done is an error, else a remark."""

    text: str
    conditions: tuple[Condition, ...]
    stores: tuple[str, ...] = ()
    count: int = 0
    enforced: bool = True

    def holds(self, image: Image) -> bool:
        return all(x.holds(image) for x in self.conditions)

    def missing(self, having: Collection[str], candidates: Sequence[str]) -> list[str]:
        """Stores to copy to, ``candidates`` in the order of preference. May be fewer than wanted when there are no
        more."""
        found = [x for x in self.stores if x not in having]
        more = [x for x in candidates if x not in having and x not in found]
        return found + more[: max(0, self.count - len(set(having)) - len(found))]

    def met(self, having: Collection[str]) -> bool:
        return set(self.stores) <= set(having) and len(set(having)) >= self.count


def parse(text: str, stores: Collection[str], option: str) -> Rule:
    """Raises ConfigError naming ``option``."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise ConfigError(f"{option}: {text!r} is no rule; {_HOW}")
    conditions = tuple(_condition(x.strip(), text, option) for x in re.split(r"\s+and\s+", found["which"]))
    enforced = found["soft"] is None
    counted = _COUNT.fullmatch(found["where"])
    if counted:
        if not 1 <= int(counted[1]) <= len(stores):
            raise ConfigError(
                f"{option}: {text!r} wants {counted[1]} stores, there are {len(stores)}; write a number from 1 to"
                f" {len(stores)}"
            )
        return Rule(text.strip(), conditions, count=int(counted[1]), enforced=enforced)
    named = tuple(x.strip() for x in found["where"].split(","))
    unknown = [x for x in named if x not in stores]
    if unknown:
        raise ConfigError(f"{option}: {text!r}: no store {unknown[0]!r}; there are: {', '.join(stores)}")
    return Rule(text.strip(), conditions, stores=named, enforced=enforced)


def _condition(text: str, rule: str, option: str) -> Condition:
    if text == "all":
        return Condition("all")
    left, equals, value = text.partition("=")
    words = left.split()
    if equals and words == ["tag"]:
        return Condition("tag", value=value.strip())
    if equals and len(words) == 2 and words[0] == "property":
        return Condition("property", words[1], value.strip())
    if equals and len(words) == 1 and words[0] in _FIELDS:
        return Condition(words[0], value=value.strip())
    raise ConfigError(
        f"{option}: {rule!r}: {text!r} is none of all, tag=…, property NAME=…, {', '.join(f'{x}=…' for x in _FIELDS)};"
        f" {_HOW}"
    )
