"""Streams in parts: what is cut, sent, stopped and cleaned up."""

import os
import threading
from pathlib import Path

import pytest

from glancecore.domain import errors
from glancecore.sdk.multipart import PartStopped, UploadPart, exactly, send_in_parts


def gathered(part):
    return part.number, part.size, b"".join(part)


@pytest.mark.parametrize("cut", [1, 3, 7, 1000])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 95])
def test_parts_are_the_stream(size, cut):
    data = bytes(range(size))
    sent = send_in_parts(
        (memoryview(data)[at : at + cut] for at in range(0, size, cut)), gathered, lambda number: 10, 3
    )
    assert b"".join(each[2] for each in sent) == data
    assert [each[0] for each in sent] == list(range(1, len(sent) + 1))
    assert all(each[1] == 10 for each in sent[:-1])
    assert not sent or 1 <= sent[-1][1] <= 10


def test_parts_may_differ_in_size():
    sent = send_in_parts([b"x" * 10], gathered, lambda number: number, 2)
    assert [each[1] for each in sent] == [1, 2, 3, 4]


def test_part_can_be_read_again():
    def send(part):
        reader = iter(part)
        next(reader)
        return b"".join(part), b"".join(part)

    data = os.urandom(3 << 20)
    assert send_in_parts([data], send, lambda number: 5 << 20, 1) == [(data, data)]


def test_threads_run_at_once_and_no_more():
    barrier, running, most = threading.Barrier(3), [], []

    def send(part):
        running.append(part)
        most.append(len(running))
        barrier.wait(10)
        running.remove(part)

    send_in_parts([b"x" * 9], send, lambda number: 1, 3)
    assert max(most) <= 3


def test_failure_stops_the_others_and_is_what_is_raised():
    begun, failed = threading.Event(), threading.Event()

    def send(part):
        if part.number == 1:
            begun.set()
            for _ in part:
                failed.wait(10)
        else:
            begun.wait(10)
            failed.set()
            raise errors.StoreFull("kit")
        return

    stopped = []

    def watched(part):
        try:
            return send(part)
        except PartStopped:
            stopped.append(part.number)
            raise

    def source():
        yield os.urandom(6 << 20)
        failed.wait(10)
        for _ in range(1000):
            yield b"x" * (1 << 20)
        raise AssertionError("the source was read on")

    with pytest.raises(errors.StoreFull):
        send_in_parts(source(), watched, lambda number: 3 << 20, 2)
    assert stopped == [1]


def test_failing_source_stops_all_and_passes_unchanged():
    failure, begun, ended = OSError(104, "reset"), threading.Event(), []

    def source():
        yield b"x" * (4 << 20)
        begun.wait(10)
        raise failure

    def send(part):
        reader = iter(part)
        next(reader)
        begun.set()
        ended.append(part.number)
        return

    with pytest.raises(OSError) as caught:
        send_in_parts(source(), send, lambda number: 2 << 20, 2)
    assert caught.value is failure
    assert ended
    assert not [each for each in threading.enumerate() if each.name.startswith("part")]


def test_folder_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(errors.StoreUnavailable, match="can't be buffered") as caught:
        send_in_parts([b"x"], gathered, lambda number: 1, 1, str(tmp_path / "none"))
    assert str(tmp_path) not in str(caught.value)


def test_nothing_stays_open(tmp_path):
    def send(part):
        kept.append(part)
        raise errors.StoreFull("kit")

    def opened():
        return len([*Path("/proc/self/fd").iterdir()])

    kept, before = list[UploadPart](), opened()
    with pytest.raises(errors.StoreFull):
        send_in_parts([b"x" * 100], send, lambda number: 10, 3, str(tmp_path))
    assert opened() == before
    assert list(tmp_path.iterdir()) == []


def test_exactly_passes_what_is_right_and_tells_what_is_not():
    assert list(exactly([b"ab", b"", b"c"], 3)) == [b"ab", b"", b"c"]
    assert list(exactly([b"ab"], None)) == [b"ab"]
    with pytest.raises(errors.SizeMismatch, match="more than 2 bytes came, 2 were declared"):
        list(exactly([b"ab", b"c"], 2))
    with pytest.raises(errors.SizeMismatch, match="2 bytes came, 3 were declared"):
        list(exactly([b"ab"], 3))
