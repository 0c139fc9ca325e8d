"""Logbooks of imports, kept by the registry for nodes that have no SQL database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from glancecore_db_registry.driver import RegistryDatabase

from glancecore.domain import errors
from glancecore.ports.logbook_repository import Logbook, LogbookRepository


@pytest.fixture
def books(database: RegistryDatabase) -> LogbookRepository:
    found = database.logbooks
    assert found is not None
    for task_id in found.ids():
        found.forget(task_id)
    return found


def test_what_was_put_is_got(books: LogbookRepository) -> None:
    assert books.get("one") is None
    for serial in (1, 2):
        made = Logbook(serial, f"\U0001f600 {serial} " + "x" * 100_000)
        books.put("one", made)
        assert books.get("one") == made
    books.put("two", Logbook(1, "{}"))
    assert sorted(books.ids()) == ["one", "two"]
    books.forget("one")
    books.forget("never there")
    assert (books.ids(), books.get("one")) == (["two"], None)


@pytest.mark.parametrize("serial", [1, 2, 4, 5])
def test_who_was_overtaken_cannot_save(books: LogbookRepository, serial: int) -> None:
    books.put("one", Logbook(1, "a"))
    books.put("one", Logbook(2, "b"))
    with pytest.raises(errors.ConcurrentChange):
        books.put("one", Logbook(serial, "c"))
    assert books.get("one") == Logbook(2, "b")


def test_one_of_many_saves(books: LogbookRepository) -> None:
    def put(number: int) -> bool:
        try:
            books.put("one", Logbook(1, str(number)))
        except errors.ConcurrentChange:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert won.count(True) == 1
    assert books.get("one") == Logbook(1, str(won.index(True)))
