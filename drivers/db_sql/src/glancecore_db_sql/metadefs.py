"""The repository of metadata definitions on SQL: a read is one statement, with a marker two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glancecore.domain import errors
from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.metadef import MetadefVisibility, Namespace, Outline, ResourceType
from glancecore.ports.metadef_repository import MetadefChange, MetadefQuery, MetadefRepository
from glancecore_db_sql import metadef_commit, metadef_query, metadef_rows
from glancecore_db_sql.engine import Connections, Session
from glancecore_db_sql.rows import moment


def visible(namespace: Outline, viewer: Viewer) -> bool:
    return (
        viewer.admin
        or namespace.visibility is MetadefVisibility.PUBLIC
        or (viewer.project is not None and namespace.owner == viewer.project)
    )


class SqlMetadefs(MetadefRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections
        self._dialect = connections.dialect

    def get(self, name: str, viewer: Viewer = EVERYTHING) -> Namespace:
        found = self._on.read(lambda db: self._named(db, name, metadef_rows.WHOLE))
        namespace = metadef_rows.whole(*found) if found else None
        if namespace is None or not visible(namespace, viewer):
            raise errors.NamespaceNotFound(f"no namespace {name}")
        return namespace

    def find(self, query: MetadefQuery) -> list[Outline]:
        return [metadef_rows.outline(*x) for x in self._on.read(lambda db: self._find(db, query, metadef_rows.OUTLINE))]

    def find_whole(self, query: MetadefQuery) -> list[Namespace]:
        return [metadef_rows.whole(*x) for x in self._on.read(lambda db: self._find(db, query, metadef_rows.WHOLE))]

    def resource_types(self) -> list[ResourceType]:
        text = "SELECT name, created_at, updated_at FROM metadef_resource_types ORDER BY name"
        return [
            ResourceType(name, moment(created), moment(updated))
            for name, created, updated in self._on.read(lambda db: db.rows(text))
        ]

    def commit(self, *changes: MetadefChange) -> None:
        if changes:
            self._on.write(lambda db: metadef_commit.apply(db, changes))

    # -- inside ------------------------------------------------------------------------------------
    def _named(self, db: Session, name: str, documents: Sequence[str]) -> Any:
        if "\0" in name:
            return None  # PostgreSQL refuses to look for it
        text = " ".join(
            [
                "SELECT",
                metadef_query.columns_of(documents, self._dialect),
                "FROM metadef_namespaces n WHERE n.namespace = ?",
            ]
        )
        found = self._dialect.records(db.rows(text, name), len(documents))
        return found[0] if found else None

    def _find(self, db: Session, query: MetadefQuery, documents: Sequence[str]) -> list[Any]:
        marker = None
        if query.marker is not None:
            known = self._named(db, query.marker, metadef_rows.OUTLINE)
            marker = metadef_rows.outline(*known) if known else None
            if marker is None or not visible(marker, query.viewer):
                raise errors.NamespaceNotFound(f"marker {query.marker} is no namespace that you can see")
        asked = metadef_query.statement(query, marker, documents, self._dialect) if query.limit > 0 else None
        if asked is None:
            return []
        text, values = asked
        return self._dialect.records(db.rows(text, *values), len(documents))
