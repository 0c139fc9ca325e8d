"""The query strings of lists of metadata definitions; parameters that are not known are ignored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.metadef import MetadefObject, MetadefVisibility, Tag
from glancecore.features.images.query import MOST_VALUES
from glancecore.http.arguments import whole_number
from glancecore.ports.metadef_repository import MetadefField, MetadefQuery, MetadefSort

Args = Sequence[tuple[str, str]]
P = TypeVar("P", Tag, MetadefObject)
#: What tags can be sorted by.
_TAG_KEYS = ("name", "created_at", "updated_at")


def namespaces(args: Args, ctx: Context, limit_default: int, limit_max: int) -> MetadefQuery:
    """Raises Invalid naming the parameter."""
    one = dict(args)
    visibility = one.get("visibility")
    if visibility is not None and visibility not in list(MetadefVisibility):
        raise errors.Invalid(f"visibility: {visibility!r} is not one of {', '.join(MetadefVisibility)}")
    types = tuple(x.strip() for x in one.get("resource_types", "").split(",") if x.strip())
    if len(types) > MOST_VALUES:
        raise errors.Invalid(f"resource_types: {len(types)} names; at most {MOST_VALUES}")
    key, descending = _sort(one, tuple(MetadefField))
    limit = _limit(one)
    return MetadefQuery(
        ctx.viewer,
        MetadefVisibility(visibility) if visibility else None,
        types,
        (MetadefSort(MetadefField(key), descending), MetadefSort(MetadefField.NAMESPACE, descending)),
        one.get("marker"),
        min(limit_default if limit is None else limit, limit_max),
    )


def tags(args: Args, found: Sequence[Tag]) -> tuple[list[Tag], str | None]:
    """One page of them, the newest first unless asked otherwise, and the marker of the next one. Raises Invalid,
    MetadefNotFound."""
    one = dict(args)
    name, descending = _sort(one, _TAG_KEYS)
    keys: dict[str, Callable[[Tag], object]] = {
        "name": lambda x: x.name,
        "created_at": lambda x: (x.created_at, x.name),
        "updated_at": lambda x: (x.updated_at, x.name),
    }
    ordered = sorted(found, key=keys[name], reverse=descending)  # type: ignore[arg-type]  # each key compares with its like
    return _page(one, ordered, "tag")


def objects(args: Args, found: Sequence[MetadefObject]) -> tuple[list[MetadefObject], str | None]:
    """One page of them in the order they have, and the marker of the next one. Raises Invalid, MetadefNotFound."""
    return _page(dict(args), list(found), "object")


def links(path: str, args: Args, marker: str | None) -> dict[str, str]:
    """``first`` and, behind a full page, ``next``."""
    rest = [(name, value) for name, value in args if name != "marker"]
    answer = {"first": path + (f"?{urlencode(rest)}" if rest else "")}
    if marker is not None:
        answer["next"] = f"{path}?{urlencode([*rest, ('marker', marker)])}"
    return answer


def _page(one: dict[str, str], ordered: list[P], what: str) -> tuple[list[P], str | None]:
    """All of them without ``limit``: clients don't ask for a second page."""
    limit, marker = _limit(one), one.get("marker")
    start = 0
    if marker is not None:
        start = next((n for n, x in enumerate(ordered, 1) if x.name == marker), 0)
        if not start:
            raise errors.MetadefNotFound(f"marker: there is no {what} {marker}")
    page = ordered[start : None if limit is None else start + limit]
    more = limit is not None and 0 < limit < len(ordered) - start
    return page, page[-1].name if more else None


def _limit(one: dict[str, str]) -> int | None:
    text = one.get("limit")
    return None if text is None else whole_number("limit", text)


def _sort(one: dict[str, str], keys: Sequence[str]) -> tuple[str, bool]:
    key, direction = one.get("sort_key", "created_at"), one.get("sort_dir", "desc")
    if key not in keys:
        raise errors.Invalid(f"sort_key: {key!r} is not one of {', '.join(keys)}")
    if direction not in ("asc", "desc"):
        raise errors.Invalid(f"sort_dir: {direction!r} is not one of asc, desc")
    return key, direction == "desc"
