"""Sources that break off and begin again: what they send twice is judged by the same pace and the same time."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from glancecore.domain import errors
from glancecore.features.imports.import_services import ImportSettings
from glancecore.features.imports.stages import fetching
from glancecore.features.imports.stages.watch import Watch
from glancecore.ports.import_method import FetchedBody
from glancecore.ports.import_method import Source as Kind
from glancecore.sdk.deadline import CUTTER

DATA = bytes(range(250)) * 4


@dataclass
class Source:
    """Breaks off at its end the first time; then sends everything again from the beginning, a byte in each of
    ``seconds``."""

    seconds: float
    whole: bytes = DATA
    clock: float = 0.0
    asked: int = 0
    sent: list[int] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.clock

    def fetch(self, _work: object, _offset: int, _validator: str | None) -> FetchedBody:
        self.asked += 1
        return FetchedBody(0, len(self.whole), self._first() if self.asked == 1 else self._again(), '"same"')

    def _first(self) -> Iterator[bytes]:
        yield self.whole[:-50]
        raise errors.StoreUnavailable("gone")

    def _again(self) -> Iterator[bytes]:
        for number in range(len(self.whole)):
            self.clock += self.seconds
            self.sent.append(number)
            yield self.whole[number : number + 1]


def fetched(source: Source, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> bytes:
    monkeypatch.setattr(fetching, "time", source)
    run = cast(
        "Any",
        SimpleNamespace(
            services=SimpleNamespace(settings=ImportSettings(**settings)),
            method=source,
            image_id="i",
            progress=lambda *_: None,
            pause=lambda _: None,
        ),
    )
    return b"".join(fetching._resilient(run, cast("Any", None), Watch(run)))


def test_what_came_is_not_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetched(Source(0.001), monkeypatch) == DATA


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"fetch_timeout": 20.0}, "fetch_timeout"), ({"min_rate": 2, "rate_window": 20.0}, "2 bytes a second")],
)
def test_what_is_read_again_has_no_more_time(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], words: str
) -> None:
    source = Source(1.0)
    with pytest.raises(errors.FetchFailed, match=words):
        fetched(source, monkeypatch, **{"fetch_timeout": math.inf, "min_rate": 0, **settings})
    assert len(source.sent) <= 40


def test_a_file_of_checksums_is_not_waited_for_when_nobody_wants_it() -> None:
    """Of a server that says nothing."""

    def cancelled() -> None:
        raise errors.ImportCancelled("cancelled")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(30)

        def algorithms(_run: object) -> frozenset[str]:
            cutter = CUTTER.get()
            assert cutter is not None
            cutter.add(ours)
            ours.recv(1)
            raise errors.FetchFailed("the connection is lost")

        method = SimpleNamespace(source=Kind.FETCHED, prepare=lambda _: None)
        run = SimpleNamespace(
            method=method,
            image=lambda: SimpleNamespace(staged=None),
            services=SimpleNamespace(staged_data=SimpleNamespace(ref=lambda _: None)),
            lease=None,
            save=lambda **_: None,
            refresh=lambda: None,
            check_alive=cancelled,
            image_id="i",
        )
        with pytest.raises(errors.ImportCancelled):
            fetching.fetch(cast("Any", run), cast("Any", SimpleNamespace(algorithms=algorithms)))
