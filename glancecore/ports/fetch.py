"""Fetching a URL that a user has named: pinned addresses, checked redirects, honest ends. For stores and import methods.

Standard library only. One connection a request: what is fetched is large, and nothing is shared between users.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urljoin

from glancecore.domain import errors
from glancecore.ports.outbound import PORTS, AddressFilter, Target

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNAVAILABLE = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Settings:
    """``timeout``: seconds without an answer or a byte. ``proxies``: scheme -> (host, port) of an HTTP proxy."""

    connect_timeout: float = 10.0
    timeout: float = 60.0
    redirects: int = 5
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    proxies: Mapping[str, tuple[str, int]] = field(default_factory=dict)


class Body:
    """An answer whose status and headers are here and whose bytes can be read. Must be closed."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._connection, self._answer = connection, answer
        self.status = answer.status
        #: Bytes of the whole body, None when the server sends it in chunks.
        self.length = answer.length
        self._left = answer.length
        self._chunks = _Chunks(answer.fp) if answer.chunked else None

    def header(self, name: str) -> str:
        return self._answer.getheader(name) or ""

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, none at the end. Raises StoreUnavailable when the body ends before its end is proved."""
        try:
            piece = self._chunks.read(size) if self._chunks else self._answer.read(size)
        except _UNAVAILABLE as exc:
            raise errors.StoreUnavailable(f"the web server broke off: {_reason(exc)}") from exc
        if self._left is not None:
            self._left -= len(piece)
            if not piece and self._left > 0 and size > 0:
                raise errors.StoreUnavailable(f"the web server sent {self._left} bytes less than it said")
        return piece

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


class Pieces(Iterator[bytes]):
    """What is left of a body. Closes it at the end, when it breaks, and when it is itself closed, also before it was started: a
    generator that was never started would not. ``told`` makes the error to raise of what the body raises.
    """

    def __init__(self, body: Body, size: int, told: Callable[[errors.StoreUnavailable], Exception]) -> None:
        self._body, self._size, self._told = body, size, told

    def __next__(self) -> bytes:
        try:
            piece = self._body.read(self._size)
        except errors.StoreUnavailable as exc:
            self.close()
            raise self._told(exc) from exc
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        self._body.close()


class _Chunks:
    """A chunked body. ``http.client`` takes a connection that ends inside a chunk's length, or before the last empty line, for
    the end of the body when what came begins with 0.
    """

    def __init__(self, src: BinaryIO) -> None:
        self._src = src
        self._left = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        if self._ended:
            return b""
        if not self._left:
            length = self._line().partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", length):
                raise ValueError("a chunk without a length")
            self._left = int(length, 16)
            if not self._left:
                while self._line().strip():  # trailers
                    pass
                self._ended = True
                return b""
        piece = self._src.read(min(size, self._left))
        self._left -= len(piece)
        if not piece or (not self._left and self._line().strip()):
            raise ValueError("a chunk without its end")
        return piece

    def _line(self) -> bytes:
        line = self._src.readline(8192)
        if not line.endswith(b"\n"):
            raise ValueError("a line without its end")
        return line


class Fetcher:
    """Thread-safe."""

    def __init__(self, addresses: AddressFilter, settings: Settings) -> None:
        self._addresses, self._settings = addresses, settings

    def request(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Body:
        """The answer of the last of a chain of redirects, whose status may be anything but a redirect.

        Raises BadLocation (a URL that may not be fetched, here or behind a redirect), StoreUnavailable.
        """
        for _ in range(self._settings.redirects + 1):
            target = self._addresses.target(url)
            body = self._ask(method, target, headers or {})
            if body.status not in _REDIRECTS:
                return body
            location = body.header("Location")
            body.close()
            url = _redirected(url, location)
        raise errors.StoreUnavailable(f"the URL leads through more than {self._settings.redirects} redirects")

    def _ask(self, method: str, target: Target, headers: Mapping[str, str]) -> Body:
        try:
            sock = self._connect(target)
        except _UNAVAILABLE as exc:
            raise errors.StoreUnavailable(f"the web server can't be reached: {_reason(exc)}") from exc
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.default_port = PORTS[target.scheme]  # so that the Host header names other ports only
        connection.sock = sock
        try:
            # no encoding: the bytes are the image, and its length is known
            connection.request(method, target.path, headers={"Accept-Encoding": "identity", "User-Agent": "glancecore", **headers})
            return Body(connection, connection.getresponse())
        except _UNAVAILABLE as exc:
            connection.close()
            raise errors.StoreUnavailable(f"the web server gave no answer: {_reason(exc)}") from exc

    def _connect(self, target: Target) -> socket.socket:
        """A connection to the first pinned address that takes one; TLS where the scheme wants it."""
        proxy = self._settings.proxies.get(target.scheme)
        failure: Exception = OSError()
        for address in target.addresses:
            try:
                sock = socket.create_connection(proxy or (address, target.port), self._settings.connect_timeout)
            except OSError as exc:
                failure = exc
                continue
            try:
                if proxy:
                    _tunnel(sock, f"[{address}]:{target.port}" if ":" in address else f"{address}:{target.port}")
                if target.scheme == "https":
                    sock = self._settings.tls.wrap_socket(sock, server_hostname=target.host)
            except _UNAVAILABLE as exc:
                sock.close()
                failure = exc
                continue
            sock.settimeout(self._settings.timeout)
            return sock
        raise failure


def _tunnel(sock: socket.socket, place: str) -> None:
    """Also for http: a proxy that is sent a whole URL resolves its host again, and may get another address."""
    sock.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(sock, method="CONNECT")
    try:
        answer.begin()
        if answer.status != http.HTTPStatus.OK:
            raise http.client.HTTPException("refused by the proxy")
    finally:
        answer.close()


def _redirected(url: str, location: str) -> str:
    try:
        following = urljoin(url, location)
    except ValueError:
        following = ""
    if not location or not following:
        raise errors.StoreUnavailable("the web server redirects to nowhere")
    if url.lower().startswith("https:") and not following.lower().startswith("https:"):
        raise errors.BadLocation("a redirect leads from https to something else")
    return following


def _reason(exc: Exception) -> str:
    """Without addresses and names, which ``str(exc)`` may have."""
    if isinstance(exc, ssl.SSLError):
        return f"TLS: {(exc.reason or 'failed').lower().replace('_', ' ')}"
    if isinstance(exc, TimeoutError):
        return "timeout"
    if isinstance(exc, OSError) and exc.strerror and re.fullmatch(r"[A-Za-z ,]+", exc.strerror):
        return exc.strerror.lower()
    return "not HTTP" if isinstance(exc, (http.client.HTTPException, ValueError)) else "connection lost"
