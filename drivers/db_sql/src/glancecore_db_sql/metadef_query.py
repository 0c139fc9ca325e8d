"""The statement that answers a MetadefQuery: a union of slices, as ``query.py`` does it for images."""

from __future__ import annotations

from collections.abc import Sequence

from glancecore.domain.metadef import MetadefVisibility, Outline
from glancecore.ports.metadef_repository import MetadefField, MetadefQuery, MetadefSort
from glancecore_db_sql.conditions import Key, Value, Where, behind, total
from glancecore_db_sql.dialects import Dialect
from glancecore_db_sql.metadef_rows import SCALARS
from glancecore_db_sql.rows import micros

_NULLABLE = frozenset({MetadefField.DISPLAY_NAME, MetadefField.OWNER})


def statement(
    query: MetadefQuery,
    marker: Outline | None,
    documents: Sequence[str],
    dialect: Dialect,
) -> tuple[str, list[Value]] | None:
    """Text and values; None when the viewer can't have any such namespace."""
    sort = total(query.sort, MetadefSort(MetadefField.NAMESPACE))
    branches: list[str] = []
    values: list[Value] = []
    for where in _slices(query):
        _filter(query, where)
        if marker is not None:
            keys = behind(
                [Key(f"n.{x.field.value}", _key(marker, x.field), x.descending, x.field in _NULLABLE) for x in sort]
            )
            where.add(str(keys), *keys.values)
        columns = ", ".join(["n.id", *(f"n.{x.field.value} AS key_{x.field.value}" for x in sort)])
        condition = f"WHERE {where}" if where.texts else ""
        branches.append(
            " ".join(
                [
                    "SELECT",
                    columns,
                    "FROM metadef_namespaces n",
                    condition,
                    "ORDER BY",
                    _order("n.", sort, dialect),
                    "LIMIT",
                    str(query.limit),
                ]
            )
        )
        values += where.values
    if not branches:
        return None
    if len(branches) == 1:
        ids = branches[0]
    else:
        union = " UNION ".join(" ".join(["SELECT * FROM (", text, f") b{n}"]) for n, text in enumerate(branches))
        ids = " ".join([union, "ORDER BY", _order("key_", sort, dialect), "LIMIT", str(query.limit)])
    text = " ".join(
        [
            "SELECT",
            columns_of(documents, dialect),
            "FROM (",
            ids,
            ") page JOIN metadef_namespaces n ON n.id = page.id",
            "ORDER BY",
            _order("page.key_", sort, dialect),
        ]
    )
    return text, values


def columns_of(documents: Sequence[str], dialect: Dialect) -> str:
    """What is read of a namespace ``n``."""
    return dialect.record([f"n.{x}" for x in SCALARS], [f"n.{x}" for x in documents])


def _slices(query: MetadefQuery) -> list[Where]:
    """Who may list what. Slices may overlap: the union drops what is found twice."""
    everything, public, own = Where(), Where(), Where()
    if query.viewer.admin:
        if query.visibility is not None:
            everything.add("n.visibility = ?", query.visibility.value)
        return [everything]
    found = []
    if query.visibility is not MetadefVisibility.PRIVATE:
        public.add("n.visibility = ?", MetadefVisibility.PUBLIC.value)
        found.append(public)
    if query.viewer.project is not None and query.visibility is not MetadefVisibility.PUBLIC:
        own.add("n.owner = ?", query.viewer.project)
        if query.visibility is not None:
            own.add("n.visibility = ?", query.visibility.value)
        found.append(own)
    return found


def _filter(query: MetadefQuery, where: Where) -> None:
    if query.resource_types:
        marks = ", ".join("?" * len(query.resource_types))
        where.add(
            "EXISTS (SELECT 1 FROM metadef_associations a"  # noqa: S608 - marks only
            f" WHERE a.namespace_id = n.id AND a.resource_type IN ({marks}))",
            *query.resource_types,
        )


def _key(marker: Outline, name: MetadefField) -> Value | None:
    match name:
        case MetadefField.NAMESPACE:
            return marker.name
        case MetadefField.DISPLAY_NAME:
            return marker.display_name
        case MetadefField.OWNER:
            return marker.owner
        case MetadefField.VISIBILITY:
            return marker.visibility.value
        case MetadefField.CREATED_AT:
            return micros(marker.created_at)
        case MetadefField.UPDATED_AT:
            return micros(marker.updated_at)


def _order(prefix: str, sort: Sequence[MetadefSort], dialect: Dialect) -> str:
    return ", ".join(
        dialect.order(f"{prefix}{x.field.value}", descending=x.descending, nullable=x.field in _NULLABLE) for x in sort
    )
