"""glance-manage outbox, on an outbox in memory."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from glancecore.cmd.manage import parser
from glancecore.domain.errors import Invalid
from glancecore.ports.outbox_repository import EventsRecorded, OutboxEvent
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.outbox_repository import failed


@pytest.fixture
def database() -> MemoryDatabase:
    made, now = MemoryDatabase(), datetime.now(UTC)
    made.images.commit(
        EventsRecorded(
            tuple(
                OutboxEvent(
                    f"id-{n}",
                    "webhook:a" if n % 2 else "webhook:b",
                    f"s{n}",
                    "image.create",
                    now - timedelta(days=n),
                    {"n": n},
                )
                for n in range(6)
            )
        )
    )
    return made


def run(database: MemoryDatabase, *words: str) -> int:
    args: argparse.Namespace = parser().parse_args(words)
    return int(args.run(args, database))


def told(database: MemoryDatabase, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run(database, "--json", "outbox", *words) == 0
    return json.loads(capsys.readouterr().out)


def test_list(database: MemoryDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    (delivery, *_) = database.outbox.claim("webhook:a", 1, 60)
    database.outbox.settle([failed(delivery, 60, "it answered 500")])
    found = told(database, capsys, "list", "--limit", "3")
    assert [(x["destination"], x["count"], x["failed"], x["oldest_seconds"] // 86400) for x in found["waiting"]] == [
        ("webhook:a", 3, 1, 5),
        ("webhook:b", 3, 0, 4),
    ]
    assert [(x["id"], x["attempts"], x["error"], x["data"]) for x in found["events"]] == [
        ("id-0", 0, None, {"n": 0}),
        ("id-1", 1, "it answered 500", {"n": 1}),
        ("id-2", 0, None, {"n": 2}),
    ]
    assert {x["destination"] for x in told(database, capsys, "list", "--destination", "webhook:b")["events"]} == {
        "webhook:b"
    }
    assert run(database, "outbox", "list") == 0
    text = capsys.readouterr().out
    assert "webhook:a: 3 waiting, 1 tried in vain, the oldest for 5 days" in text
    assert "image.create s1 id-1 attempts=1: it answered 500" in text
    assert run(MemoryDatabase(), "outbox", "list") == 0
    assert capsys.readouterr().out == "nothing waits\n"


def test_retry(database: MemoryDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    database.outbox.settle(
        [failed(x) for name in ("webhook:a", "webhook:b") for x in database.outbox.claim(name, 9, 60)]
    )
    assert told(database, capsys, "retry", "--destination", "webhook:a") == {"due": 3}
    assert len(database.outbox.claim("webhook:a", 9, 60)) == 3
    assert database.outbox.claim("webhook:b", 9, 60) == []
    assert told(database, capsys, "retry") == {"due": 3}


def test_purge(database: MemoryDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--destination", "webhook:a", "--all")):
        with pytest.raises(Invalid, match="--destination, or say --all"):
            run(database, "outbox", "purge", *words)
    assert told(database, capsys, "purge", "--all", "--age-in-days", "4.5") == {"removed": 1}
    assert told(database, capsys, "purge", "--destination", "webhook:b") == {"removed": 3}
    assert [x.event.id for x in database.outbox.find()] == ["id-1", "id-3"]
    assert told(database, capsys, "purge", "--all") == {"removed": 2}
