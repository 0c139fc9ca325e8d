"""How a plugin declares its options and how it reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg, types

#: A plugin's options, in the order in which the sample file shows them.
Options = Sequence[cfg.Opt]
#: The plugin's own section of the operator's file: ``section.option_name``.
Section = cfg.ConfigOpts.GroupAttr

_QUOTED = r"""'[^']*'|"[^"]*\""""
_ITEM = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(?:,|$)")
_PAIR = re.compile(rf"\s*({_QUOTED}|[^,:'\"]*?)\s*:\s*({_QUOTED}|[^,]*?)\s*(?:,|$)")


def section(conf: cfg.ConfigOpts, name: str, options: Options | None) -> Section:
    """The operator's section with a plugin's options declared in it."""
    conf.register_group(cfg.OptGroup(name))
    conf.register_opts(list(options or ()), group=name)
    found: Section = conf[name]
    return found


class ListOpt(cfg.Opt):
    """A list, in each form that operators write: ``a, b``, ``[a, b]``, ``['a', "b"]``, ``'a', 'b'``. Empty, or ``[]``:
    no item.

    The one type of all list options: cfg.ListOpt takes either brackets or none, and keeps the quotes."""

    def __init__(self, name: str, item_type: types.ConfigType | None = None, **about: Any) -> None:
        super().__init__(name, type=_List(item_type), **about)


class DictOpt(cfg.Opt):
    """Names and their values, in each form that operators write: ``a:x, b:y``, ``{'a': 'x', "b": "y"}``."""

    def __init__(self, name: str, **about: Any) -> None:
        super().__init__(name, type=_Dict(), **about)


class _List(types.List):
    def __call__(self, value: Any) -> list[Any]:
        if isinstance(value, (list, tuple)):
            return [self.item_type(x) for x in value]
        text = _outside_quotes_restored(_within(value, "[", "]"))
        return [self.item_type(x) for x in _items(text)]


class _Dict(types.Dict):
    def __call__(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        text = _outside_quotes_restored(_within(value, "{", "}"))
        if any(x.strip()[:1] in ("'", '"') for x in _items(text, plain=False)) and not _pairs(text):
            text = ", ".join(_items(text))  # each pair in quotes
        found = _pairs(text)
        if found is None:
            raise ValueError("must be name:value, comma-separated")
        return found


def _within(value: str, left: str, right: str) -> str:
    text = value.strip()
    if (
        text.startswith(left) and text.endswith(right) and right not in text[1:-1]
    ):  # [::1]:80, [::2]:80 has no brackets around it
        return text[1:-1]
    if text.startswith(left) and right not in text:
        raise ValueError(f"begins with {left} but does not end with {right}")
    return text


def _outside_quotes_restored(text: str) -> str:
    """The parser of files takes quotes away that stand at both ends: ``'a', 'b'`` comes as ``a', 'b``."""
    items = [x.strip() for x in text.split(",")]
    for quote in ("'", '"'):
        if len(items) > 1 and items[0][-1:] == quote != items[0][:1] and items[-1][:1] == quote != items[-1][-1:]:
            return f"{quote}{text.strip()}{quote}"
    return text


def _items(text: str, *, plain: bool = True) -> list[str]:
    if not text.strip():
        return []
    found: list[str] = []
    at = 0
    while at <= len(text):
        match = _ITEM.match(text, at)
        if match is None or (match[1][:1] in ("'", '"') and match[1][:1] != match[1][-1:]) or match[1] in ("'", '"'):
            raise ValueError(
                f"item {len(found) + 1} begins with a quote that does not end before the comma"
            )  # without its text: it may be a secret
        found.append(_bare(match[1]) if plain else match[1])
        if match.end() == len(text) and not match[0].endswith(","):
            break
        at = match.end()
    return [x for x in found if x]


def _pairs(text: str) -> dict[str, str] | None:
    """None: these are no pairs. Raises ValueError for a name that stands twice: one of the two would be lost."""
    found: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        match = _PAIR.match(text, at)
        if match is None:
            return None
        name = _bare(match[1])
        if name in found:
            raise ValueError(f"{name} stands twice")
        found[name] = _bare(match[2])
        at = match.end()
    return found


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
