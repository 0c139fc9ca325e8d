"""Telling a client something before it has sent everything, without a thread."""

from __future__ import annotations

import json
import ssl
from http import HTTPStatus

from glancecore.server.connection import READ, Connection

#: Seconds, and bytes, for which a client is heard that was told something before it had sent everything.
LINGER_SECONDS, LINGER_BYTES = 2.0, 4 << 20


def refusal(status: HTTPStatus, code: str, message: str) -> bytes:
    """A whole answer, after which the connection ends."""
    body = json.dumps({"message": message, "code": f"{status.value} {status.phrase}", "title": status.phrase, "error": code}).encode()
    retry = "Retry-After: 5\r\n" if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS) else ""
    return (f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{retry}"
            "Connection: close\r\n\r\n").encode() + body


def still_sends(connection: Connection) -> bool:
    """Throw away what has come; whether the client is to be heard further."""
    try:
        data = connection.sock.recv(READ)
    except (BlockingIOError, ssl.SSLWantReadError):
        data = b"\0"
    except OSError:
        data = b""
    connection.seen += len(data)
    return bool(data) and connection.seen <= LINGER_BYTES
