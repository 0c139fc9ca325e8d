"""What is known of a request before a thread is spent on it, however its bytes come."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from glancecore.sdk.pace import Pace, PaceLimits, TooSlow
from glancecore.server.connection import SMALL_BODY, Connection, Head


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours, "", 0.0, None)


REQUEST = b"POST /v2/images?x=1 HTTP/1.1\r\nHost: x\r\ncontent-LENGTH:  5 \r\n\r\n"


def test_a_header_that_comes_byte_by_byte(connection: Connection) -> None:
    for number in range(len(REQUEST) - 1):
        connection.buffer += REQUEST[number : number + 1]
        assert connection.head() is None
    connection.buffer += REQUEST[-1:]
    assert connection.head() == Head("POST", "/v2/images", len(REQUEST) + 5, False)
    connection.buffer += b"12345GET / HTTP/1.1\r\n\r\n"
    assert connection.take().endswith(b"\r\n\r\n")
    assert connection.head() is None


@pytest.mark.parametrize(
    ("fields", "slow", "body"),
    [
        (b"", False, 0),
        (b"Content-Length: 10\r\n", False, 10),
        (b"Content-Length: %d\r\n" % SMALL_BODY, False, SMALL_BODY),
        (b"Content-Length: %d\r\n" % (SMALL_BODY + 1), True, 0),
        (b"Transfer-Encoding: chunked\r\n", True, 0),
        (b"Content-Length: 10\r\nExpect: 100-continue\r\n", True, 0),
        (b"X-Content-Length: 10\r\n", False, 0),
        (b"Content-Length: 99999999999999999999\r\n", False, 0),
        (b"Content-Length: -1\r\n", False, 0),
    ],
)
def test_what_its_fields_say_of_the_body(connection: Connection, fields: bytes, slow: bool, body: int) -> None:
    connection.buffer += (head := b"PUT /a HTTP/1.1\r\n" + fields + b"\r\n")
    assert connection.head() == Head("PUT", "/a", len(head) + body, slow)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"\r\nPUT /a/b?x=/c HTTP/1.1", "/a/b"),
        (b"PUT /a/b#c HTTP/1.1", "/a/b"),
        (b"PUT http://x:1/a/b?c HTTP/1.1", "/a/b"),
        (b"PUT //a/b HTTP/1.1", "//a/b"),
        (b"PUT http://[::/a/b HTTP/1.1", ""),
    ],
)
def test_the_path_is_the_one_that_the_parser_finds(connection: Connection, line: bytes, path: str) -> None:
    connection.buffer += (head := line + b"\r\nContent-Length: 5\r\n\r\n")
    assert connection.head() == Head("PUT", path, len(head) + 5, False)


@pytest.mark.parametrize("line", [b"\r\n\r\n", b"x\r\n\r\n", b"GET /\r\n\r\n", b"\xff \xff \xff\r\n\r\n"])
def test_what_is_no_request_is_for_the_parser_to_refuse(connection: Connection, line: bytes) -> None:
    connection.buffer += line
    assert connection.head() is not None


def test_a_pace_is_judged_by_the_time_of_waiting() -> None:
    pace = Pace(PaceLimits(silence=5, least_rate=100, window=10))
    for _ in range(30):
        pace.add(1, 100)
    for _ in range(9):
        pace.add(1, 99)
    with pytest.raises(TooSlow, match="100 bytes a second"):
        pace.add(1, 99)
    silent = Pace(PaceLimits(silence=5, least_rate=0, window=10))
    for _ in range(4):
        silent.add(1, 0)
    silent.add(1, 1)
    for _ in range(4):
        silent.add(1, 0)
    with pytest.raises(TooSlow, match="nothing for 5 seconds"):
        silent.add(1, 0)
