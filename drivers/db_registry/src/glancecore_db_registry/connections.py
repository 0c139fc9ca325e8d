"""Connections that send a call in one piece, header and body in one packet, and prove both sides of it.

A connection is served by one process of the service; which one it is, it asks first: only that one may carry its calls
out."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from types import MappingProxyType
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from glancecore.sdk.registry import signing as proof
from glancecore_db_registry.proving import Prover, Unproved


class NotMet(Exception):
    """Who is at the other end did not say that it is a process of the registry; no call was sent. ``status`` 0: it said
    nothing."""

    def __init__(self, status: int = 0, headers: Mapping[str, str] = MappingProxyType({}), body: bytes = b"") -> None:
        super().__init__(f"HTTP {status}" if status else "no answer")
        self.status, self.headers, self.body = status, headers, body


class _InOnePiece(HTTPConnection):
    """``prover`` None: the two sides have no secret."""

    def __init__(self, *args: Any, prover: Prover | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self._prover = prover
        self._held: list[bytes] | None = None
        self._instance = ""
        self._sent: dict[str, str] = {}

    def connect(self) -> None:
        self._instance = ""
        super().connect()

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,  # type: ignore[override] # as urllib3's
        **named: Any,
    ) -> None:
        """Raises NotMet, Unproved."""
        if self._prover is not None:
            if self.sock is None:
                self.connect()
            if not self._instance:
                self._instance = self._meet(headers or {})
        self._send_proved(method, url, body, headers or {}, **named)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3's
        """Raises Unproved for what the service's header is on, and no proof. Who has another secret can't prove that he
        refuses ours: it is believed at the beginning only."""
        answer = super().getresponse()
        if (
            self._prover is not None
            and proof.SERVED in answer.headers
            and (answer.status != 401 or self._instance or proof.PROOF in answer.headers)
        ):
            self._prover.check(self._sent, answer.status, answer.headers, answer.data)
            if answer.headers.get(proof.INSTANCE) != self._instance:
                self._instance = ""
        return answer

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    def _meet(self, headers: Mapping[str, str]) -> str:
        """``headers``: those of the call for whose sake it is, such as its request id."""
        try:
            self._send_proved("GET", proof.INSTANCE_PATH, None, {**headers, proof.SHAPE: ""})
            answer = self.getresponse()
        except (OSError, HTTPException, HTTPError, Unproved) as exc:
            raise NotMet from exc
        found = answer.headers.get(proof.INSTANCE, "")
        if answer.status != 200 or proof.SERVED not in answer.headers or not found:
            raise NotMet(answer.status, answer.headers, answer.data)
        return found

    def _send_proved(self, method: str, url: str, body: Any, headers: Mapping[str, str], **named: Any) -> None:
        if self._prover is not None:
            self._sent = self._prover.headers(url, headers.get(proof.SHAPE, ""), body or b"", self._instance)
            headers = {**headers, **self._sent}
        self._held = []
        try:
            super().request(method, url, body, headers, **named)
            pieces = self._held
        finally:
            self._held = None
        super().send(b"".join(pieces))


class PlainConnection(_InOnePiece):
    """http."""


class TlsConnection(_InOnePiece, HTTPSConnection):
    """https."""
