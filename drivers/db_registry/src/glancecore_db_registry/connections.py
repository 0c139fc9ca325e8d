"""Connections that send a call in one piece: header and body are one packet, and one wake-up of the service."""

from __future__ import annotations

from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection


class _InOnePiece(HTTPConnection):
    _held: list[bytes] | None = None

    def request(self, *args: Any, **named: Any) -> None:
        self._held = []
        try:
            super().request(*args, **named)
            pieces = self._held
        finally:
            self._held = None
        super().send(b"".join(pieces))

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)


class PlainConnection(_InOnePiece):
    """http."""


class TlsConnection(_InOnePiece, HTTPSConnection):
    """https."""
