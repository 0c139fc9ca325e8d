"""Reading by ranges: what is asked for, what is taken up again, and what is not taken for the same data."""

import re

import pytest

from glancecore.domain import errors
from glancecore.sdk import http_ranges as ranges
from glancecore.sdk.http_ranges import RangeReader

DATA = bytes(range(100))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(ranges, "_PAUSE", 0)
    monkeypatch.setattr(ranges, "CHUNK", 7)


class Backend:
    """Answers from ``data``; a connection breaks behind each of the bytes in ``breaks``, once. ``headers`` replaces
    some."""

    def __init__(self, data=DATA, breaks=(), **headers):
        self.data, self.breaks, self.headers, self.etag = data, list(breaks), headers, "e1"
        self.asked, self.closed = [], []

    def ask(self, wanted):
        self.asked.append(wanted)
        start, end = 0, len(self.data)
        if wanted is not None:
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted).groups()
            start, end = int(first), min(end, int(last) + 1) if last else end
            if start >= len(self.data):
                return None
        return Answer(self, start, end, whole=wanted is None)


class Answer:
    def __init__(self, backend, start, end, *, whole):
        self.backend, self.at, self.end, self.etag = backend, start, end, backend.etag
        self.content_length = str(end - start)
        self.content_range = "" if whole else f"bytes {start}-{end - 1}/{len(backend.data)}"
        for name, value in backend.headers.items():
            setattr(self, name, value)

    def read(self, size):
        breaks = self.backend.breaks
        if breaks and self.at >= breaks[0]:
            breaks.pop(0)
            raise errors.StoreUnavailable("it broke", "s", "open")
        piece = self.backend.data[self.at : min(self.end, self.at + size)]
        self.at += len(piece)
        return piece

    def close(self, *, whole):
        self.backend.closed.append(whole)


def reader(backend, offset=0, length=None, retries=2):
    return RangeReader(backend.ask, "s", offset, length, retries)


@pytest.mark.parametrize(
    ("offset", "length", "asked"),
    [
        (0, None, None),
        (0, 100, "bytes=0-99"),
        (0, 30, "bytes=0-29"),
        (5, None, "bytes=5-"),
        (5, 30, "bytes=5-34"),
        (90, 50, "bytes=90-139"),
        (0, 1 << 62, "bytes=0-4611686018427387903"),
        (1, 1 << 62, "bytes=1-"),
    ],
)
def test_what_is_asked_for(offset, length, asked):
    backend = Backend()
    assert b"".join(reader(backend, offset, length)) == DATA[offset:][:length]
    assert backend.asked == [asked]
    assert backend.closed == [True]


def test_nothing_lies_behind_the_end():
    backend = Backend()
    assert list(reader(backend, 100)) == []
    assert list(reader(Backend(data=b""))) == []
    assert backend.closed == []


@pytest.mark.parametrize(
    ("offset", "length", "asked"),
    [(0, None, [None, "bytes=42-99", "bytes=70-99"]), (20, 60, ["bytes=20-79", "bytes=41-79", "bytes=76-79"])],
)
def test_a_broken_connection_is_taken_up_at_the_same_byte(offset, length, asked):
    backend = Backend(breaks=[36, 70])
    assert b"".join(reader(backend, offset, length)) == DATA[offset:][:length]
    assert backend.asked == asked
    assert backend.closed == [False, False, True]


def test_it_is_given_up_after_so_many_tries():
    backend = Backend(breaks=[10, 10, 10])
    reading, got = reader(backend), []
    with pytest.raises(errors.StoreUnavailable, match="it broke"):
        got.extend(reading)
    assert b"".join(got) == DATA[:14]
    assert backend.closed == [False, False, False]
    assert next(reading, None) is None


def test_an_answer_that_ends_early_is_a_broken_connection():
    backend = Backend()
    reading = reader(backend, retries=1)
    got = [next(reading)]
    backend.data = DATA[:7]
    with pytest.raises(errors.StoreUnavailable, match="shorter"):
        got.extend(reading)
    assert b"".join(got) == DATA[:7]


def change_tag(backend):
    backend.etag = "e2"


def shorten(backend):
    backend.data = DATA[:50]


@pytest.mark.parametrize(("change", "message"), [(change_tag, "replaced"), (shorten, "another range|shorter")])
def test_other_data_is_not_taken_for_the_rest(change, message):
    backend = Backend(breaks=[30])
    reading, got = reader(backend), []
    got.append(next(reading))
    change(backend)
    with pytest.raises(errors.StoreUnavailable, match=message):
        got.extend(reading)
    assert backend.closed == [False, False]
    assert next(reading, None) is None


@pytest.mark.parametrize(
    ("offset", "headers", "message"),
    [
        (0, {"content_length": ""}, "size"),
        (5, {"content_range": ""}, "does not send the range"),
        (5, {"content_range": "bytes 0-99/100"}, "another range"),
        (5, {"content_range": "bytes 5-50/100"}, "another range"),
        (5, {"content_range": "bytes 5-99/*"}, "does not send the range"),
    ],
)
def test_a_backend_that_does_not_say_what_it_sends(offset, headers, message):
    backend = Backend(**headers)
    with pytest.raises(errors.StoreUnavailable, match=message):
        reader(backend, offset)
    assert backend.closed == [False]


@pytest.mark.parametrize("read", [0, 1])
def test_closing_early_gives_the_connection_up(read):
    backend = Backend()
    reading = reader(backend)
    for _ in range(read):
        next(reading)
    reading.close()
    reading.close()
    assert backend.closed == [False]
    assert next(reading, None) is None


def test_what_is_absent_raises_when_it_is_made():
    def ask(_wanted):
        raise errors.BlobNotFound("no", "s", "open")

    with pytest.raises(errors.BlobNotFound):
        RangeReader(ask, "s", 0, None, 2)
