"""The care of the schema, on each database."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from glancecore_db_sql import rows, schema
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.engine import Session
from glancecore_db_sql.tables import METADATA
from sqlalchemy import event, inspect

from glancecore.domain import errors
from glancecore.domain.image import Image, Visibility
from glancecore.domain.staged import Digests, Staged
from glancecore.domain.task import Task, TaskType
from glancecore.features.cache.nodes import CacheNodes
from glancecore.ports.repository import ImageAdded, ImageQuery, Sort, SortField
from glancecore.ports.rolling_schema import SchemaStep
from glancecore.testing.examples import ADMIN, FRIEND, make_image

Open = Callable[..., SqlDatabase]
WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture
def empty(url: str, opened: Open) -> SqlDatabase:
    return opened(url)


def _rename(database: SqlDatabase, old: str, new: str) -> None:
    database.connections.write(
        lambda db: db.change("UPDATE alembic_version SET version_num = ? WHERE version_num = ?", new, old)
    )


def assert_expected(database: SqlDatabase) -> None:
    """The tables and indexes that the code expects, and no others."""
    with database.connections.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        # Of indexes, Alembic does not understand NULLS FIRST; of primary keys, it does not look at the order.
        assert [x for x in compare_metadata(context, METADATA) if "index" not in x[0]] == []
        found = inspect(connection)
        for table in METADATA.sorted_tables:
            assert {
                x["name"]: x["column_names"]
                for x in found.get_indexes(table.name)
                if not x.get("duplicates_constraint")
            } == {str(x.name): [column.name for column in x.columns] for x in table.indexes}, table.name
            assert found.get_pk_constraint(table.name)["constrained_columns"] == list(table.primary_key.columns.keys())


class Killed(BaseException):
    """As a process is, between two statements."""


WRITES = ("CREATE", "ALTER", "DROP", "UPDATE", "INSERT", "DELETE")


@contextmanager
def watched(database: SqlDatabase, before: Callable[[int], None]) -> Iterator[None]:
    """``before`` each statement that changes something is told its number."""
    count = itertools.count(1)

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().startswith(WRITES):
            before(next(count))

    event.listen(database.connections.engine, "before_cursor_execute", note)
    yield
    event.remove(database.connections.engine, "before_cursor_execute", note)


def sync_interrupted(database: SqlDatabase, revision: str) -> None:
    """Killed again and again: before every statement that changes something, where what came before stays."""
    stays = database.connections.dialect.name == "mysql"
    for attempt in itertools.count(1):
        most = 1 + attempt % 3 if stays else 10 * attempt  # an UPDATE is made again each time

        def kill(number: int, most: int = most) -> None:
            if number > most:
                raise Killed

        with watched(database, kill), suppress(Killed):
            database.sync(revision)
        if database.version() == revision:
            return


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


@contextmanager
def next_release() -> Iterator[str]:
    """The code as the next release has it: it adds 9001, and takes away by 9002. What the former one's head is."""
    with pytest.MonkeyPatch.context() as patch:
        head = schema.REVISIONS[-1]
        patch.setattr(schema, "OLDEST", head)
        patch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9001", "9002"))
        patch.setattr(schema, "CONTRACTS", frozenset({"9002"}))
        patch.setattr(
            schema,
            "FOLDERS",
            [*schema.FOLDERS, str(Path(__file__).parents[3] / "tests" / "e2e" / "next_release" / "versions")],
        )
        yield head


class TestRollingUpgrade:
    """One database, and in turn the code of two releases."""

    def test_what_only_takes_away_comes_last(self) -> None:
        later = schema.REVISIONS[schema.REVISIONS.index(schema.OLDEST) + 1 :]
        assert [x in schema.CONTRACTS for x in later] == sorted(x in schema.CONTRACTS for x in later)
        assert schema.CONTRACTS <= set(later), "those of former releases are made by these"

    def test_a_new_database_gets_everything(self, empty: SqlDatabase) -> None:
        assert empty.schema_step() is SchemaStep.SYNC
        with pytest.raises(errors.ConfigError, match="db contract: the schema is at None, and is to be expanded first"):
            empty.contract()
        empty.expand()
        assert (empty.version(), empty.schema_step()) == (empty.head(), SchemaStep.NOTHING)

    def test_too_old_a_schema_is_not_expanded_beside_nodes(
        self, empty: SqlDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9998", "9999"))
        monkeypatch.setattr(schema, "OLDEST", "9998")
        assert empty.schema_step() is SchemaStep.SYNC
        with pytest.raises(errors.ConfigError, match=r"only nodes that serve on 9998.*stop all nodes"):
            empty.expand()

    def test_the_former_release_serves_until_contract(self, empty: SqlDatabase) -> None:
        image = make_image(name="before")
        empty.images.commit(ImageAdded(image))
        with next_release() as head:
            empty.ping()
            assert empty.schema_step() is SchemaStep.EXPAND
            with pytest.raises(errors.ConfigError, match="is to be expanded first"):
                empty.contract()
            with watched(empty, _killed_at_the_first), suppress(Killed):
                empty.expand()
            assert empty.version() == head
            empty.expand()
            empty.expand()
            assert (empty.version(), empty.schema_step()) == ("9001", SchemaStep.CONTRACT)
        empty.ping()
        assert empty.schema_step() is SchemaStep.NEWER
        empty.images.commit(ImageAdded(make_image(name="meanwhile")))
        for call in (empty.sync, partial(empty.sync, head)):
            with pytest.raises(errors.ConfigError, match="of a newer release, on which this one serves as it is"):
                call()
        with next_release():
            empty.contract()
            empty.contract()
            assert (empty.version(), empty.schema_step()) == ("9002", SchemaStep.NOTHING)
            assert empty.images.get_any(image.id) == image
        with pytest.raises(errors.SchemaUnknown, match="9002, which this version does not know"):
            empty.ping()
        with pytest.raises(errors.SchemaUnknown):
            empty.expand()


def _killed_at_the_first(number: int) -> None:
    """Behind the note of who serves, which is one commit of its own."""
    if number > 1:
        raise Killed


class TestUpgradeToThisRelease:
    def test_what_nodes_have_cached_is_a_record_from_0012_on(self, empty: SqlDatabase) -> None:
        empty.sync("0011")
        image = make_image()
        empty.images.commit(ImageAdded(image))
        for node in ("http://one.example:9292", "http://two.example:9292"):
            empty.connections.write(
                lambda db, node=node: db.change(
                    "INSERT INTO cached_images (image_id, node) VALUES (?, ?)", image.id, node
                )
            )
        for table in (
            "logbooks",
            "flowdetails",
            "atomdetails",
            "import_logbooks",
        ):  # TaskFlow's came with the first import
            empty.connections.write(lambda db, table=table: db.change(f"CREATE TABLE {table} (id INTEGER)"))
        nodes = CacheNodes(empty)
        nodes.hold(image.id, "http://two.example:9292")  # by a node of this release, before the schema is expanded
        assert empty.schema_step() is SchemaStep.EXPAND
        empty.expand()
        assert nodes.nodes(image.id) == ["http://one.example:9292", "http://two.example:9292"]
        nodes.replace("http://one.example:9292", [])
        empty.contract()
        assert_expected(empty)
        assert not {"logbooks", "flowdetails", "atomdetails", "import_logbooks"} & set(
            inspect(empty.connections.engine).get_table_names()
        )
        assert nodes.nodes(image.id) == ["http://two.example:9292"]


class TestSyncedSchema:
    def test_sync_may_be_called_again(self, synced: SqlDatabase) -> None:
        synced.sync()
        synced.sync(synced.head())
        synced.ping()
        assert synced.version() == synced.head()

    def test_migrations_make_the_tables_that_the_code_expects(self, synced: SqlDatabase) -> None:
        assert_expected(synced)

    def test_an_unknown_revision_is_refused(self, synced: SqlDatabase) -> None:
        with pytest.raises(errors.ConfigError, match="never"):
            synced.sync("never")
        synced.ping()

    def test_an_older_schema_asks_for_sync(self, synced: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9998", "9999"))
        monkeypatch.setattr(schema, "OLDEST", "9998")
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


class TestFilledSchema:
    def test_lists_are_the_same_behind_an_upgrade(self, empty: SqlDatabase) -> None:
        empty.sync("0008")
        made = fill(empty)
        empty.sync()
        assert_listed(empty, made)


class TestInterruptedSync:
    def test_an_upgrade_that_was_interrupted_is_run_again(self, empty: SqlDatabase) -> None:
        sync_interrupted(empty, "0008")
        made = fill(empty)
        sync_interrupted(empty, empty.head())
        assert_expected(empty)
        assert_listed(empty, made)


@pytest.mark.parametrize("url", ["sqlite", "mariadb"], indirect=True)
class TestSyncBesideReaders:
    """PostgreSQL names no index in a list, and lets readers wait."""

    def test_no_index_is_missing_meanwhile(self, empty: SqlDatabase, url: str, opened: Open) -> None:
        empty.sync("0008")
        fill(empty)
        other, asked = opened(url), []

        def read(_number: int) -> None:
            for table, index in (
                ("images", "images_owner_created"),
                ("images", "images_visibility_created"),
                ("image_members", "image_members_member"),
            ):
                asked.append(
                    other.connections.read(
                        partial(Session.rows, text=f"SELECT 1 FROM {table}{other.connections.dialect.by_index(index)}")
                    )
                )

        with watched(empty, read):
            empty.sync()
        assert {len(x) for x in asked} == {5}


@pytest.mark.parametrize("url", ["mariadb"], indirect=True)
class TestLockOfTheSchema:
    def test_who_does_not_get_it_changes_nothing(
        self, empty: SqlDatabase, url: str, opened: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = opened(url)
        dialect = type(empty.connections.dialect)
        text = str(dialect.lock_schema)

        def beside(db: Session) -> None:
            db.rows(text)
            monkeypatch.setattr(dialect, "lock_schema", text.replace("600", "0"))
            with pytest.raises(errors.DatabaseUnavailable, match="another process"):
                empty.sync()
            monkeypatch.undo()
            db.rows(str(dialect.unlock_schema))

        other.connections.read(beside)
        assert empty.version() is None
        empty.sync()
        assert empty.version() == empty.head()


def fill(empty: SqlDatabase) -> list[Image]:
    """At revision 0008, which knows nothing of the images in its members' lists."""
    made = [
        make_image(n, name=str(n), visibility=visibility, hidden=n == 3, size=n, tags=("t",))
        for n, visibility in enumerate(
            (Visibility.SHARED, Visibility.SHARED, Visibility.PRIVATE, Visibility.SHARED, Visibility.PUBLIC)
        )
    ]

    def work(db: Session) -> None:
        for image in made:
            db.change(
                f"INSERT INTO images ({', '.join(rows.COLUMNS)}) VALUES ({', '.join('?' * len(rows.COLUMNS))})",
                *rows.encode(image),
            )
            for facet in rows.facets(image):
                db.change(
                    "INSERT INTO image_facets (image_id, facet, owner, visibility, shelf, created_at) VALUES (?, ?, ?,"
                    " ?, ?, ?)",
                    image.id,
                    facet,
                    image.owner,
                    image.visibility.value,
                    rows.shelf(image),
                    rows.micros(image.created_at),
                )
            at = rows.micros(image.created_at)
            db.change(
                "INSERT INTO image_members (image_id, member, status, image_created_at, created_at, updated_at) VALUES"
                " (?, ?, ?, ?, ?, ?)",
                image.id,
                "friends",
                "accepted" if image is not made[1] else "pending",
                at,
                at,
                at,
            )

    empty.connections.write(work)
    return made


def assert_listed(empty: SqlDatabase, made: list[Image]) -> None:
    empty.ping()
    for asked, names in (
        ({}, "40"),
        ({"hidden": True}, "3"),
        ({"member_status": None}, "410"),
        ({"tags": ("t",)}, "40"),
        ({"sort": (Sort(SortField.SIZE, descending=False), Sort(SortField.ID))}, "04"),
        ({"visibility": Visibility.SHARED}, "0"),
    ):
        assert "".join(x.name or "" for x in empty.images.find(ImageQuery(FRIEND, **asked)).images) == names, asked  # type: ignore[arg-type]
    assert len(empty.images.find(ImageQuery(ADMIN)).images) == 4


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
