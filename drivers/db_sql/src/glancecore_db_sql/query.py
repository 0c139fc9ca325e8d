"""The statement that answers an ImageQuery.

What a viewer may list is a union of *slices*, each one range of an index that is already in the asked order: his own,
the public ones, those shared with him. Each slice gives its first ``limit`` ids, so the cost does not grow with the
table; an OR over the table would read and sort all of it. The images are then read by id. Indexes give the orders
created_at, name and updated_at; the other sort keys are sorted by the database within the slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from glancecore.domain.image import Image, Visibility
from glancecore.domain.member import MemberStatus
from glancecore.ports.repository import ImageQuery, Sort, SortField, TimeFilter, TimeOp
from glancecore_db_sql.facets import Facets, facets_of
from glancecore_db_sql.flavors import Flavor
from glancecore_db_sql.rows import micros

_SECOND = 1_000_000
#: What fits a BIGINT: a bound beyond it is no bound, and no image has such a value.
_MOST = 2**63 - 1
#: Columns that can be null, of those to sort by.
_NULLABLE = frozenset({SortField.NAME, SortField.CONTAINER_FORMAT, SortField.DISK_FORMAT, SortField.SIZE})
#: Hardly two images have the same: the few ties need no range of their own.
_SELDOM_EQUAL = frozenset({SortField.CREATED_AT, SortField.UPDATED_AT, SortField.ID})
_EQUAL = frozenset({"id", "name", "status", "container_format", "disk_format", "owner", "checksum", "hash_algo", "hash_value",
                    "size", "virtual_size", "min_ram", "min_disk", "protected"})
_RANGES = frozenset({"size", "min_ram", "min_disk", "virtual_size"})

Value = str | int
P = Visibility


# -- who may list what -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Slice:
    """Images of an owner, or of one visibility, or shared with a member who has one status."""

    owner: str | None = None
    visibilities: tuple[Visibility, ...] = ()
    member: str | None = None
    status: MemberStatus | None = None
    ownerless: bool = False


def slices(query: ImageQuery) -> list[Slice]:
    """Slices may overlap: the union drops what is found twice."""
    return _admin_slices(query) if query.viewer.admin else _project_slices(query)


def _admin_slices(query: ImageQuery) -> list[Slice]:
    me = query.viewer.project
    if query.visibility is not None:
        all_of, own = [query.visibility], False
    elif query.all_visible:
        all_of, own = list(Visibility), False
    else:
        all_of, own = [P.PUBLIC, P.PRIVATE, P.SHARED], me is not None
    owners = query.equal.get("owner", ())
    if len(owners) == 1:  # one project's images, a frequent question: the index on the owner is the short way
        of_me = [P.COMMUNITY] if own and owners[0] == me else []
        return [Slice(owner=str(owners[0]), visibilities=(*all_of, *of_me))]
    found = [Slice(visibilities=(x,)) for x in all_of]
    return [*found, Slice(owner=me, visibilities=(P.COMMUNITY,))] if own else found


def _project_slices(query: ImageQuery) -> list[Slice]:
    me, wanted = query.viewer.project, query.visibility
    shared = [] if me is None else [
        Slice(member=me, status=x) for x in (MemberStatus if query.member_status is None else [query.member_status])]
    if wanted in (P.PUBLIC, P.COMMUNITY):
        return [Slice(visibilities=(wanted,))]
    public = [Slice(visibilities=(P.PUBLIC,))]
    if query.all_visible and wanted is None:
        public += [Slice(visibilities=(P.COMMUNITY,)), Slice(visibilities=(P.SHARED,), ownerless=True)]
    if me is None:
        return public if wanted is None else []
    if wanted is None:
        return [Slice(owner=me), *public, *shared]
    own = Slice(owner=me, visibilities=(wanted,))
    return [own, *shared] if wanted is P.SHARED else [own]


# -- conditions ------------------------------------------------------------------------------------------------------------
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
            self.add(f"{column} IN ({', '.join('?' * len(values))})" if values else "1 = 0", *values)

    def __str__(self) -> str:
        return " AND ".join(self.texts)


class Source:
    """Where a slice is read from: the images, a facet's index or a member's; and which table has which column.

    ``in_order``: all facets are common, so the images are read in the asked order and each is looked at."""

    def __init__(self, part: Slice, facets: Facets, flavor: Flavor, *, in_order: bool) -> None:
        self.columns: Mapping[str, str]
        if part.member is not None:
            self.base, self.columns = "image_members m", {"id": "m.image_id", "created_at": "m.image_created_at"}
        elif facets.names and not in_order:
            self.base, self.columns = "image_facets f0", {
                "id": "f0.image_id", "created_at": "f0.created_at", "owner": "f0.owner", "visibility": "f0.visibility",
                "shelf": "f0.shelf"}
        else:
            self.base, self.columns = "images i", {}
        self.uses_images = False
        # A member's images are fewer than all shared ones; which facet is rarer is known where they were counted.
        self.join = flavor.then_join if facets.counted else "JOIN"
        self.join_images = flavor.then_join if part.member is not None else self.join
        #: Aliases of the facets that must be there.
        self.facets = [f"f{n}" for n in range(len(facets.names))]

    def column(self, name: str) -> str:
        known = self.columns.get(name)
        if known is not None:
            return known
        self.uses_images = True
        return f"i.{name}"

    def __str__(self) -> str:
        joined = []
        if self.uses_images and self.columns:
            joined.append(f"{self.join_images} images i ON i.id = {self.column('id')}")
        joined += [f"{self.join} image_facets {x} ON {x}.image_id = {self.column('id')}" for x in self.facets
                   if self.base != f"image_facets {x}"]
        return " ".join([self.base, *joined])


def _slice_conditions(part: Slice, shelf: int, source: Source, facets: Facets, where: Where) -> None:
    if part.member is not None and part.status is not None:
        where.add("m.member = ? AND m.status = ?", part.member, part.status.value)
        where.add(f"{source.column('visibility')} = 'shared'")
    for alias, facet in zip(source.facets, facets.names, strict=True):
        where.add(f"{alias}.facet = ?", facet)
    # Each facet's row repeats owner, visibility and shelf.
    tables = [f"{x}." for x in source.facets] if source.base.startswith("image_facets") else [""]
    for table in tables:
        def column(name: str, table: str = table) -> str:
            return table + name if table else source.column(name)

        if part.owner is not None:
            where.add(f"{column('owner')} = ?", part.owner)
        if part.ownerless:
            where.add(f"{column('owner')} IS NULL")
        if part.visibilities:
            where.among(column("visibility"), [x.value for x in part.visibilities])
        where.add(f"{column('shelf')} = ?", shelf)


def _filters(query: ImageQuery, source: Source, where: Where) -> None:
    for name, allowed in query.equal.items():
        if name not in _EQUAL:
            raise ValueError(f"{name} is no field to filter by")
        if name in ("checksum", "hash_value") and len(allowed) == 1:
            continue  # a facet
        where.among(source.column(name), [x for x in map(_plain, allowed) if isinstance(x, str) or abs(x) <= _MOST])
    for time in query.times:
        _time(time, source.column(time.field.value), where)
    for bounds in query.ranges:
        if bounds.field not in _RANGES:
            raise ValueError(f"{bounds.field} is no field with a range")
        column = source.column(bounds.field)
        where.add(f"{column} IS NOT NULL")
        if bounds.minimum is not None and bounds.minimum > -_MOST:
            where.add(f"{column} >= ?", bounds.minimum) if bounds.minimum <= _MOST else where.add("1 = 0")
        if bounds.maximum is not None and bounds.maximum < _MOST:
            where.add(f"{column} <= ?", bounds.maximum) if bounds.maximum >= -_MOST else where.add("1 = 0")


def _plain(value: str | int) -> Value:
    """Without enum or bool: drivers treat these in their own ways."""
    return str(value) if isinstance(value, str) else int(value)


def _time(wanted: TimeFilter, column: str, where: Where) -> None:
    start = micros(wanted.value.replace(microsecond=0))
    end = start + _SECOND
    match wanted.op:
        case TimeOp.GT:
            where.add(f"{column} >= ?", end)
        case TimeOp.GTE:
            where.add(f"{column} >= ?", start)
        case TimeOp.LT:
            where.add(f"{column} < ?", start)
        case TimeOp.LTE:
            where.add(f"{column} < ?", end)
        case TimeOp.EQ:
            where.add(f"{column} >= ? AND {column} < ?", start, end)
        case TimeOp.NEQ:
            where.add(f"({column} < ? OR {column} >= ?)", start, end)


# -- order and paging ------------------------------------------------------------------------------------------------------
def _total(sort: Sequence[Sort]) -> list[Sort]:
    """Ends with the id; what follows the id decides nothing."""
    kept: list[Sort] = []
    for key in sort:
        if all(x.field is not key.field for x in kept):
            kept.append(key)
        if key.field is SortField.ID:
            return kept
    return [*kept, Sort(SortField.ID, kept[-1].descending if kept else True)]


def _key(image: Image, name: SortField) -> Value | None:
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
    """A sort key of the marker."""

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
            where.add("1 = 0" if self.descending else f"{self.column} IS NOT NULL")
        elif self.descending and self.nullable:
            where.add(f"({self.column} < ? OR {self.column} IS NULL)", self.value)
        else:
            where.add(f"{self.column} {'<' if self.descending else '>'} ?", self.value)


def _pages(sort: Sequence[Sort], marker: Image | None, source: Source) -> Iterator[Where]:
    """What comes behind ``marker``, as disjoint ranges of the index."""
    if marker is None:
        yield Where()
        return
    first, *rest = (Key(source.column(x.field.value), _key(marker, x.field), x.descending, x.field in _NULLABLE) for x in sort)
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


def behind(keys: Sequence[Key]) -> Where:
    """What comes behind the marker in the order of ``keys``."""
    either, equal = Where(), Where()
    for key in keys:
        beyond = Where()
        key.beyond(beyond)
        either.add(f"({' AND '.join([*equal.texts, *beyond.texts])})", *equal.values, *beyond.values)
        key.same(equal)
    first = keys[0]
    where = Where()
    if first.value is not None and not first.nullable:
        # Redundant, but no database finds the start of the range in the OR by itself.
        where.add(f"{first.column} {'<=' if first.descending else '>='} ?", first.value)
    where.add(f"({' OR '.join(either.texts)})", *either.values)
    return where


# -- the statement ---------------------------------------------------------------------------------------------------------
def statement(query: ImageQuery, marker: Image | None, flavor: Flavor, facets: Facets | None = None) -> tuple[str, list[Value]] | None:
    """Text and values; None when the viewer can't have any such image. ``facets``: those of the query, when they were counted."""
    sort = _total(query.sort)
    facets = facets or facets_of(query)
    in_order = facets.all_common and sort[0].field is not SortField.CREATED_AT
    shelf = 1 if query.hidden else 0
    branches: list[str] = []
    values: list[Value] = []
    for part in slices(query):
        source = Source(part, facets, flavor, in_order=in_order)
        for where in _pages(sort, marker, source):
            _slice_conditions(part, shelf, source, facets, where)
            _filters(query, source, where)
            names = [f"{source.column(x.field.value)} AS {_alias(x)}" for x in sort]
            order = _order(((source.column(x.field.value), x) for x in sort), flavor)
            branches.append(" ".join(
                ["SELECT", ", ".join(names), "FROM", str(source), "WHERE", str(where), "ORDER BY", order,
                 "LIMIT", str(query.limit)]))
            values += where.values
    if not branches:
        return None
    if len(branches) == 1:
        ids = branches[0]
    else:
        union = " UNION ".join(" ".join(["SELECT * FROM (", text, f") b{n}"]) for n, text in enumerate(branches))
        ids = " ".join([union, "ORDER BY", _order(((_alias(x), x) for x in sort), flavor), "LIMIT", str(query.limit)])
    join, as_member, who = viewer_join(query.viewer.project)
    text = " ".join(
        ["SELECT", flavor.image(as_member), "FROM (", ids, ") page JOIN images i ON i.id = page.id", join,
         "ORDER BY", _order(((f"page.{_alias(x)}", x) for x in sort), flavor)])
    return text, [*values, *who]


def viewer_join(project: str | None) -> tuple[str, str, list[Value]]:
    """Join, column and values that tell whether image ``i`` is shared with ``project``."""
    if project is None:
        return "", "NULL", []
    return ("LEFT JOIN image_members m ON m.image_id = i.id AND m.member = ? AND i.visibility = 'shared'", "m.member",
            [project])


def _alias(key: Sort) -> str:
    return "id" if key.field is SortField.ID else f"key_{key.field.value}"


def _order(columns: Iterable[tuple[str, Sort]], flavor: Flavor) -> str:
    return ", ".join(
        flavor.order(column, descending=x.descending, nullable=x.field in _NULLABLE) for column, x in columns)
