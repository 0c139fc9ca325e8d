"""Conditions of a list as SQL: filters, and what is behind an image in an order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from glancecore.domain.image import Image
from glancecore.ports.metadef_repository import MetadefSort
from glancecore.ports.repository import ImageQuery, RangeFilter, Sort, SortField, TimeFilter, TimeOp
from glancecore_db_sql.rows import micros

_SECOND = 1_000_000
#: What fits a BIGINT: a bound beyond it is no bound, and no image has such a value.
_BIGINT = 2**63 - 1
#: Columns that can be null, of those to sort by.
NULLABLE = frozenset({SortField.NAME, SortField.CONTAINER_FORMAT, SortField.DISK_FORMAT, SortField.SIZE})
#: Hardly two images have the same: the few ties need no range of their own.
_SELDOM_EQUAL = frozenset({SortField.CREATED_AT, SortField.UPDATED_AT, SortField.ID})
_EQUAL = frozenset(
    {
        "id",
        "name",
        "status",
        "container_format",
        "disk_format",
        "owner",
        "checksum",
        "hash_algo",
        "hash_value",
        "size",
        "virtual_size",
        "min_ram",
        "min_disk",
        "protected",
    }
)
_RANGES = frozenset({"size", "min_ram", "min_disk", "virtual_size"})

Value = str | int
#: The text of a condition that no image fits.
NOTHING = "1 = 0"
#: Where a column is found.
Place = Callable[[str], str]


@dataclass(slots=True)
class Where:
    """Conditions joined by AND, with their values in the order of the text."""

    texts: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def add(self, text: str, *values: Value) -> None:
        self.texts.append(text)
        self.values.extend(values)

    def among(self, column: str, values: Sequence[Value]) -> None:
        if len(values) == 1:
            self.add(f"{column} = ?", *values)
        else:
            self.add(f"{column} IN ({', '.join('?' * len(values))})", *values)

    def __str__(self) -> str:
        return " AND ".join(self.texts)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one column. ``spans``: what fits is one range of its values."""

    column: str
    text: str
    values: tuple[Value, ...]
    spans: bool = False

    def put(self, place: str, where: Where) -> None:
        where.add(self.text.format(place), *self.values)


def filters(query: ImageQuery) -> list[Filter]:
    """All conditions that are not facets. Raises ValueError for a field that is none to filter by."""
    return [*_equal(query), *(_time(x) for x in query.times), *(y for x in query.ranges for y in _bounds(x))]


def _equal(query: ImageQuery) -> Iterator[Filter]:
    for name, allowed in query.equal.items():
        if name not in _EQUAL:
            raise ValueError(f"{name} is no field to filter by")
        if name in ("checksum", "hash_value") and len(allowed) == 1:
            continue  # a facet
        values = tuple(x for x in map(_plain, allowed) if isinstance(x, str) or abs(x) <= _BIGINT)
        if len(values) == 1:
            yield Filter(name, "{} = ?", values, spans=True)
        else:
            yield Filter(name, f"{{}} IN ({', '.join('?' * len(values))})" if values else NOTHING, values)


def _bounds(bounds: RangeFilter) -> Iterator[Filter]:
    if bounds.field not in _RANGES:
        raise ValueError(f"{bounds.field} is no field with a range")
    yield Filter(bounds.field, "{} IS NOT NULL", ())
    if bounds.minimum is not None and bounds.minimum > -_BIGINT:
        yield (
            Filter(bounds.field, "{} >= ?", (bounds.minimum,))
            if bounds.minimum <= _BIGINT
            else Filter(bounds.field, NOTHING, ())
        )
    if bounds.maximum is not None and bounds.maximum < _BIGINT:
        yield (
            Filter(bounds.field, "{} <= ?", (bounds.maximum,))
            if bounds.maximum >= -_BIGINT
            else Filter(bounds.field, NOTHING, ())
        )


def _plain(value: str | int) -> Value:
    """Without enum or bool: drivers treat these in their own ways."""
    return str(value) if isinstance(value, str) else int(value)


def _time(wanted: TimeFilter) -> Filter:
    start = micros(wanted.value.replace(microsecond=0))
    end = start + _SECOND
    text, values = {
        TimeOp.GT: ("{} >= ?", (end,)),
        TimeOp.GTE: ("{} >= ?", (start,)),
        TimeOp.LT: ("{} < ?", (start,)),
        TimeOp.LTE: ("{} < ?", (end,)),
        TimeOp.EQ: ("{0} >= ? AND {0} < ?", (start, end)),
        TimeOp.NEQ: ("({0} < ? OR {0} >= ?)", (start, end)),
    }[wanted.op]
    return Filter(wanted.field.value, text, values, spans=wanted.op is not TimeOp.NEQ)


# -- order and paging ------------------------------------------------------------------------------
SortKey = TypeVar("SortKey", Sort, MetadefSort)
LAST = Sort(SortField.ID)


def total(sort: Sequence[SortKey], last: SortKey) -> list[SortKey]:
    """Ends with the field of ``last``, which no two have alike; what follows it decides nothing."""
    kept: list[SortKey] = []
    for key in sort:
        if all(x.field is not key.field for x in kept):
            kept.append(key)
        if key.field is last.field:
            return kept
    kept.append(replace(last, descending=kept[-1].descending) if kept else last)
    return kept


def key_of(image: Image, name: SortField) -> Value | None:
    match name:
        case SortField.CREATED_AT:
            return micros(image.created_at)
        case SortField.UPDATED_AT:
            return micros(image.updated_at)
        case SortField.STATUS:
            return image.status.value
        case SortField.SIZE:
            return image.size
        case SortField.ID:
            return image.id
        case SortField.NAME:
            return image.name
        case SortField.CONTAINER_FORMAT:
            return image.container_format
        case SortField.DISK_FORMAT:
            return image.disk_format


@dataclass(frozen=True, slots=True)
class Key:
    """A sort key of an image."""

    column: str
    value: Value | None
    descending: bool
    nullable: bool

    def same(self, where: Where) -> None:
        if self.value is None:
            where.add(f"{self.column} IS NULL")
        else:
            where.add(f"{self.column} = ?", self.value)

    def beyond(self, where: Where) -> None:
        """Behind the marker by this key alone. Null comes first, so last when descending."""
        if self.value is None:
            where.add(NOTHING if self.descending else f"{self.column} IS NOT NULL")
        elif self.descending and self.nullable:
            where.add(f"({self.column} < ? OR {self.column} IS NULL)", self.value)
        else:
            where.add(f"{self.column} {'<' if self.descending else '>'} ?", self.value)


def keys(sort: Sequence[Sort], values: Mapping[SortField, Value | None], place: Place) -> list[Key]:
    return [Key(place(x.field.value), values[x.field], x.descending, x.field in NULLABLE) for x in sort]


def values_of(image: Image, sort: Sequence[Sort]) -> dict[SortField, Value | None]:
    return {x.field: key_of(image, x.field) for x in sort}


def ranges(sort: Sequence[Sort], marker: Image, place: Place) -> Iterator[Where]:
    """What comes behind ``marker``, as disjoint ranges of the index."""
    first, *rest = keys(sort, values_of(marker, sort), place)
    if sort[0].field in _SELDOM_EQUAL:
        yield behind([first, *rest])
        return
    # Many images may have the marker's name: to step over those before it one by one would not be flat.
    same = behind(rest)
    first.same(same)
    yield same
    if first.descending and first.value is None:
        return
    other = Where()
    if first.descending and first.nullable and first.value is not None:
        nulls = Where()
        nulls.add(f"{first.column} IS NULL")
        yield nulls
        other.add(f"{first.column} < ?", first.value)
    else:
        first.beyond(other)
    yield other


def until(of: Sequence[Key]) -> Where:
    """What comes before that image in the order of its keys, and itself."""
    before, equal = behind([replace(x, descending=not x.descending) for x in of]), Where()
    for key in of:
        key.same(equal)
    where = Where()
    where.add(f"(({before}) OR ({equal}))", *before.values, *equal.values)
    return where


def behind(of: Sequence[Key]) -> Where:
    """What comes behind that image in the order of its keys."""
    either, equal = Where(), Where()
    for key in of:
        beyond = Where()
        key.beyond(beyond)
        either.add(f"({' AND '.join([*equal.texts, *beyond.texts])})", *equal.values, *beyond.values)
        key.same(equal)
    first = of[0]
    where = Where()
    if first.value is not None and not first.nullable:
        # Redundant, but no database finds the start of the range in the OR by itself.
        where.add(f"{first.column} {'<=' if first.descending else '>='} ?", first.value)
    where.add(f"({' OR '.join(either.texts)})", *either.values)
    return where
