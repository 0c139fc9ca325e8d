"""The care of the schema, on each database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from glancecore_db_sql import rows, schema
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.tables import METADATA
from sqlalchemy import inspect

from glancecore.domain import errors
from glancecore.domain.image import Digests, Staged
from glancecore.domain.task import Task, TaskType

Open = Callable[..., SqlDatabase]
WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture
def empty(url: str, opened: Open) -> SqlDatabase:
    return opened(url)


def _rename(database: SqlDatabase, old: str, new: str) -> None:
    database.connections.write(
        lambda db: db.change("UPDATE alembic_version SET version_num = ? WHERE version_num = ?", new, old))


class TestFirstSync:
    def test_an_empty_database_asks_for_sync(self, empty: SqlDatabase) -> None:
        assert empty.version() is None
        with pytest.raises(errors.ConfigError, match="glance-manage db sync"):
            empty.ping()

    def test_two_processes_sync_at_once(self, empty: SqlDatabase, url: str) -> None:
        running = [subprocess.Popen([sys.executable, WRITER, url, "sync"], stderr=subprocess.PIPE) for _ in range(3)]
        for process in running:
            _, told = process.communicate(timeout=60)
            assert process.returncode == 0, told.decode()
        assert empty.version() == empty.head()


class TestSyncedSchema:
    def test_sync_may_be_called_again(self, synced: SqlDatabase) -> None:
        synced.sync()
        synced.sync(synced.head())
        synced.ping()
        assert synced.version() == synced.head()

    def test_migrations_make_the_tables_that_the_code_expects(self, synced: SqlDatabase) -> None:
        with synced.connections.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            # Of indexes, Alembic does not understand NULLS FIRST; of primary keys, it does not look at the order.
            assert [x for x in compare_metadata(context, METADATA) if "index" not in x[0]] == []
            found = inspect(connection)
            for table in METADATA.sorted_tables:
                assert {x["name"]: x["column_names"] for x in found.get_indexes(table.name)
                        if not x.get("duplicates_constraint")} == {
                    str(x.name): [column.name for column in x.columns] for x in table.indexes}, table.name
                assert found.get_pk_constraint(table.name)["constrained_columns"] == list(table.primary_key.columns.keys())

    def test_an_unknown_revision_is_refused(self, synced: SqlDatabase) -> None:
        with pytest.raises(errors.ConfigError, match="never"):
            synced.sync("never")
        synced.ping()

    def test_an_older_schema_asks_for_sync(self, synced: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
        with pytest.raises(errors.ConfigError, match=r"needs 9999.*glance-manage db sync"):
            synced.ping()

    def test_a_newer_or_foreign_schema_is_refused(self, synced: SqlDatabase) -> None:
        known = synced.version()
        for version, back in (("zed_expand01", known), (known, "zed_expand01")):
            _rename(synced, str(back), str(version))
            if version != known:
                for call in (synced.ping, synced.sync):
                    with pytest.raises(errors.ConfigError, match="newer version or another program"):
                        call()
        synced.ping()


def test_the_revisions_are_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", "glancecore_db_sql:migrations")
    found = [x.revision for x in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == schema.REVISIONS


def test_rows_that_are_older_than_kept_data_are_read() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    staged = Staged("staging", "key", "file:///key", Digests(5, "m", "sha512", "h"))
    task = Task("id", TaskType.API_IMAGE_IMPORT, at, at, kept=staged, kept_until=at)
    *row, document = rows.encode_task(task)
    found = json.loads(document)
    for name in ("original", "arrived", "worked"):
        del found["kept"][name]
    assert rows.task((*row, json.dumps(found))) == task
    del found["kept"]
    assert rows.task((*row, json.dumps(found))).kept is None


def test_the_driver_starts_without_alembic() -> None:
    code = "import sys, glancecore_db_sql.driver; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_options_need_oslo_config_only() -> None:
    code = "import sys, glancecore_db_sql.options; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
