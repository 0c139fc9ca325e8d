"""Who may create, read, update and delete which custom properties, by the operator's file."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError
from glancecore.domain.image import Image
from glancecore.policies.authorizer import Authorizer

ACTIONS = ("create", "read", "update", "delete")


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    allowed: Mapping[str, frozenset[str]]


class PropertyProtection:
    """Without rules everything is allowed; with rules, what no rule matches is denied. The first match decides."""

    def __init__(self, rules: Iterable[_Rule] = (), authorizer: Authorizer | None = None) -> None:
        self._rules = list(rules)
        self._authorizer = authorizer

    @property
    def active(self) -> bool:
        return bool(self._rules)

    @classmethod
    def from_file(cls, path: str, rule_format: str, authorizer: Authorizer) -> PropertyProtection:
        """Raises ConfigError naming file, section and key."""
        option = f"property_protection_file = {path}"
        parser = configparser.RawConfigParser(dict_type=dict)
        try:
            parser.read_string(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            raise ConfigError(
                f"{option}: can't read it: {exc.strerror}; name a file that the service may read"
            ) from exc
        except configparser.Error as exc:
            raise ConfigError(f"{option}: {exc}; correct the file") from exc
        rules = []
        for section in parser.sections():
            try:
                pattern = re.compile(section)
            except re.error as exc:
                raise ConfigError(f"{option}: section [{section}] is no regular expression: {exc}; correct it") from exc
            allowed = {}
            for action in ACTIONS:
                if not parser.has_option(section, action):
                    raise ConfigError(f"{option}: section [{section}] lacks {action}; it needs {', '.join(ACTIONS)}")
                names = frozenset(
                    x.strip().lower() if rule_format == "roles" else x.strip()
                    for x in parser.get(section, action).split(",")
                    if x.strip()
                )
                if rule_format == "policies" and len(names) > 1:
                    raise ConfigError(f"{option}: section [{section}] {action}: name one policy, @ or !")
                if {"@", "!"} <= names:
                    raise ConfigError(
                        f"{option}: section [{section}] {action}: @ and ! contradict each other; remove one of them"
                    )
                allowed[action] = names
            rules.append(_Rule(pattern, allowed))
        return cls(rules, authorizer if rule_format == "policies" else None)

    def may(self, ctx: Context, name: str, action: str) -> bool:
        """Whether the caller may ``action`` (one of ACTIONS) the property ``name``."""
        if not self._rules:
            return True
        for rule in self._rules:
            if rule.pattern.search(name):
                names = rule.allowed[action]
                if "@" in names:
                    return True
                if "!" in names:
                    return False
                if self._authorizer is not None:
                    return any(self._authorizer.allows(ctx, policy) for policy in names)
                return not names.isdisjoint(ctx.roles)
        return False

    def readable(self, ctx: Context, image: Image) -> Mapping[str, str | None]:
        """The image's properties that the caller may see."""
        if not self._rules:
            return image.properties
        return {name: value for name, value in image.properties.items() if self.may(ctx, name, "read")}
