"""Fetching a URL that a user has named: pinned addresses, checked redirects, honest ends. For stores and import
methods.

Standard library only. One connection a request: what is fetched is large, and nothing is shared between users.
"""

from __future__ import annotations

import http.client
import io
import math
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin

from glancecore.domain import errors
from glancecore.sdk import tracing
from glancecore.sdk.address_filter import PORTS, AddressFilter, Target
from glancecore.sdk.deadline import CUTTER, DEADLINE, Deadline
from glancecore.sdk.pace import Pace, PaceLimits, TooSlow
from glancecore.sdk.tracing import SpanKind

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Seconds in which a piece of a body grows to its full size.
_MOMENT = 0.5
#: Lines behind the last chunk.
_TRAILERS = 100
#: Bytes of a line between the pieces of a chunked body.
_LINE = 8192
#: What a URL may have beside letters, digits and ``-._~``; with the percent sign of what is quoted already.
_RESERVED = "%!#$&'()*+,/:;=?@[]"
_UNAVAILABLE = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Settings:
    """``timeout``: seconds for the whole header of an answer, and without a byte of its body. An answer is there after
    ``connect_timeout`` and ``timeout`` together, however many addresses and redirects lead to it. ``proxies``: scheme
    -> (host, port) of an HTTP proxy.

    ``least_rate``: bytes a second that a body brings, over each ``rate_window`` seconds of waiting for it; 0: any.
    ``fetch_timeout``: seconds of waiting for one body, all together. Time that the reader takes is not the server's
    fault, and does not count."""

    connect_timeout: float = 10.0
    timeout: float = 60.0
    redirects: int = 5
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    proxies: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    least_rate: int = 1024
    rate_window: float = 60.0
    fetch_timeout: float = 86400.0


class Body:
    """An answer whose status and headers are here and whose bytes can be read. Must be closed. ``seconds``: without a
    byte of the body.

    Raises ValueError when it does not say in one way where the body ends."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
        seconds: float,
        settings: Settings,
    ) -> None:
        #: Bytes that its header tells of, also where a HEAD leaves them out.
        self.declared = _framing(answer.headers)
        self._connection, self._answer = connection, answer
        self.status = answer.status
        #: Bytes of the whole body, None when the server sends it in chunks, or until it closes the connection.
        self.length = answer.length
        #: Whether the end can be told from a connection that broke.
        self.ends = answer.length is not None or bool(answer.chunked)
        self._left = answer.length
        self._chunks = _Chunks(answer.fp, seconds) if answer.chunked else None
        self._pace = Pace(PaceLimits(math.inf, settings.least_rate, settings.rate_window))
        self._waited, self._most = 0.0, settings.fetch_timeout

    def header(self, name: str) -> str:
        return self._answer.getheader(name) or ""

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, none at the end: what there is after a moment, so that whoever waits for them can look
        up. Raises StoreUnavailable when the body ends before its end is proved, and, not to be tried again, when it
        comes too slowly."""
        try:
            piece = self._some(size)
            if len(piece) < size:
                end = time.monotonic() + _MOMENT
                found = [piece]
                while piece and (size := size - len(piece)) and time.monotonic() < end:
                    piece = self._some(size)
                    found.append(piece)
                piece = b"".join(found)
        except TooSlow as exc:
            raise _final(f"the web server is too slow: {exc}") from exc
        except _UNAVAILABLE as exc:
            raise errors.StoreUnavailable(f"the web server broke off: {_reason(exc)}") from exc
        if self._left and not piece and size > 0:
            raise errors.StoreUnavailable(f"the web server sent {self._left} bytes less than it said")
        return piece

    def _some(self, size: int) -> bytes:
        """What one look at the connection brings. Raises TooSlow."""
        start = time.monotonic()
        piece = self._came(size)
        seconds = time.monotonic() - start
        if piece:  # or it has ended
            self._pace.add(seconds, len(piece))
            self._waited += seconds
            if self._waited > self._most:
                raise TooSlow(f"not everything within {self._most:g} seconds of waiting")
        return piece

    def _came(self, size: int) -> bytes:
        if self._chunks:
            return self._chunks.read(size)
        if self._left is not None:
            size = min(size, self._left)
        piece: bytes = self._answer.fp.read1(size) if size and self._answer.fp is not None else b""
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def _framing(headers: http.client.HTTPMessage) -> int | None:
    """The length that is told. ``http.client`` takes one that is no number, and codings that it does not know, for
    none: the body then ends whenever the connection does, with what stands between the pieces in it. Raises
    ValueError."""
    codings, lengths = (
        headers.get_all("Transfer-Encoding", []),
        {x.strip() for x in headers.get_all("Content-Length", [])},
    )
    if codings:
        if [x.strip().lower() for x in codings] != ["chunked"]:
            raise ValueError("a transfer coding that was not asked for")
        return None
    if not lengths:
        return None
    (length,) = lengths  # or it is a ValueError
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise ValueError("a length that is none")
    return int(length)


class Pieces(Iterator[bytes]):
    """What is left of a body. Closes it at the end, when it breaks, and when it is itself closed, also before it was
    started: a generator that was never started would not. ``told`` makes the error to raise of what the body raises.
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
    """A chunked body. ``http.client`` takes a connection that ends inside a chunk's length, or before the last empty
    line, for the end of the body when what came begins with 0. What stands between the pieces has to come within the
    time that one byte may take."""

    def __init__(self, src: io.BufferedReader, seconds: float) -> None:
        self._src = src
        self._seconds = seconds
        self._end = math.inf
        self._left = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        if self._ended:
            return b""
        self._end = time.monotonic() + self._seconds
        if not self._left:
            length = self._line().partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", length):
                raise ValueError("a chunk without a length")
            self._left = int(length, 16)
            if not self._left:
                if not any(not self._line().strip() for _ in range(_TRAILERS)):
                    raise ValueError("trailers without end")
                self._ended = True
                return b""
        piece = self._src.read1(min(size, self._left))
        self._end = time.monotonic() + self._seconds
        self._left -= len(piece)
        if not piece or (not self._left and self._line().strip()):
            raise ValueError("a chunk without its end")
        return piece

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            held = self._src.peek(1)
            if not held or len(line) > _LINE:
                raise ValueError("a line without its end")
            line += self._src.read(held.find(b"\n") + 1 or len(held))
            if time.monotonic() > self._end:
                raise TimeoutError
        return line


class Fetcher:
    """Thread-safe."""

    def __init__(self, addresses: AddressFilter, settings: Settings) -> None:
        self._addresses, self._settings = addresses, settings

    def request(self, method: str, url: str, headers: Mapping[str, str] | None = None, *, pinned: bool = False) -> Body:
        """The answer of the last of a chain of redirects, whose status may be anything but a redirect. Its bytes are
        those of the resource: an answer in an encoding that was not asked for is refused. ``pinned``: the caller knows
        a digest of the data, so a redirect may lead from https to http.

        Raises BadLocation (a URL that may not be fetched, here or behind a redirect), StoreUnavailable (``retryable``
        says whether asking again may help)."""
        with Deadline(time.monotonic() + self._settings.connect_timeout + self._settings.timeout) as deadline:
            return self._request(method, url, headers or {}, deadline, pinned=pinned)

    def _request(self, method: str, url: str, headers: Mapping[str, str], deadline: Deadline, *, pinned: bool) -> Body:
        for _ in range(self._settings.redirects + 1):
            target = self._addresses.target(url)
            body = self._ask(method, target, headers, deadline)
            if body.status not in _REDIRECTS:
                return _plain(body)
            location = body.header("Location")
            body.close()
            url = _redirected(url, location, pinned=pinned)
        raise _final(f"the URL leads through more than {self._settings.redirects} redirects")

    def _ask(self, method: str, target: Target, headers: Mapping[str, str], deadline: Deadline) -> Body:
        # the header is waited for; the trace's context is not sent: whose server it is, a user has said
        with tracing.span(
            method,
            SpanKind.CLIENT,
            {
                "http.request.method": method,
                "url.scheme": target.scheme,
                "server.address": target.host,
                "server.port": target.port,
            }
            if tracing.on()
            else None,
        ) as span:
            body = self._answer(method, target, headers, deadline)
            span.note("http.response.status_code", body.status)
            return body

    def _answer(self, method: str, target: Target, headers: Mapping[str, str], deadline: Deadline) -> Body:
        try:
            sock = self._connect(target, deadline)
        except _UNAVAILABLE as exc:
            raise errors.StoreUnavailable(f"the web server can't be reached: {_reason(exc, deadline)}") from exc
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.default_port = PORTS[target.scheme]  # so that the Host header names other ports only
        connection.sock = sock
        try:
            # no encoding: the bytes are the image, and its length is known
            connection.request(
                method, target.path, headers={"Accept-Encoding": "identity", "User-Agent": "glancecore", **headers}
            )
            return Body(
                connection, connection.getresponse(), sock.gettimeout() or self._settings.timeout, self._settings
            )
        except _UNAVAILABLE as exc:
            connection.close()
            raise errors.StoreUnavailable(f"the web server gave no answer: {_reason(exc, deadline)}") from exc

    def _connect(self, target: Target, deadline: Deadline) -> socket.socket:
        """A connection to the first pinned address that takes one; TLS where the scheme wants it."""
        proxy = self._settings.proxies.get(target.scheme)
        failure: Exception = OSError()
        for address in target.addresses:
            try:
                sock = socket.create_connection(
                    proxy or (address, target.port), min(self._settings.connect_timeout, deadline.left)
                )
            except OSError as exc:
                failure = exc
                continue
            try:
                deadline.watch(sock)
                cutter = CUTTER.get()
                if cutter is not None:
                    cutter.add(sock)
                if proxy:
                    _tunnel(sock, f"[{address}]:{target.port}" if ":" in address else f"{address}:{target.port}")
                if target.scheme == "https":
                    tls = sock = self._settings.tls.wrap_socket(
                        sock, server_hostname=target.host, do_handshake_on_connect=False
                    )
                    deadline.watch(sock)
                    if cutter is not None:
                        cutter.add(sock)
                    tls.do_handshake()
            except _UNAVAILABLE as exc:
                sock.close()
                failure = exc
                continue
            sock.settimeout(max(0.01, min(self._settings.timeout, DEADLINE.get() - time.monotonic())))
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


def _plain(body: Body) -> Body:
    """Raises StoreUnavailable for data that is not sent as it is: its length and its parts are not those of the
    resource, nor are its bytes."""
    encoding = body.header("Content-Encoding").strip().lower()
    if encoding in ("", "identity") or body.status not in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
        return body
    body.close()
    raise _final("the web server sends the data in an encoding that was not asked for")


def _redirected(url: str, location: str, *, pinned: bool) -> str:
    """Blanks and letters that a URL must not have are quoted, as browsers do it: headers come byte for byte as
    Latin-1."""
    try:
        following = urljoin(url, quote(location.strip().encode("latin-1"), safe=_RESERVED))
    except ValueError:
        following = ""
    if not location or not following:
        raise errors.StoreUnavailable("the web server redirects to nowhere")
    secure = url.lower().startswith("https:")
    if secure and not following.lower().startswith("https:") and not (pinned and following.lower().startswith("http:")):
        raise errors.BadLocation(
            "a redirect leads from https to something else; that is followed only when a digest of the data is given"
        )
    return following


def _final(message: str) -> errors.StoreUnavailable:
    """Asking again does not help."""
    exc = errors.StoreUnavailable(message)
    exc.retryable = False
    return exc


def _reason(exc: Exception, deadline: Deadline | None = None) -> str:
    """Without addresses and names, which ``str(exc)`` may have."""
    if deadline is not None and deadline.passed:
        return "timeout"
    if isinstance(exc, ssl.SSLError):
        return f"TLS: {(exc.reason or 'failed').lower().replace('_', ' ')}"
    if isinstance(exc, TimeoutError):
        return "timeout"
    if isinstance(exc, OSError) and exc.strerror and re.fullmatch(r"[A-Za-z ,]+", exc.strerror):
        return exc.strerror.lower()
    return "not HTTP" if isinstance(exc, (http.client.HTTPException, ValueError)) else "connection lost"
