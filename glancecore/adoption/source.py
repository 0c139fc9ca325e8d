"""Glance's own database, read only: its rows as plain records.

Source: the tables that Glance 33 makes (revision 2024_1), looked at on MariaDB, PostgreSQL and SQLite. Columns that an
older release has not are taken as empty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import MetaData, Table, exc

from glancecore.domain.errors import ConfigError

Row = Mapping[str, Any]

#: Images that are read at a time, with what belongs to them.
BATCH = 200
IMAGES = ("images", "image_locations", "image_members", "image_properties", "image_tags")
METADEFS = (
    "metadef_namespaces",
    "metadef_objects",
    "metadef_properties",
    "metadef_tags",
    "metadef_resource_types",
    "metadef_namespace_resource_types",
)


@dataclass(frozen=True, slots=True)
class GlanceImage:
    """A row of ``images`` and, of the other tables, what belongs to it; also what was deleted, so that a pending delete
    is whole."""

    row: Row
    locations: Sequence[Row] = ()
    members: Sequence[Row] = ()
    properties: Sequence[Row] = ()
    tags: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class GlanceNamespace:
    row: Row
    properties: Sequence[Row] = ()
    objects: Sequence[Row] = ()
    tags: Sequence[Row] = ()
    #: With the resource type's ``name``.
    associations: Sequence[Row] = field(default_factory=list)


class GlanceDatabase:
    """``url`` as in Glance's ``[database] connection``. Raises ConfigError, never showing the password."""

    def __init__(self, url: str, option: str) -> None:
        self._fix = f"fix {option}"
        try:
            made = _driven(sqlalchemy.make_url(url))
            if (
                made.get_backend_name() == "sqlite" and made.database and not Path(made.database).is_file()
            ):  # else it would be made
                raise ConfigError(f"{self._fix}: there is no file {made.database}")
            self._engine = sqlalchemy.create_engine(made, hide_parameters=True)
            with self._engine.connect() as connection:
                self.tables = _reflected(connection)
        except (exc.ArgumentError, exc.NoSuchModuleError, ValueError):
            raise ConfigError(
                f"{self._fix}: it is no database URL (example: mysql+pymysql://user:password@host/glance)"
            ) from None
        except ImportError as error:
            raise ConfigError(f"{self._fix}: the Python module {error.name!r} is not installed") from None
        except exc.SQLAlchemyError as error:
            raise ConfigError(f"{self._fix}: the database does not answer ({type(error).__name__})") from None
        missing = [x for x in (*IMAGES, *METADEFS) if x not in self.tables]
        if missing:
            raise ConfigError(
                f"{self._fix}: this is no database of Glance, or of too old a release: it has no table {missing[0]}"
            )

    def close(self) -> None:
        self._engine.dispose()

    def images(self) -> Iterator[GlanceImage]:
        """All of them, deleted ones too, by id."""
        last = ""
        while True:
            with self._engine.connect() as connection:
                images = self.tables["images"]
                found = _rows(connection, images.select().where(images.c.id > last).order_by(images.c.id).limit(BATCH))
                ids = [x["id"] for x in found]
                parts = {name: self._parts(connection, name, "image_id", ids) for name in IMAGES[1:]}
            for row in found:
                yield GlanceImage(row, *(parts[name][row["id"]] for name in IMAGES[1:]))
            if len(found) < BATCH:
                return
            last = ids[-1]

    def namespaces(self) -> Iterator[GlanceNamespace]:
        with self._engine.connect() as connection:
            table = self.tables["metadef_namespaces"]
            found = _rows(connection, table.select().order_by(table.c.id))
            ids = [x["id"] for x in found]
            properties, objects, tags, associations = (
                self._parts(connection, name, "namespace_id", ids)
                for name in (
                    "metadef_properties",
                    "metadef_objects",
                    "metadef_tags",
                    "metadef_namespace_resource_types",
                )
            )
            types = {x["id"]: x["name"] for x in _rows(connection, self.tables["metadef_resource_types"].select())}
        for row in found:
            key = row["id"]
            yield GlanceNamespace(
                row,
                properties[key],
                objects[key],
                tags[key],
                [{**x, "name": types[x["resource_type_id"]]} for x in associations[key]],
            )

    def _parts(
        self, connection: sqlalchemy.Connection, name: str, column: str, ids: Sequence[Any]
    ) -> defaultdict[Any, list[Row]]:
        table, found = self.tables[name], defaultdict[Any, list[Row]](list)
        order = table.c.id if "id" in table.c else table.c[column]
        for at in range(0, len(ids), BATCH):
            for row in _rows(
                connection, table.select().where(table.c[column].in_(ids[at : at + BATCH])).order_by(order)
            ):
                found[row[column]].append(row)
        return found


def _driven(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """With the Python driver that is installed here: Glance's URLs often name none."""
    name, _, driver = url.drivername.partition("+")
    if name in {"mysql", "mariadb"}:
        return url.set(drivername=f"mysql+{driver or 'pymysql'}")
    if name in {"postgresql", "postgres"} and (not driver or find_spec(driver) is None):
        return url.set(drivername=f"postgresql+{'psycopg' if find_spec('psycopg') else 'psycopg2'}")
    return url


def _reflected(connection: sqlalchemy.Connection) -> dict[str, Table]:
    metadata, there = MetaData(), set(sqlalchemy.inspect(connection).get_table_names())
    metadata.reflect(connection, only=[x for x in (*IMAGES, *METADEFS) if x in there], resolve_fks=False)
    return dict(metadata.tables)


def _rows(connection: sqlalchemy.Connection, query: Any) -> list[Row]:
    return [{name: _aware(value) for name, value in row.items()} for row in connection.execute(query).mappings()]


def _aware(value: Any) -> Any:
    """Glance stores its times in UTC, without saying so."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
