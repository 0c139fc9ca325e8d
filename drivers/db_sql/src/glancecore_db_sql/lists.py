"""Lists: which way a question goes. See docs/adr/0005."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.repository import NARROWER, ImagePage, ImageQuery
from glancecore_db_sql import query
from glancecore_db_sql.conditions import LAST, NOTHING, Value, filters, total
from glancecore_db_sql.engine import Session
from glancecore_db_sql.facets import count_statement, facets_of
from glancecore_db_sql.slices import by_foreign_owner
from glancecore_db_sql.ways import (
    BY_CREATION,
    BY_ID,
    BY_NAME,
    BY_OWNER,
    BY_UPDATE,
    Branch,
    Plan,
    Way,
    by_facet,
    order_of,
)


class Listing:
    """One question to the database."""

    def __init__(self, db: Session, wanted: ImageQuery, marker: Image | None) -> None:
        self._db, self._wanted, self._marker = db, wanted, marker
        self._facets = facets_of(wanted)
        #: By statement: no question is asked twice.
        self._edges: dict[tuple[Value, ...], tuple[query.Keys | None, Branch] | None] = {}
        self._most = max(wanted.most, wanted.limit)
        self._few = max(wanted.most // 8, wanted.limit)

    def page(self) -> ImagePage:
        """Raises TooBroad."""
        if any(x.text == NOTHING for x in filters(self._wanted)):
            return ImagePage()
        direct = self._in_order()
        return (
            self._answer(direct, self._all)
            if direct is not None and not direct.asking
            else self._whole() or self._part()
        )

    # -- ways --------------------------------------------------------------------------------------
    def _in_order(self) -> Plan | None:
        """By the likely best way that keeps the order."""
        ways = [
            *([BY_NAME] if len(self._wanted.equal.get("name", ())) == 1 else []),
            *map(by_facet, self._facets.names[:1]),
            BY_CREATION,
            BY_NAME,
            BY_UPDATE,
        ]
        return next((self._plan(x) for x in ways if order_of(self._wanted, self._marker, x)[1]), None)

    def _whole(self) -> ImagePage | None:
        """The answer, when few images have to be looked at for it; whatever the order, they are sorted."""
        if "id" in self._wanted.equal:
            return self._answer(self._plan(BY_ID, narrow=True), lambda _: len(self._wanted.equal["id"]))
        if self._facets.names:
            text, names = count_statement(self._facets, self._few)
            self._facets = self._facets.after_count(self._db.rows(text, *names)[0], self._few)
        if self._facets.rare:
            return self._answer(self._plan(by_facet(self._facets.names[0]), narrow=True), self._all)
        for way in self._narrow():
            plan = self._plan(way, narrow=True)
            rows = self._covered if plan.covered else self._each
            if self._edge(plan, plan.branches, rows) is None:
                return self._answer(plan, rows)
        plan = self._plan(BY_CREATION, narrow=True)
        if plan.kept and plan.covered:  # where its window ends is often answer enough, and asked anyway
            edge = self._edge(plan, plan.branches, self._covered)
            if edge is not None and not edge[1].shared:
                return None
        return self._answer(plan, self._all) if self._edge(plan, plan.branches, self._all) is None else None

    def _narrow(self) -> Iterator[Way]:
        if by_foreign_owner(self._wanted):
            yield BY_OWNER
        if "name" in self._wanted.equal:
            yield BY_NAME
        if any(x.column == "updated_at" and x.spans for x in filters(self._wanted)):
            yield BY_UPDATE

    def _part(self) -> ImagePage:
        """What fits of the next images in the asked order. Raises TooBroad when no index has that order."""
        plan = self._in_order()
        loose = [] if plan is None else [x for x in plan.asking if not x.kept]
        if plan is None or (loose and self._edge(plan, loose, self._each) is not None):
            raise self._unsorted()
        asking = [x for x in plan.asking if x.kept]
        rows = self._covered if plan.covered else self._each
        edge = self._edge(plan, asking, rows) if asking else None
        return self._answer(plan, rows, None if edge is None else edge[0])

    # -- rows of a slice that may be looked at -----------------------------------------------------
    def _all(self, _branch: Branch) -> int:
        return self._most

    def _each(self, branch: Branch) -> int:
        """One by one in the table."""
        return max(self._wanted.most // 16, self._wanted.limit) if branch.shared and branch.kept else self._few

    def _covered(self, branch: Branch) -> int:
        """In an index that has all that they are asked."""
        return self._each(branch) if branch.shared else self._most

    # -- statements --------------------------------------------------------------------------------
    def _plan(self, way: Way, *, narrow: bool = False) -> Plan:
        return Plan(self._wanted, self._marker, way, self._facets.names, self._db.dialect, narrow=narrow)

    def _edge(
        self, plan: Plan, branches: Sequence[Branch], rows: query.Rows
    ) -> tuple[query.Keys | None, Branch] | None:
        """Where the window ends, and in which branch; None: nowhere. Without the sort keys unless all branches keep the
        order."""
        text, values = query.edge(branches, plan.sort, rows, self._db.dialect)
        if (text, *values) not in self._edges:
            found = self._db.row(text, *values)
            *keys, number = found or (None,)
            kept = all(x.kept for x in branches)
            self._edges[text, *values] = (
                None
                if number is None
                else (dict(zip((x.field for x in plan.sort), keys, strict=True)) if kept else None, branches[number])
            )
        return self._edges[text, *values]

    def _answer(self, plan: Plan, rows: query.Rows, end: query.Keys | None = None) -> ImagePage:
        text, values = query.page(plan, rows, end, self._db.dialect)
        images = self._db.dialect.images(self._db.rows(text, *values))
        return ImagePage.ended(images, self._wanted, None if end is None else str(end[plan.sort[-1].field]))

    def _unsorted(self) -> errors.TooBroad:
        order = ", ".join(
            f"{x.field.value}:{'desc' if x.descending else 'asc'}" for x in total(self._wanted.sort, LAST)
        )
        return errors.TooBroad(
            f"sort: more than {self._wanted.most} images would have to be sorted by {order}; sort by created_at,"
            f" updated_at or name with all directions the same, or {NARROWER}"
        )
