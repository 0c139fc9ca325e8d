"""Connections are counted: open and busy ones, and those that may be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from glancecore_db_sql.engine import Connections
from glancecore_db_sql.options import OPTIONS

from glancecore.sdk import measures
from glancecore.testing.settings import make_section


def counted() -> dict[str, float]:
    found = {x.labels["state"]: x.value for x in measures.DATABASE_CONNECTIONS.collect()[0].samples}
    return {**found, "limit": measures.DATABASE_CONNECTIONS_LIMIT.collect()[0].samples[0].value}


@pytest.fixture
def before() -> dict[str, float]:
    measures.DATABASE_CONNECTIONS.labels("open")
    measures.DATABASE_CONNECTIONS.labels("busy")
    return counted()


@pytest.fixture
def connections(before: dict[str, float], tmp_path: Path) -> Iterator[Connections]:
    made = Connections(
        make_section(OPTIONS, connection=f"sqlite:///{tmp_path}/x.sqlite", max_pool_size=1, max_overflow=2)
    )
    yield made
    made.close()


def since(before: dict[str, float]) -> dict[str, float]:
    return {name: value - before[name] for name, value in counted().items()}


def test_they_are_counted(before: dict[str, float], connections: Connections) -> None:
    assert since(before) == {"open": 0, "busy": 0, "limit": 0}, "nothing is opened before it is asked for"
    seen: list[dict[str, float]] = []
    connections.read(lambda session: seen.append(since(before)) or session.row("select 1"))
    assert seen == [{"open": 1, "busy": 1, "limit": 3}]
    assert since(before) == {"open": 1, "busy": 0, "limit": 3}
    connections.close()
    assert since(before) == {"open": 0, "busy": 0, "limit": 0}


def test_those_beyond_the_pool_are_closed_after_use(before: dict[str, float], connections: Connections) -> None:
    both, seen = threading.Barrier(2), list[dict[str, float]]()

    def use() -> None:
        def work(_: object) -> None:
            both.wait(30)
            seen.append(since(before))
            both.wait(30)

        connections.read(work)

    threads = [threading.Thread(target=use) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {(x["open"], x["busy"]) for x in seen} == {(2, 2)}
    assert since(before) == {"open": 1, "busy": 0, "limit": 3}


def test_one_that_has_broken_is_counted_once(before: dict[str, float], connections: Connections) -> None:
    with connections.engine.connect() as connection:
        connection.invalidate()
    assert since(before) == {"open": 0, "busy": 0, "limit": 3}
