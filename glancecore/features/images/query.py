"""The query string of a list of images."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from glancecore.domain import errors, text
from glancecore.domain.context import Context
from glancecore.domain.image import Visibility
from glancecore.domain.member import MemberStatus
from glancecore.http.arguments import signed_number, whole_number
from glancecore.ports.repository import ImageQuery, RangeFilter, Sort, SortField, TimeFilter, TimeOp

Args = Sequence[tuple[str, str]]
#: Filters that take ``in:`` and ``eq:``.
_TEXT = {
    "id": "id",
    "name": "name",
    "status": "status",
    "container_format": "container_format",
    "disk_format": "disk_format",
}
_EXACT = {"owner": "owner", "checksum": "checksum", "os_hash_algo": "hash_algo", "os_hash_value": "hash_value"}
_NUMBERS = ("size", "virtual_size", "min_ram", "min_disk")
_RANGES = {f"{base}_{end}": (base, end) for base in _NUMBERS for end in ("min", "max")}
_IGNORED = frozenset({"deleted", "limit", "marker", "sort", "sort_key", "sort_dir"})
#: Words before a colon that mean something, somewhere in this API; any other is a part of the value.
_OPERATORS = frozenset(TimeOp) | {"in"}
#: Each tag and each property of a question is one more table to be joined; databases take about 60.
MOST_FACETS = 16
#: Values of one ``in:``.
MOST_VALUES = 100


def parse(args: Args, ctx: Context, limit_default: int, limit_max: int) -> ImageQuery:
    """The question; with limit 0 when no image can match it. Raises Invalid naming the parameter."""
    one = dict(args)
    equal: dict[str, tuple[str | int | bool, ...]] = {}
    properties: dict[str, str] = {}
    times: list[TimeFilter] = []
    bounds: dict[str, dict[str, int]] = {}
    nothing = False
    for name, value in args:
        if name in _IGNORED or name in ("visibility", "member_status", "os_hidden", "protected", "tag"):
            continue
        if name == "changes-since":
            raise errors.Invalid("changes-since is not supported; use updated_at=gte:TIME")
        if name in _TEXT:
            equal[_TEXT[name]] = tuple(x.lower() if name == "id" else x for x in _choices(name, value))
        elif name in _EXACT:
            equal[_EXACT[name]] = (value,)
        elif name in _NUMBERS:
            number = signed_number(value)
            nothing = nothing or number is None
            equal[name] = (number or 0,)
        elif name in ("created_at", "updated_at"):
            times.append(_time(name, value))
        elif name in _RANGES:
            base, end = _RANGES[name]
            bounds.setdefault(base, {})[end] = _integer(name, value)
        elif name.endswith(("_min", "_max")):
            raise errors.Invalid(f"{name}: ranges are for {', '.join(_NUMBERS)}")
        else:
            properties[name] = value
    if "protected" in one:
        if one["protected"] not in ("true", "false"):
            raise errors.Invalid(f"protected: {one['protected']!r} is not one of true, false")
        equal["protected"] = (one["protected"] == "true",)
    tags = tuple(value for name, value in args if name == "tag")
    if len(tags) + len(properties) > MOST_FACETS:
        raise errors.Invalid(
            f"{len(tags) + len(properties)} tags and properties; a list can be asked for {MOST_FACETS} of them at once"
        )
    visibility, all_visible = None, False
    if "visibility" in one:
        nothing = nothing or not one["visibility"]
        visibility, all_visible = _visibility(one["visibility"])
    limit, marker = _limit(one.get("limit"), limit_default, limit_max), one.get("marker")
    return ImageQuery(
        viewer=ctx.viewer,
        visibility=visibility,
        all_visible=all_visible,
        member_status=_member_status(one),
        hidden=_hidden(one),
        equal=equal,
        times=tuple(times),
        ranges=tuple(RangeFilter(x, y.get("min"), y.get("max")) for x, y in bounds.items()),
        tags=tags,
        properties=properties,
        sort=sorting(args),
        marker=None if marker is None else marker.lower(),
        limit=0 if nothing else limit,
    )


def links(args: Args, marker: str | None) -> dict[str, str]:
    """``first`` and, behind a full page, ``next``; repeated parameters are kept."""
    rest = [(name, value) for name, value in args if name != "marker"]
    answer = {"first": "/v2/images" + (f"?{urlencode(rest)}" if rest else "")}
    if marker:
        answer["next"] = f"/v2/images?{urlencode([*rest, ('marker', marker)])}"
    return answer


def sorting(args: Args) -> tuple[Sort, ...]:
    """Keys and directions, made total with created_at and id. Raises Invalid."""
    combined = [value for name, value in args if name == "sort"]
    keys = [value for name, value in args if name == "sort_key"]
    dirs = [value for name, value in args if name == "sort_dir"]
    if combined and (keys or dirs):
        raise errors.Invalid("sort can't be combined with sort_key and sort_dir")
    if combined:
        pairs = []
        for part in combined[-1].split(","):
            key, _, direction = part.strip().partition(":")
            pairs.append((_key(key), _direction(direction or "desc")))
        single = len({down for _, down in pairs}) == 1 and ":" in combined[-1]
        default = pairs[0][1] if single else True
    else:
        if len(dirs) > 1 and len(dirs) != len(keys):
            raise errors.Invalid("sort_dir: give none, one, or as many as sort_key")
        downs = [_direction(x) for x in dirs]
        default = downs[0] if len(downs) == 1 else True
        if len(downs) != len(keys):
            downs = [default] * len(keys)
        pairs = list(zip([_key(x) for x in keys], downs, strict=True))
    for key in (SortField.CREATED_AT, SortField.ID):
        if key not in [x for x, _ in pairs]:
            pairs.append((key, default))
    return tuple(Sort(key, down) for key, down in pairs)


def _key(word: str) -> SortField:
    if word not in list(SortField):
        raise errors.Invalid(f"sort key {word!r} is not one of {', '.join(SortField)}")
    return SortField(word)


def _direction(word: str) -> bool:
    if word not in ("asc", "desc"):
        raise errors.Invalid(f"sort direction {word!r} is not one of asc, desc")
    return word == "desc"


def _limit(given: str | None, default: int, most: int) -> int:
    return min(default if given is None else whole_number("limit", given), most)


def _visibility(word: str) -> tuple[Visibility | None, bool]:
    if word == "all":
        return None, True
    if word and word not in list(Visibility):
        raise errors.Invalid(f"visibility: {word!r} is not one of {', '.join(Visibility)}, all")
    return (Visibility(word) if word else None), False


def _member_status(one: dict[str, str]) -> MemberStatus | None:
    word = one.get("member_status", "accepted")
    if word == "all":
        return None
    if word not in list(MemberStatus):
        raise errors.Invalid(f"member_status: {word!r} is not one of {', '.join(MemberStatus)}, all")
    return MemberStatus(word)


def _hidden(one: dict[str, str]) -> bool:
    word = one.get("os_hidden", "false").lower()
    if word not in ("true", "false"):
        raise errors.Invalid(f"os_hidden: {one['os_hidden']!r} is not one of true, false")
    return word == "true"


def _choices(name: str, value: str) -> list[str]:
    operator, colon, rest = value.partition(":")
    text.name(name, value)
    if not colon or operator not in _OPERATORS:
        return [value]
    if operator == "eq":
        return [rest.strip('"') if rest.startswith('"') and rest.endswith('"') and len(rest) > 1 else rest]
    if operator == "in":
        if rest.count('"') % 2:
            raise errors.Invalid(f"{name}: a quotation mark is not closed")
        found = next(csv.reader(io.StringIO(rest, newline=""), skipinitialspace=True, strict=False), [])
        if not found:
            raise errors.Invalid(f"{name}: in: needs values separated by commas")
        if len(found) > MOST_VALUES:
            raise errors.Invalid(f"{name}: in: has {len(found)} values; at most {MOST_VALUES}")
        return found
    raise errors.Invalid(
        f"{name}: operator {operator!r} is not one of eq, in; write eq:{value} when the value has a colon"
    )


def _integer(name: str, value: str) -> int:
    number = signed_number(value)
    if number is None:
        raise errors.Invalid(f"{name}: {text.shortened(value)!r} is not a whole number that fits 64 bits")
    return number


def _time(name: str, value: str) -> TimeFilter:
    operator, colon, rest = value.partition(":")
    if not colon or operator not in list(TimeOp):
        operator, rest = "eq", value
    try:
        at = datetime.fromisoformat(rest)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise errors.Invalid(
            f"{name}: {rest!r} is no ISO 8601 time; write [{'|'.join(TimeOp)}:]YYYY-MM-DDTHH:MM:SSZ"
        ) from exc
    return TimeFilter(SortField(name), TimeOp(operator), at)
