"""Telling a client something before it has sent everything, without a thread."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus

from glancecore.sdk.pace import Pace, PaceLimits
from glancecore.server.connection import Connection

#: Seconds of silence after which a client that was told something before it had sent everything is taken to have read
#: it.
LINGER_SILENCE = 2.0
#: Where what nobody wants is put over a Unix socket; of TCP the kernel throws it away.
_WASTE = bytearray(1 << 20)


def refusal(status: HTTPStatus, code: str, message: str) -> bytes:
    """A whole answer, after which the connection ends."""
    body = json.dumps(
        {"message": message, "code": f"{status.value} {status.phrase}", "title": status.phrase, "error": code}
    ).encode()
    retry = "Retry-After: 5\r\n" if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS) else ""
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length:"
        f" {len(body)}\r\n{retry}Connection: close\r\n\r\n"
    ).encode() + body


def still_sends(connection: Connection) -> bool:
    """Throw away what has come, as it came: nothing is decrypted, nor copied. Whether the client may send more."""
    try:
        count = socket.socket.recv_into(connection.sock, _WASTE, len(_WASTE), socket.MSG_TRUNC)
    except BlockingIOError:
        return True
    except OSError:
        return False
    connection.seen += count
    return count > 0


def patience(limits: PaceLimits) -> Pace:
    """Of those that were refused: for ``Connection.sends_enough``. Most clients read no answer before they have sent
    all."""
    return Pace(PaceLimits(LINGER_SILENCE, limits.least_rate, limits.window))
