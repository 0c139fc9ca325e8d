"""Ways to look at the images of each slice: an index, its order, and which conditions are ranges of it.

What an index does not answer by itself its rows are asked one by one, the first so many of each slice. That sub-select
with its LIMIT is a fence for the planners of all databases: no filter leads them to another index, none makes them read
on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from glancecore.domain.image import Image, Visibility
from glancecore.ports import unlisted
from glancecore.ports.repository import ImageQuery, Sort, SortField
from glancecore_db_sql.conditions import (
    LAST,
    Filter,
    Place,
    Value,
    Where,
    behind,
    filters,
    keys,
    ranges,
    total,
    values_of,
)
from glancecore_db_sql.dialects import Dialect
from glancecore_db_sql.rows import COVERED
from glancecore_db_sql.slices import Slice, slices, slices_of_owner

C, N, U = SortField.CREATED_AT, SortField.NAME, SortField.UPDATED_AT


@dataclass(frozen=True, slots=True)
class Way:
    """``index``: of the images (created, name, updated, id), or facet. ``order``: of its rows before the id.
    ``inside``: the column whose filters are a range of it."""

    index: str
    order: tuple[SortField, ...] = ()
    inside: str = "created_at"
    facet: str | None = None


BY_CREATION = Way("created", (C,))
BY_NAME = Way("name", (N, C), "name")
BY_UPDATE = Way("updated", (U, C), "updated_at")
BY_ID = Way("id", inside="id")
#: For whole answers only: see ``slices_of_owner``.
BY_OWNER = Way("created")


def by_facet(facet: str) -> Way:
    return Way("facet", (C,), facet=facet)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Public images that have left the lists of others. ``alone``: there are no others in the branch."""

    values: tuple[str, str]
    alone: bool

    @property
    def columns(self) -> list[str]:
        return ["id"] if self.alone else ["id", "visibility"]

    def put(self, place: Place, where: Where) -> None:
        # Of one row, so no planner makes it a join with all that are left out.
        text = " ".join(
            ["(SELECT 1 FROM records r WHERE r.collection = ? AND r.id =", place("id"), "AND r.key0 <= ?) IS NULL"]
        )
        where.add(
            text if self.alone else f"({place('visibility')} <> '{Visibility.PUBLIC.value}' OR {text})", *self.values
        )


@dataclass(slots=True)
class Branch:
    """One range of one index. ``base`` has the ``columns`` (else images ``i``, joined by ``join``); ``kept``: its rows
    come in the asked order; ``filters``, ``facets``, ``behind``: what they are asked; ``shared``: by the viewer's
    memberships; ``member``: whose they must be, in which status; ``left_out``: others' public images that have left
    their lists are not among those found, and where rows are asked anyway, among those looked at."""

    base: str
    where: Where
    kept: bool
    columns: Mapping[str, str] = field(default_factory=dict)
    join: str | None = None
    filters: list[Filter] = field(default_factory=list)
    facets: Sequence[str] = ()
    behind: Where | None = None
    shared: bool = False
    member: tuple[str, str] | None = None
    left_out: LeftOut | None = None

    @property
    def asks(self) -> bool:
        """Whether it has to look at more rows than it finds."""
        return bool(self.filters or self.facets or self.member) or not self.kept

    def within(self, text: str, *values: Value) -> Branch:
        return replace(self, where=Where([*self.where.texts, text], [*self.where.values, *values]))

    def place(self, name: str) -> str:
        return self.columns.get(name, f"i.{name}")

    def source(self, names: Sequence[str]) -> str:
        joined = self.join is not None and (
            any(x not in self.columns for x in names) or any("i." in x for x in self.where.texts)
        )
        return f"{self.base} {self.join}" if joined else self.base


class Plan:
    """One question by one way, in branches. ``narrow``: the way leads to few images."""

    def __init__(
        self,
        query: ImageQuery,
        marker: Image | None,
        way: Way,
        facets: Sequence[str],
        dialect: Dialect,
        *,
        narrow: bool = False,
    ) -> None:
        self.query, self.way = query, way
        self._marker, self._dialect, self._narrow = marker, dialect, narrow
        self._filters, self._facets = filters(query), [x for x in facets if x != way.facet]
        self.sort, self.kept = order_of(query, marker, way)
        self.branches = [
            x for part in (slices_of_owner(query) if way == BY_OWNER else slices(query)) for x in self._of(part)
        ]

    @property
    def asking(self) -> list[Branch]:
        return [x for x in self.branches if x.asks]

    @property
    def covered(self) -> bool:
        """Whether the index has all that its rows are asked."""
        return self.way in (BY_CREATION, BY_OWNER) and all(
            x.shared or (not x.facets and all(y.column in COVERED for y in x.filters)) for x in self.branches
        )

    def _of(self, part: Slice) -> Iterator[Branch]:
        if part.member is not None and (self.way in (BY_CREATION, BY_OWNER) or not self._narrow):
            branch = self._shared(part)
        elif part.member is not None:  # of the few images that this way leads to, those that are shared
            branch = self._by_way(replace(part, visibilities=(Visibility.SHARED,)))
            branch.member = (part.member, str(part.status))
        else:
            branch = self._by_way(part)
        if self._marker is None:
            yield branch
        elif branch.kept:
            for where in ranges(self.sort, self._marker, branch.place):
                yield branch.within(str(where), *where.values)
        else:
            branch.behind = behind(keys(self.sort, values_of(self._marker, self.sort), "w.{}".format))
            yield branch

    def _by_way(self, part: Slice) -> Branch:
        return self._images(part) if self.way.facet is None else self._faceted(part, self.way.facet)

    def _images(self, part: Slice) -> Branch:
        by = "owner" if part.owner is not None or part.ownerless else "visibility"
        if self.way == BY_ID:
            branch = Branch("images i", Where(), self.kept)
            branch.filters = _conditions(part, self.query)
        else:
            branch = Branch(f"images i{self._dialect.by_index(f'images_{by}_{self.way.index}')}", Where(), self.kept)
            self._put(branch, part)
        return self._filtered(branch, self.way.inside, part)

    def _faceted(self, part: Slice, facet: str) -> Branch:
        by = "owner" if part.owner is not None or part.ownerless else "visibility"
        columns = {
            "id": "f.image_id",
            "created_at": "f.created_at",
            "owner": "f.owner",
            "visibility": "f.visibility",
            "shelf": "f.shelf",
        }
        branch = Branch(
            f"image_facets f{self._dialect.by_index(f'image_facets_{by}')}",
            Where(),
            self.kept,
            columns,
            f"{self._dialect.then_join} images i ON i.id = f.image_id",
        )
        branch.where.add("f.facet = ?", facet)
        self._put(branch, part)
        return self._filtered(branch, self.way.inside, part)

    def _shared(self, part: Slice) -> Branch:
        kept = self.kept and [x.field for x in self.sort] == [C, SortField.ID]
        branch = Branch(
            "image_members m",
            Where(),
            kept,
            {"id": "m.image_id", "created_at": "m.image_created_at"},
            f"{self._dialect.then_join} images i ON i.id = m.image_id",
            shared=True,
        )
        branch.where.add(
            "m.member = ? AND m.status = ? AND m.image_shelf = ?",
            str(part.member),
            str(part.status),
            _shelf(self.query),
        )
        if self.way.facet is not None:
            branch.facets = [self.way.facet]
        return self._filtered(branch, "created_at", part)

    def _put(self, branch: Branch, part: Slice) -> None:
        """What makes the slice: a range of the index, and the visibilities of an owner's images, which its rows are
        asked. Of images without owner, those that others may not see are stepped over: they are not looked at, and no
        list leads on from them."""
        for x in _conditions(part, self.query):
            if x.column == "visibility" and part.owner is not None:
                branch.filters.append(x)
            else:
                x.put(branch.place(x.column), branch.where)

    def _filtered(self, branch: Branch, inside: str, part: Slice) -> Branch:
        for x in self._filters:
            if x.column == inside and (x.spans or inside in ("name", "id")):
                x.put(branch.place(x.column), branch.where)
            elif x.column != "owner" or (part.owner,) != x.values:
                branch.filters.append(x)
        branch.facets = [*branch.facets, *self._facets]
        if (
            part.others
            and self.query.unlisted_at is not None
            and Visibility.PUBLIC in (part.visibilities or Visibility)
        ):
            branch.left_out = LeftOut(
                (unlisted.COLLECTION, unlisted.moment(self.query.unlisted_at)),
                alone=part.visibilities == (Visibility.PUBLIC,),
            )
        return branch


def _conditions(part: Slice, query: ImageQuery) -> list[Filter]:
    found = [Filter("shelf", "{} = ?", (_shelf(query),))]
    if part.owner is not None:
        found.append(Filter("owner", "{} = ?", (part.owner,)))
    elif part.ownerless:
        found.append(Filter("owner", "{} IS NULL", ()))
    if part.visibilities:
        found.append(
            Filter(
                "visibility",
                f"{{}} IN ({', '.join('?' * len(part.visibilities))})",
                tuple(x.value for x in part.visibilities),
            )
        )
    return found


def _shelf(query: ImageQuery) -> int:
    return 1 if query.hidden else 0


def order_of(query: ImageQuery, marker: Image | None, way: Way) -> tuple[list[Sort], bool]:
    """The asked order, and whether the way has it. Among images of one name the name does not matter."""
    sort = total(query.sort, LAST)
    order = [*way.order, SortField.ID]
    named = query.equal.get("name", ()) if way == BY_NAME else ()
    if len(named) == 1:
        order = order[1:]
        if sort[0].field is N and (marker is None or marker.name == named[0]):
            sort = sort[1:]
        elif sort[0].field is N:
            order = [N, *order]
    kept = bool(way.order) and [x.field for x in sort] == order and len({x.descending for x in sort}) == 1
    return sort, kept and len(named) < 2
