"""Wrong settings, broken connections, deadlocks, forks and several processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.engine import Session
from sqlalchemy import make_url

from glancecore.domain import errors
from glancecore.ports.repository import ImageAdded, ImageChanged, ImageQuery
from glancecore.testing.examples import OWNER, make_image, saved
from glancecore.testing.relay import Relay, relay
from glancecore.testing.repository import race

Open = Callable[..., SqlDatabase]
WRITER = Path(__file__).with_name("writer.py")


# -- settings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "connection",
    ["no url", "", "oracle://u:sesame@h/d", "sqlite://", "sqlite:///:memory:", "mysql://u:sesame@h:port/d"],
)
def test_a_wrong_url_names_the_option(opened: Open, connection: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"\[database\] connection") as told:
        opened(connection)
    assert "sesame" not in "".join(traceback.format_exception(told.value))


@pytest.mark.parametrize(
    "connection", ["mysql+oursql://u:sesame@h/d", "mysql+mysqldb://u:sesame@h/d", "postgresql+asyncpg://u:sesame@h/d"]
)
def test_a_missing_driver_names_option_and_module(opened: Open, connection: str) -> None:
    database = opened(connection)
    with pytest.raises(errors.ConfigError, match=r"\[database\] connection.*Python module") as told:
        database.ping()
    assert "sesame" not in str(told.value)


@pytest.mark.parametrize(
    "connection",
    [
        "mysql://glance:sesame@127.0.0.1:9/d",
        "mysql+pymysql://glance:sesame@127.0.0.1:9/d?charset=utf8",
        "postgresql://glance:sesame@127.0.0.1:9/d",
        "postgresql+psycopg2://glance:sesame@127.0.0.1:9/d",
        "postgres://glance:sesame@127.0.0.1:9/d",
        "mariadb+pymysql://glance:sesame@127.0.0.1:9/d",
        "sqlite:////nonexistent/folder/x.sqlite",
    ],
)
def test_an_unreachable_database_is_unavailable(opened: Open, connection: str) -> None:
    database = opened(connection)
    for call in (
        database.ping,
        database.version,
        lambda: database.images.get("x"),
        lambda: database.images.commit(ImageAdded(make_image())),
    ):
        with pytest.raises(errors.DatabaseUnavailable) as told:
            call()
        assert told.value.retryable
        assert "sesame" not in "".join(traceback.format_exception(told.value))
        assert "127.0.0.1" not in str(told.value)


def test_a_database_without_schema_is_unavailable(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(errors.DatabaseUnavailable):
        opened(f"sqlite:///{tmp_path}/x.sqlite").images.get("x")


# -- on each database ------------------------------------------------------------------------------
def _commit_one(database: SqlDatabase, lists: list[list[ImageChanged]], number: int) -> None:
    database.images.commit(*lists[number])


class TestConnections:
    def test_all_connections_in_use_is_unavailable(self, database: SqlDatabase, url: str, opened: Open) -> None:
        small = opened(url, max_pool_size=1, max_overflow=0, pool_timeout=0.05)
        with small.connections.engine.connect(), pytest.raises(errors.DatabaseUnavailable, match="in use"):
            small.images.get("x")
        with pytest.raises(errors.ImageNotFound):
            small.images.get("x")

    def test_a_value_that_does_not_fit_is_invalid_or_kept(self, database: SqlDatabase) -> None:
        image = make_image(name="x" * 300)
        try:
            database.images.commit(ImageAdded(image))
        except errors.Invalid:
            assert database.connections.dialect.name != "sqlite"
            assert list(database.images.find(ImageQuery(OWNER)).images) == []
        else:
            assert database.images.get(image.id) == image

    def test_no_connection_leaks(self, database: SqlDatabase) -> None:
        image = make_image()
        database.images.commit(ImageAdded(image))
        for _ in range(100):
            for error, call in (
                (errors.ImageExists, lambda: database.images.commit(ImageAdded(image))),
                (errors.ImageNotFound, lambda: database.images.get("x")),
                (ValueError, lambda: database.images.commit(ImageChanged(image, image))),
            ):
                with pytest.raises(error):
                    call()
        assert "Current Checked out connections: 0" in database.connections.engine.pool.status()
        database.images.commit(ImageChanged(image, saved(image)))

    def test_crossing_commits_see_no_deadlock(self, database: SqlDatabase) -> None:
        one, two = make_image(), make_image()
        database.images.commit(ImageAdded(one), ImageAdded(two))
        for _ in range(10):
            changes = [ImageChanged(one, saved(one)), ImageChanged(two, saved(two))]
            order = [changes, changes[::-1]]
            told = race(2, partial(_commit_one, database, order))
            assert sorted(type(x).__name__ for x in told) == ["ConcurrentChange", "NoneType"]
            one, two = saved(one), saved(two)

    @pytest.mark.filterwarnings(
        "ignore:.*fork.*:DeprecationWarning"
    )  # of Python 3.12: with threads, which is the point
    def test_a_forked_child_has_connections_of_its_own(self, database: SqlDatabase) -> None:
        image, second, third = make_image(), make_image(), make_image()
        database.images.commit(ImageAdded(image))
        held = threading.Event()
        go_on = threading.Event()

        def work(_: Session) -> bool:  # a thread is in the middle of a commit while the process forks
            held.set()
            return go_on.wait(20)

        thread = threading.Thread(target=database.connections.write, args=(work,))
        thread.start()
        assert held.wait(10)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                database.close()
                assert database.images.get(image.id) == image
                status = 0
            finally:
                os._exit(status)
        go_on.set()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0
        child = os.fork()
        if child == 0:  # and one that forgot to close
            status = 1
            try:
                database.images.commit(ImageAdded(second))
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        database.images.commit(ImageAdded(third))
        assert len(database.images.find(ImageQuery(OWNER)).images) == 3

    def test_several_processes_write_at_once(self, database: SqlDatabase, url: str) -> None:
        running = [subprocess.Popen([sys.executable, WRITER, url, "25"], stderr=subprocess.PIPE) for _ in range(4)]
        for process in running:
            _, told = process.communicate(timeout=120)
            assert process.returncode == 0, told.decode()
        assert database.images.usage("ours").images == 100
        assert len(database.images.find(ImageQuery(OWNER, tags=("a",), limit=1000)).images) == 100

    def test_a_closed_database_opens_again(self, database: SqlDatabase) -> None:
        database.close()
        database.close()
        assert list(database.images.find(ImageQuery(OWNER)).images) == []


def test_sqlite_commits_are_on_disk_and_readers_do_not_wait(opened: Open, tmp_path: Path) -> None:
    database = opened(f"sqlite:///{tmp_path}/x.sqlite")
    database.sync()

    def setting(name: str) -> object:
        return database.connections.read(lambda db: db.rows(f"PRAGMA {name}"))[0][0]

    assert (setting("journal_mode"), setting("synchronous"), setting("foreign_keys")) == ("wal", 2, 1)


# -- broken connections ----------------------------------------------------------------------------
class TestBrokenConnections:
    """On the databases that have connections to break."""

    @pytest.fixture
    def between(self, synced: SqlDatabase) -> Iterator[Relay | None]:
        url = synced.connections.url
        if url.host is None or url.port is None:
            yield None
            return
        with relay(url.host, url.port) as made:
            yield made

    @pytest.fixture
    def remote(self, database: SqlDatabase, url: str, between: Relay | None, opened: Open) -> SqlDatabase:
        if between is None:
            return database
        # In the clear: the relay looks for words.
        there = make_url(url).set(host="127.0.0.1", port=between.port)
        if there.get_backend_name() == "postgresql":
            there = there.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
        return opened(there.render_as_string(hide_password=False))

    def test_a_connection_that_died_idle_is_replaced(self, remote: SqlDatabase, between: Relay | None) -> None:
        image = make_image()
        remote.images.commit(ImageAdded(image))
        for n, word in enumerate((rb"SELECT", rb"BEGIN|START TRANSACTION", rb"INSERT INTO images", rb"UPDATE images")):
            if between is not None:
                between.word = re.compile(word)
            assert remote.images.get(image.id) == image
            remote.images.commit(ImageAdded(make_image()), ImageChanged(image, saved(image, name=f"name {n}")))
            image = remote.images.get(image.id)
            assert image.name == f"name {n}"
            assert between is None or between.cuts == n + 1
        assert len(remote.images.find(ImageQuery(OWNER)).images) == 5

    @pytest.mark.parametrize("deliver", [False, True])
    def test_a_commit_whose_answer_is_lost_is_not_repeated(
        self, remote: SqlDatabase, between: Relay | None, deliver: bool
    ) -> None:
        image, next_one = make_image(), make_image()
        if between is not None:
            assert list(remote.images.find(ImageQuery(OWNER)).images) == []
            between.word, between.deliver = re.compile(rb"COMMIT(?!TED)"), deliver
            with pytest.raises(errors.DatabaseUnavailable, match="may or may not"):
                remote.images.commit(ImageAdded(image))
            assert ([x.id for x in remote.images.find(ImageQuery(OWNER)).images] == [image.id]) is deliver
        remote.images.commit(ImageAdded(next_one))
        assert remote.images.get(next_one.id) == next_one
