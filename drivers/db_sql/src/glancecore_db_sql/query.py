"""The statements that answer an ImageQuery by a plan: where its window ends, and the images of its page.

What a viewer may list is a union of *slices*, each one range of an index. Each gives its first ids, so the cost does
not grow with the table; an OR over the table would read and sort all of it. The images are then read by id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from glancecore.ports.repository import Sort, SortField
from glancecore_db_sql.conditions import NULLABLE, Value, Where, keys, until
from glancecore_db_sql.dialects import Dialect
from glancecore_db_sql.ways import Branch, Plan

#: How many rows of a branch may be looked at.
Rows = Callable[[Branch], int]
Statement = tuple[str, list[Value]]
#: Sort keys of an image.
Keys = Mapping[SortField, Value | None]


def edge(branches: Sequence[Branch], sort: Sequence[Sort], rows: Rows, dialect: Dialect) -> Statement:
    """The nearest image that ``rows`` others of its branch are before: its sort keys, and the branch. Unless all
    branches keep the order, any."""
    kept = all(x.kept for x in branches)
    names = [x.field.value for x in sort] if kept else ["id"]
    texts, values = [], list[Value]()
    for n, branch in enumerate(branches):
        order = ["ORDER BY", _order(((branch.place(x.field.value), x) for x in sort), dialect)] if branch.kept else []
        columns = ", ".join([*(f"{branch.place(name)} AS {_alias(name)}" for name in names), f"{n} AS branch"])
        texts.append(
            " ".join(
                [
                    "SELECT * FROM (SELECT",
                    columns,
                    "FROM",
                    branch.source(names),
                    "WHERE",
                    str(branch.where),
                    *order,
                    "LIMIT 1 OFFSET",
                    str(rows(branch)),
                    f") b{n}",
                ]
            )
        )
        values += branch.where.values
    order = ["ORDER BY", _order(((_alias(x.field.value), x) for x in sort), dialect)] if kept else []
    return " ".join([" UNION ALL ".join(texts), *order, "LIMIT 1"]), values


def page(plan: Plan, rows: Rows, end: Keys | None, dialect: Dialect) -> Statement:
    """The first images that fit, of those until ``end``. ``rows``: what each branch may look at."""
    query, sort = plan.query, plan.sort
    texts, values = [], list[Value]()
    for branch in plan.branches:
        text, more = _found(branch, plan, rows, end, dialect)
        texts.append(text)
        values += more
    ids = (
        texts[0]
        if len(texts) == 1
        else " UNION ".join(" ".join(["SELECT * FROM (", text, f") b{n}"]) for n, text in enumerate(texts))
    )
    if end is not None:
        before = until(keys(sort, end, lambda name: f"u.{_alias(name)}"))
        ids = " ".join(["SELECT * FROM (", ids, ") u WHERE", str(before)])
        values += before.values
    if len(texts) > 1 or end is not None:
        ids = " ".join(
            [ids, "ORDER BY", _order(((_alias(x.field.value), x) for x in sort), dialect), "LIMIT", str(query.limit)]
        )
    join, as_member, who = viewer_join(query.viewer.project)
    condition = ""
    if query.max_bytes is not None:
        ids, condition = _weighed(ids, sort, dialect), "WHERE page.bytes_before < ?"
        who = [*who, query.max_bytes]
    text = " ".join(
        [
            "SELECT",
            dialect.image(as_member),
            "FROM (",
            ids,
            ") page JOIN images i ON i.id = page.id",
            join,
            condition,
            "ORDER BY",
            _order(((f"page.{_alias(x.field.value)}", x) for x in sort), dialect),
        ]
    )
    return text, [*values, *who]


def _found(branch: Branch, plan: Plan, rows: Rows, end: Keys | None, dialect: Dialect) -> Statement:
    """What a branch adds to the page."""
    limit, names = plan.query.limit, [x.field.value for x in plan.sort]
    first = plan.sort[0]
    if (
        end is not None and branch.kept and first.field not in NULLABLE
    ):  # the others need not be read beyond the end of one
        branch = branch.within(
            f"{branch.place(first.field.value)} {'>=' if first.descending else '<='} ?", end[first.field] or 0
        )
    order = ["ORDER BY", _order(((branch.place(x.field.value), x) for x in plan.sort), dialect)] if branch.kept else []
    if not branch.asks:
        where = Where([*branch.where.texts], [*branch.where.values])
        if branch.left_out is not None:  # they are stepped over
            branch.left_out.put(branch.place, where)
        columns = ", ".join(f"{branch.place(name)} AS {_alias(name)}" for name in names)
        return " ".join(
            ["SELECT", columns, "FROM", branch.source(names), "WHERE", str(where), *order, "LIMIT", str(limit)]
        ), where.values
    needed = list(
        dict.fromkeys(
            [*names, *(x.column for x in branch.filters), *(branch.left_out.columns if branch.left_out else [])]
        )
    )
    columns = ", ".join(f"{branch.place(name)} AS {name}" for name in needed)
    window = " ".join(
        [
            "SELECT",
            columns,
            "FROM",
            branch.source(needed),
            "WHERE",
            str(branch.where),
            *order,
            "LIMIT",
            str(rows(branch) + 1),
        ]
    )
    asked = Where()
    for x in branch.filters:
        x.put(f"w.{x.column}", asked)
    if branch.behind is not None:
        asked.add(str(branch.behind), *branch.behind.values)
    for facet in branch.facets:
        # Of one row, so no planner makes it a join with all that have the facet.
        asked.add("(SELECT 1 FROM image_facets g WHERE g.image_id = w.id AND g.facet = ?) = 1", facet)
    if branch.member is not None:
        asked.add("(SELECT m.status FROM image_members m WHERE m.image_id = w.id AND m.member = ?) = ?", *branch.member)
    if branch.left_out is not None:
        branch.left_out.put("w.{}".format, asked)
    text = " ".join(
        [
            "SELECT",
            ", ".join(f"w.{name} AS {_alias(name)}" for name in names),
            "FROM (",
            window,
            ") w",
            *(["WHERE", str(asked)] if asked.texts else []),
            "ORDER BY",
            _order(((f"w.{x.field.value}", x) for x in plan.sort), dialect),
            "LIMIT",
            str(limit),
        ]
    )
    return text, [*branch.where.values, *asked.values]


def _weighed(ids: str, sort: Sequence[Sort], dialect: Dialect) -> str:
    """``ids``, and with each how many bytes of metadata the images before it have: what is beyond a bound is never
    read."""
    # Lengths first: a window would keep the texts of all its rows.
    measured = " ".join(
        [
            "SELECT p.*,",
            dialect.octets("w.tags"),
            "+",
            dialect.octets("w.properties"),
            "- 4 AS octets FROM (",
            ids,
            ") p JOIN images w ON w.id = p.id",
        ]
    )
    order = _order(((f"q.{_alias(x.field.value)}", x) for x in sort), dialect)
    return " ".join(
        [
            "SELECT q.*, SUM(q.octets) OVER (ORDER BY",
            order,
            "ROWS UNBOUNDED PRECEDING) - q.octets AS bytes_before FROM (",
            measured,
            ") q",
        ]
    )


def viewer_join(project: str | None) -> tuple[str, str, list[Value]]:
    """Join, column and values that tell whether image ``i`` is shared with ``project``."""
    if project is None:
        return "", "NULL", []
    return (
        "LEFT JOIN image_members m ON m.image_id = i.id AND m.member = ? AND i.visibility = 'shared'",
        "m.member",
        [project],
    )


def _alias(name: str) -> str:
    return "id" if name == "id" else f"key_{name}"


def _order(columns: Iterable[tuple[str, Sort]], dialect: Dialect) -> str:
    return ", ".join(
        dialect.order(column, descending=x.descending, nullable=x.field in NULLABLE) for column, x in columns
    )
