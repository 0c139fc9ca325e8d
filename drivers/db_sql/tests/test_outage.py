"""A database that can't be used: the operator is told why, once, and users nothing of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.engine import Session
from sqlalchemy import URL

from glancecore.domain import errors
from glancecore.ports.repository import ImageAdded, ImageChanged
from glancecore.testing.examples import make_image, saved

from .conftest import server_url

Open = Callable[..., SqlDatabase]

WRONG: dict[str, Callable[[URL], URL]] = {
    "password": lambda url: url.set(password="sesame"),
    "user": lambda url: url.set(username="nobody_here", password="sesame"),
    "name": lambda url: url.set(database="no_such_database"),
    "port": lambda url: url.set(port=1, password="sesame"),
    "host": lambda url: url.set(host="no-such-host.invalid", password="sesame"),
}
FIXES = {
    "password": "correct its user and password",
    "user": "correct its user and password",
    "name": "correct the name",
    "port": "correct its host and port",
    "host": "correct its host and port",
}


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
@pytest.mark.parametrize("what", WRONG)
def test_the_cause_is_told_to_the_operator_once(
    opened: Open, kind: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = server_url(kind)
    url = WRONG[what](good)
    database = opened(url.render_as_string(hide_password=False))
    for call in (database.ping, database.version, database.sync):
        with pytest.raises(errors.DatabaseUnavailable) as caught:
            call()
        assert str(caught.value) == "the database can't be used at the moment"
        (note,) = caught.value.__notes__
        assert "[database] connection" in note
        assert FIXES[what] in note
        for secret in ("sesame", str(good.password)):
            assert f":{secret}@" not in note
    said = [x for x in caplog.records if x.levelno >= logging.WARNING and x.name.startswith("glancecore_db_sql")]
    assert [x.levelname for x in said] == ["ERROR"]
    assert FIXES[what] in said[0].getMessage()
    assert "sesame" not in said[0].getMessage()


def test_the_end_is_told_once_as_well(opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "mount"
    database = opened(f"sqlite:///{folder}/glance.sqlite")
    for _ in range(3):
        with pytest.raises(errors.DatabaseUnavailable):
            database.version()
    folder.mkdir()
    for _ in range(3):
        assert database.version() is None
    folder.rename(tmp_path / "gone")
    database.close()
    with pytest.raises(errors.DatabaseUnavailable):
        database.version()
    said = [(x.levelname, "again" in x.getMessage()) for x in caplog.records if x.name == "glancecore_db_sql.outage"]
    assert said == [("ERROR", False), ("WARNING", True), ("ERROR", False)]


#: How long a session waits for a lock of another: as short as can be said.
WAITS = {
    "sqlite": (),
    "mysql": ("SET SESSION innodb_lock_wait_timeout = 1",),
    "postgresql": ("SET lock_timeout = '10ms'",),
}


class TestLocks:
    def test_who_waits_too_long_for_a_lock_is_told_so_and_no_outage(
        self,
        database: SqlDatabase,
        url: str,
        opened: Open,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        image = make_image()
        database.images.commit(ImageAdded(image))
        dialect = type(database.connections.dialect)
        monkeypatch.setattr(dialect, "settings", (*dialect.settings, *WAITS[dialect.name]))
        other = opened(url, sqlite_busy_timeout=0, db_max_retries=0)

        def hold(db: Session) -> None:
            db.change("UPDATE images SET name = 'held' WHERE id = ?", image.id)
            with pytest.raises(errors.DatabaseUnavailable) as caught:
                other.images.commit(ImageChanged(image, saved(image, name="new")))
            assert "busy" in str(caught.value)
            (note,) = caught.value.__notes__
            assert "another transaction holds" in note
            assert "host and port" not in note

        database.connections.write(hold)
        assert other.images.get(image.id).name == "held"
        assert [x for x in caplog.records if x.name == "glancecore_db_sql.outage"] == []
