"""What the programs do that no service is needed for."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from osc_glancecore import making, trying
from osc_glancecore.downloading import Download, Settings
from osc_glancecore.service import ServiceError
from osc_glancecore.trying import Patience
from osc_glancecore.uploading import Refused
from osc_glancecore.uploading import Settings as UploadSettings

IMAGE = {
    "id": "1",
    "size": 3,
    "os_hash_algo": "sha256",
    "os_hash_value": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}


class Answer:
    """A good one to a range."""

    status_code, ok = 206, True

    def __init__(self, *blocks: bytes, error: Exception | None = None) -> None:
        self._blocks, self._error = blocks, error

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def iter_content(self, _size: int) -> Any:
        yield from self._blocks
        if self._error is not None:
            raise self._error


class Service:
    """It gives ``answers``, one after the other; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[tuple[str, str, Any]]()

    def ask(self, method: str, path: str, **more: Any) -> Any:
        self.asked.append((method, path, more))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    json = ask


class Nothing:
    def add(self, _count: int) -> None:
        pass


def download(service: Service, path: Path, **settings: Any) -> Download:
    return Download(service, dict(IMAGE), path, Settings(**settings), Nothing())  # type: ignore[arg-type]


# -- FILE.part -------------------------------------------------------------------------------------
def test_a_part_that_another_one_writes_is_left_to_it(tmp_path: Path) -> None:
    part = tmp_path / "disk.part"
    with part.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="another glance-download"):
            download(Service(), tmp_path / "disk").run()
    download(Service(Answer(b"abc")), tmp_path / "disk").run()
    assert (tmp_path / "disk").read_bytes() == b"abc"
    assert not part.exists()


@pytest.mark.parametrize("what", ["link", "folder", "pipe", "another user's"])
def test_a_part_that_is_not_ours_is_not_written_to(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that others write to, it may be made by them."""
    part, other = tmp_path / "disk.part", tmp_path / "other"
    other.write_bytes(b"precious")
    if what == "link":
        part.symlink_to(other)
    elif what == "folder":
        part.mkdir()
    elif what == "pipe":
        os.mkfifo(part)
    else:
        part.write_bytes(b"theirs")
        monkeypatch.setattr(os, "geteuid", lambda: part.stat().st_uid + 1)
    with pytest.raises((Refused, OSError)):
        download(Service(), tmp_path / "disk").run()
    assert other.read_bytes() == b"precious"
    assert not (tmp_path / "disk").exists()
    if what == "another user's":
        assert part.read_bytes() == b"theirs"


# -- patience --------------------------------------------------------------------------------------
class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.rested = 1000.0, list[float]()
        monkeypatch.setattr(trying.time, "monotonic", lambda: self.now)

    def is_set(self) -> bool:
        return False

    def set(self) -> None:
        pass

    def wait(self, seconds: float) -> bool:
        """In place of an event that nobody sets."""
        self.rested.append(seconds)
        self.now += seconds
        return False


def test_patience_counts_from_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    patience = Patience(100, clock)  # type: ignore[arg-type]
    failure = ConnectionError("gone")
    for _ in range(5):
        clock.now += 90
        patience.rest(failure)
        patience.moved()
    clock.now += 101
    with pytest.raises(ConnectionError):
        patience.rest(failure)


def test_a_download_that_gets_a_byte_now_and_then_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However long all of it takes; and one that gets none is."""
    clock = Clock(monkeypatch)
    broken = ConnectionError("gone")

    class Slow(Service):
        def ask(self, method: str, path: str, **more: Any) -> Any:
            clock.now += 90
            return super().ask(method, path, **more)

    slow = Slow(Answer(b"a", error=broken), Answer(b"b", error=broken), Answer(b"c"))
    made = download(slow, tmp_path / "disk", patience=100)
    made._stopped = clock  # type: ignore[assignment]
    made.run()
    assert (tmp_path / "disk").read_bytes() == b"abc"
    assert [x[2]["headers"]["Range"] for x in slow.asked] == ["bytes=0-2", "bytes=1-2", "bytes=2-2"]
    silent = Slow(*[Answer(error=broken) for _ in range(10)])
    made = download(silent, tmp_path / "silent", patience=100)
    made._stopped = clock  # type: ignore[assignment]
    with pytest.raises(ConnectionError):
        made.run()
    assert len(silent.asked) == 2


# -- one image -------------------------------------------------------------------------------------
def test_a_create_whose_answer_got_lost_makes_no_second_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "_wait", lambda _state: 0.0)
    service = Service(
        ConnectionError("no answer"), ServiceError(503, "busy"), ServiceError(409, "it is there"), {"status": "queued"}
    )
    making._make(service, "the-id", {"name": "x"}, UploadSettings(1 << 20, 60, None))  # type: ignore[arg-type]
    assert [(method, path, more.get("json")) for method, path, more in service.asked] == [
        *[("POST", "/v2/images", {"name": "x", "id": "the-id"})] * 3,
        ("GET", "/v2/images/the-id", None),
    ]


def test_an_id_that_somebody_else_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(ServiceError(409, "it is there"), ServiceError(404, "no such image"))
    with pytest.raises(ServiceError, match="it is there"):
        making._make(service, "the-id", {"name": "x"}, UploadSettings(1 << 20, 60, None))  # type: ignore[arg-type]
