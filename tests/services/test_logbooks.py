"""Logbooks of imports as records."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.features.imports.flow import logbook
from glancecore.features.imports.flow.document_logbook import DocumentBackend
from glancecore.features.imports.flow.logbook import Logbook, Logbooks
from glancecore.testing.fakes import MemoryDatabase


@pytest.fixture
def books() -> Logbooks:
    return Logbooks(MemoryDatabase())


def test_what_was_put_is_got(books: Logbooks) -> None:
    assert books.get("one") is None
    for version in (1, 2):
        made = Logbook(version, {"/flow/one": f"\U0001f600 {version} " + "x" * 100_000, "/link": ""})
        books.put("one", made)
        assert books.get("one") == made
    books.put("two", Logbook(1, {}))
    books.forget("one")
    books.forget("never there")
    assert (books.get("one"), books.get("two")) == (None, Logbook(1, {}))


def test_what_is_not_written_into_is_quiet(books: Logbooks, monkeypatch: pytest.MonkeyPatch) -> None:
    books.put("one", Logbook(1, {}))
    assert books.quiet() == []
    monkeypatch.setattr(logbook, "QUIET", -logbook.QUIET)
    books.put("two", Logbook(1, {}))
    assert books.quiet() == ["two"]
    books.put("one", Logbook(2, {}))
    assert sorted(books.quiet()) == ["one", "two"]


@pytest.mark.parametrize("version", [1, 2, 4, 5])
def test_who_was_overtaken_cannot_save(books: Logbooks, version: int) -> None:
    books.put("one", Logbook(1, {"a": "1"}))
    books.put("one", Logbook(2, {"b": "2"}))
    with pytest.raises(errors.ConcurrentChange):
        books.put("one", Logbook(version, {"c": "3"}))
    assert books.get("one") == Logbook(2, {"b": "2"})


def test_a_book_that_is_gone_is_not_written_into(books: Logbooks) -> None:
    books.put("one", Logbook(1, {}))
    books.forget("one")
    with pytest.raises(errors.ConcurrentChange):
        books.put("one", Logbook(2, {}))
    assert books.get("one") is None


def test_one_of_many_saves(books: Logbooks) -> None:
    def put(number: int) -> bool:
        try:
            books.put("one", Logbook(1, {"n": str(number)}))
        except errors.ConcurrentChange:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert won.count(True) == 1
    assert books.get("one") == Logbook(1, {"n": str(won.index(True))})


def atom(state: str, **more: Any) -> dict[str, Any]:
    return {"atom": {"state": state, "meta": {}, **more}, "type": "TASK_DETAIL"}


def test_ends_are_saved_with_what_came_before(books: Logbooks) -> None:
    backend = DocumentBackend(books, "one")
    for value in (atom("PENDING"), atom("RUNNING"), atom("RUNNING", meta={"progress": 0.5})):
        backend.set("/atoms/1", value)
        backend.save()
        assert books.get("one") is None, "whoever takes over begins it anew"
    for version, value in enumerate((atom("SUCCESS"), atom("SUCCESS", intention="REVERT"), atom("REVERTED")), 1):
        backend.set("/atoms/1", value)
        backend.save()
        saved = dict(backend.items)
        backend.set("/atoms/1", atom(**{**value["atom"], "meta": {"progress": 1.0}}))
        backend.save()
        assert books.get("one") == Logbook(version, saved)
    assert DocumentBackend(books, "one").items == saved


def test_what_could_not_be_saved_is_saved_the_next_time(books: Logbooks, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = DocumentBackend(books, "one")
    backend.set("/atoms/1", atom("SUCCESS"))
    with monkeypatch.context() as patch:
        patch.setattr(books, "put", lambda *_: (_ for _ in ()).throw(errors.DatabaseUnavailable("away")))
        with pytest.raises(errors.DatabaseUnavailable):
            backend.save()
    backend.save()
    assert DocumentBackend(books, "one").items == backend.items


@pytest.mark.parametrize(
    "text", ["\udcff", 1 << 70, {1: 2}], ids=["half a surrogate pair", "a large number", "a key that is no text"]
)
def test_whatever_a_failure_is_made_of(books: Logbooks, text: object) -> None:
    backend = DocumentBackend(books, "one")
    backend.set("/atoms/1", atom("FAILURE", failure={"exception_str": text}))
    backend.save()
    found = DocumentBackend(books, "one").get_connection()._get_item("/atoms/1")["atom"]["failure"]["exception_str"]
    assert found == ({"1": 2} if isinstance(text, dict) else text)
