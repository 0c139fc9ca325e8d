"""The trail: nothing acknowledged is lost, nothing is changed, cut out or put in without being seen."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from glancecore_notify_audit import command, trail
from glancecore_notify_audit.chain import Broken
from glancecore_notify_audit.trail import CURRENT, Trail, files, verified

KEY = b"k" * 32


OPENED: list[Trail] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def opened(folder: Path, key: bytes = KEY, file_size: int = 4096) -> Trail:
    folder.mkdir(exist_ok=True)
    OPENED.append(Trail(folder, key, file_size, 5))
    return OPENED[-1]


def told(number: int, **more: object) -> dict[str, object]:
    return {
        "id": f"e{number}",
        "at": "2026-01-02T03:04:05+00:00",
        "type": "image.create",
        "subject": f"i{number}",
        "who": {
            "user": f"u{number % 2}",
            "project": "p",
            "address": "192.0.2.7",
            "request": "POST /v2/images",
            "request_id": "req-1",
        },
        "data": {"name": "x" * 200},
        **more,
    }


def kept(folder: Path, key: bytes = KEY) -> list[object]:
    return [x.content["id"] for x in verified(folder, key)]


@pytest.mark.parametrize("key", [KEY, b""], ids=["signed", "hashed"])
def test_lines_follow_each_other_over_files_and_restarts(tmp_path: Path, key: bytes) -> None:
    for start in range(0, 60, 20):
        made = opened(tmp_path, key)
        for number in range(start, start + 20):
            made.append(told(number))
        made.close()
    assert len(files(tmp_path)) > 3
    assert kept(tmp_path, key) == [f"e{x}" for x in range(60)]
    assert [x.link.seq for x in verified(tmp_path, key)] == [*range(1, 61)]


def test_the_same_event_is_one_line(tmp_path: Path) -> None:
    for _ in range(2):
        made = opened(tmp_path, file_size=1 << 20)
        for number in (1, 1, 2, 2, 1):
            made.append(told(number))
    assert kept(tmp_path) == ["e1", "e2"]


# -- whoever changes it is seen --------------------------------------------------------------------
def _change(lines: list[bytes]) -> None:
    lines[3] = lines[3].replace(b'"u1"', b'"u2"')


def _cut_out(lines: list[bytes]) -> None:
    del lines[3]


def _swap(lines: list[bytes]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def _repeat(lines: list[bytes]) -> None:
    lines.insert(4, lines[3])


def _from_another_trail(lines: list[bytes]) -> None:
    lines[3] = lines[3].replace(b'"seq":4', b'"seq":9')


def _begin_anew(lines: list[bytes]) -> None:
    """As whoever has no key would: hashed, not signed."""
    from glancecore_notify_audit.chain import Link, written

    end = Link()
    for number in range(len(lines)):
        line, end = written(told(number), end, b"")
        lines[number] = line.rstrip(b"\n")


@pytest.mark.parametrize("harm", [_change, _cut_out, _swap, _repeat, _from_another_trail, _begin_anew])
def test_harm_is_seen_and_named(
    tmp_path: Path, harm: Callable[[list[bytes]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    made = opened(tmp_path / "trail", file_size=1 << 20)
    for number in range(8):
        made.append(told(number))
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_bytes(KEY)
    words = ["verify", str(tmp_path / "trail"), "--key-file", str(key)]
    assert command.run(words) == 0
    assert capsys.readouterr().out.startswith("whole: 8 lines, from 1 on; end 8:")
    assert [command.run([x, str(tmp_path / "trail")]) for x in ("verify", "show")] == [command.BROKEN, command.BROKEN]
    assert all("no --key-file was given" in x for x in capsys.readouterr())
    path = tmp_path / "trail" / CURRENT
    lines = path.read_bytes().splitlines()
    harm(lines)
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert command.run(words) == command.BROKEN
    said = capsys.readouterr().out
    assert said.startswith("NOT whole: audit.jsonl, line ")
    assert "--key-file" not in said


@pytest.mark.parametrize("gone", ["the last lines", "a file between"])
def test_what_was_cut_off_is_seen_by_whoever_kept_the_end(
    tmp_path: Path, gone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = opened(tmp_path, key=b"")
    for number in range(40):
        made.append(told(number))
    assert command.run(["--json", "verify", str(tmp_path)]) == 0
    end = json.loads(capsys.readouterr().out)["end"]
    assert command.run(["verify", str(tmp_path), "--end", end]) == 0
    if gone == "a file between":
        files(tmp_path)[1].unlink()
        assert command.run(["verify", str(tmp_path)]) == command.BROKEN
    else:
        path = files(tmp_path)[-1]
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1])) if path.read_bytes().count(
            b"\n"
        ) > 1 else path.unlink()
        assert command.run(["verify", str(tmp_path)]) == 0, "nobody can see that"
        assert command.run(["verify", str(tmp_path), "--end", end]) == command.BROKEN
        assert f"a line is missing that was there: {end}" in capsys.readouterr().out


def test_older_files_may_be_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = opened(tmp_path, key=b"")
    for number in range(40):
        made.append(told(number))
    files(tmp_path)[0].unlink()
    assert command.run(["verify", str(tmp_path)]) == 0
    assert "from 1 on" not in capsys.readouterr().out


# -- whatever dies ---------------------------------------------------------------------------------
def test_what_a_dead_writer_left_of_a_line_is_cut_off(tmp_path: Path) -> None:
    opened(tmp_path).append(told(1))
    path = tmp_path / CURRENT
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut].replace(b"\n", b""))
        made = opened(tmp_path)
        made.append(told(1))  # a look, and nothing new
        made.close()
        assert path.read_bytes() == whole, cut


def test_a_damaged_end_is_not_gone_on_from(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.append(told(1))
    path = tmp_path / CURRENT
    harmed = path.read_bytes().replace(b'"u1"', b'"u2"')
    path.write_bytes(harmed)
    with pytest.raises(Broken):
        opened(tmp_path).append(told(2))
    assert path.read_bytes() == harmed


def test_a_full_disk_loses_no_line_and_adds_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = opened(tmp_path)
    made.append(told(1))
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: len(data) - 150])

    with monkeypatch.context() as during:
        during.setattr(trail.os, "write", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                made.append(told(2))
    made.append(told(2))
    made.append(told(3))
    assert kept(tmp_path) == ["e1", "e2", "e3"]


def test_a_line_that_the_disk_may_not_have_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, synced = opened(tmp_path), []
    made.append(told(1))
    real = os.fsync

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as during:
        during.setattr(trail.os, "fsync", broken)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                made.append(told(2))
    monkeypatch.setattr(trail.os, "fsync", lambda x: synced.append(x) or real(x))
    made.append(told(2))
    assert synced, "what is found there is made durable first"
    assert kept(tmp_path) == ["e1", "e2"]


def test_a_process_that_dies_while_it_begins_the_next_file(tmp_path: Path) -> None:
    made = opened(tmp_path)
    for number in range(5):
        made.append(told(number))
    made.close()
    os.link(tmp_path / CURRENT, tmp_path / "audit-000000000001.jsonl")
    assert kept(tmp_path) == [f"e{x}" for x in range(5)]
    made = opened(tmp_path)
    made.append(told(4))
    made.append(told(5))
    assert kept(tmp_path) == [f"e{x}" for x in range(6)]
    assert [x.name for x in files(tmp_path)] == ["audit-000000000001.jsonl", CURRENT]


def test_an_event_that_comes_again_in_the_next_file_is_known(tmp_path: Path) -> None:
    for number in range(90):
        opened(tmp_path, file_size=8192).append(told(number))
        made = opened(tmp_path, file_size=8192)
        for again in range(max(0, number - 9), number + 1):
            made.append(told(again))
    assert len(files(tmp_path)) > 3
    assert kept(tmp_path) == [f"e{x}" for x in range(90)]


def test_files_of_others_in_the_folder_are_none_of_the_trail(tmp_path: Path) -> None:
    """An older file is not replaced, whatever an operator has copied there."""
    made = opened(tmp_path)
    for number in range(30):
        made.append(told(number))
    for name in ("audit-backup.jsonl", "audit-1.jsonl", "audit-x.jsonl"):
        (tmp_path / name).write_bytes(files(tmp_path)[0].read_bytes())
    (tmp_path / "audit-zzz.jsonl").touch()
    made = opened(tmp_path)
    for number in range(30, 60):
        made.append(told(number))
    assert kept(tmp_path) == [f"e{x}" for x in range(60)]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder, victim = tmp_path / "trail", tmp_path / "victim"
    folder.mkdir()
    for name in (CURRENT, ".lock"):
        victim.write_bytes(b"precious")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
        with pytest.raises(OSError, match="symbolic links"):
            opened(folder).append(told(1))
        assert victim.read_bytes() == b"precious"
        (folder / name).unlink()


@pytest.mark.parametrize("content", [b"precious", b"precious\n", b'{"seq":1}\n', b"\n"])
def test_what_is_no_trail_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CURRENT).write_bytes(content)
    with pytest.raises(Broken):
        opened(tmp_path).append(told(1))
    assert (tmp_path / CURRENT).read_bytes() == content


def test_two_processes_read_only_what_the_other_has_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fat, count, real = {"name": "x" * 100_000}, [0], os.pread
    one, other = opened(tmp_path, file_size=1 << 30), opened(tmp_path, file_size=1 << 30)
    one.append(told(0, data=fat))
    other.append(told(1, data=fat))
    monkeypatch.setattr(trail.os, "pread", lambda *x: count.__setitem__(0, count[0] + x[1]) or real(*x))
    for number in range(2, 42):
        (one, other)[number % 2].append(told(number, data=fat))
    assert count[0] < 40 * 110_000
    monkeypatch.undo()
    third = opened(tmp_path, file_size=1 << 30)
    monkeypatch.setattr(trail.os, "pread", lambda *x: count.__setitem__(0, count[0] + x[1]) or real(*x))
    count[0] = 0
    third.append(told(41, data=fat))
    assert count[0] < trail._WINDOW + 2 * trail._STEP
    assert kept(tmp_path) == [f"e{x}" for x in range(42)]


def test_verify_is_right_while_files_are_begun(tmp_path: Path) -> None:
    folder = tmp_path / "trail"
    folder.mkdir()
    writer = multiprocessing.get_context("fork").Process(target=_writes, args=(folder, "w", 100_000))
    writer.start()
    try:
        while len(files(folder)) < 40:
            before = len(files(folder))
            assert len(kept(folder)) >= before - 1
    finally:
        writer.kill()
        writer.join()


def _writes(folder: Path, name: str, count: int) -> None:
    made = opened(folder)
    for number in range(count):
        made.append(told(number, id=f"{name}-{number}"))
        with (folder.parent / name).open("a") as said:
            said.write(f"{name}-{number}\n")


def test_processes_that_write_at_once_and_are_killed_leave_one_chain(tmp_path: Path) -> None:
    folder, spawn = tmp_path / "trail", multiprocessing.get_context("fork")
    folder.mkdir()
    for turn in range(6):
        names = [f"w{turn}-{x}" for x in range(3)]
        several = [spawn.Process(target=_writes, args=(folder, name, 10_000)) for name in names]
        for each in several:
            each.start()
        for number, each in enumerate(several):
            while not (tmp_path / names[number]).exists() or (tmp_path / names[number]).read_bytes().count(b"\n") < 5:
                assert each.is_alive()
            os.kill(each.pid or 0, signal.SIGKILL)
            each.join()
    opened(folder).append(told(0, id="last"))
    found = kept(folder)
    acknowledged = [x for path in tmp_path.glob("w*-*") for x in path.read_text().splitlines()]
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))


# -- looking at it ---------------------------------------------------------------------------------
def test_show_finds_whose_and_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = opened(tmp_path, key=b"", file_size=1 << 20)
    for number in range(4):
        made.append(told(number))
    made.append(told(9, subject="evil\n9 forged", who=None))
    assert command.run(["show", str(tmp_path), "--user", "u1"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        f"{x + 1} 2026-01-02T03:04:05+00:00 image.create i{x} by u1 of p from 192.0.2.7: POST /v2/images req-1"
        for x in (1, 3)
    ]
    assert command.run(["--json", "show", str(tmp_path), "--subject", "i2"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "e2"
    assert command.run(["show", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.parametrize(
    "words",
    [["verify", "HERE/empty"], ["verify", "HERE/nowhere"], ["verify", "HERE/trail", "--key-file", "HERE/nowhere"]],
)
def test_what_is_not_there_is_said(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    opened(tmp_path / "trail").append(told(1))
    assert command.run([x.replace("HERE", str(tmp_path)) for x in words]) == command.TROUBLE
    assert capsys.readouterr().err.startswith("glance-audit: ")
