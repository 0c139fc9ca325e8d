"""The datastores' files over HTTP: PUT, GET and HEAD below /folder/, with the session's cookie (vSphere Web Services
SDK, "HTTP Access to vSphere Server Files")."""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import urlsplit

from glancecore.domain import errors
from glancecore.ports.store import CHUNK
from glancecore_store_vmware.session import Session, named_errors

_REDIRECTS = frozenset(
    {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER, HTTPStatus.TEMPORARY_REDIRECT}
)
_MOST_REDIRECTS = 3
_FULL = frozenset({HTTPStatus.INSUFFICIENT_STORAGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class Web:
    def __init__(self, name: str, session: Session, timeout: float) -> None:
        self._name = name
        self._session = session
        self._timeout = timeout

    def put(self, path: str, chunks: Iterable[bytes], size: int | None) -> None:
        """Write a file. What ``chunks`` raises passes, and the connection is broken off. Raises SizeMismatch."""
        with named_errors(self._name):
            connection = self._connection(self._session.host, self._session.port)
            cookie = self._session.cookie()
        try:
            with named_errors(self._name):
                connection.putrequest("PUT", path)
                connection.putheader("Cookie", cookie)
                connection.putheader("Content-Type", "application/octet-stream")
                connection.putheader(
                    *(("Content-Length", str(size)) if size is not None else ("Transfer-Encoding", "chunked"))
                )
                connection.endheaders()
            seen = 0
            for piece in chunks:
                seen += len(piece)
                if size is not None and seen > size:
                    raise errors.SizeMismatch(f"{size} bytes were declared, but more came")
                if piece:
                    self._send(connection, piece, chunked=size is None)
            if size is not None and seen != size:
                raise errors.SizeMismatch(f"{size} bytes were declared, but {seen} came")
            with named_errors(self._name):
                if size is None:
                    connection.send(b"0\r\n\r\n")
                with connection.getresponse() as answer:
                    self._check(answer, {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})
        finally:
            connection.close()

    def size(self, path: str) -> int:
        """Raises BlobNotFound."""
        connection, answer = self._ask("HEAD", path, {})
        answer.close()
        connection.close()
        self._check(answer, {HTTPStatus.OK})
        length = answer.getheader("Content-Length") or ""
        if not length.isdecimal():
            raise errors.StoreUnavailable(f"store {self._name}: the vCenter does not tell the size", self._name)
        return int(length)

    def open(self, path: str, offset: int, length: int) -> Iterator[bytes]:
        """``length`` bytes, at least one, that the file has. A server without ranges is read from the beginning."""
        connection, answer = self._ask("GET", path, {"Range": f"bytes={offset}-{offset + length - 1}"})
        try:
            self._check(answer, {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
            if answer.status == HTTPStatus.PARTIAL_CONTENT:
                if not (answer.getheader("Content-Range") or "").startswith(f"bytes {offset}-{offset + length - 1}/"):
                    raise errors.StoreUnavailable(
                        f"store {self._name}: the vCenter sends another range than was asked for", self._name
                    )
                offset = 0
        except BaseException:
            answer.close()
            connection.close()
            raise
        return Pieces(self._name, connection, answer, offset, length)

    # -- inside ------------------------------------------------------------------------------------
    def _send(self, connection: http.client.HTTPConnection, piece: bytes, *, chunked: bool) -> None:
        with named_errors(self._name):
            try:
                if chunked:
                    connection.send(b"%x\r\n" % len(piece))
                connection.send(piece)
                if chunked:
                    connection.send(b"\r\n")
            except ConnectionError:
                # refused in the middle: the answer says why, when it is there
                with connection.getresponse() as answer:
                    self._check(answer, set())
                raise

    def _ask(
        self, method: str, path: str, headers: dict[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Where reads are sent on to an ESX host, with the same session."""
        with named_errors(self._name):
            host, port = self._session.host, self._session.port
            for attempt in range(_MOST_REDIRECTS + 2):
                connection = self._connection(host, port)
                try:
                    connection.request(
                        method,
                        path,
                        headers={"Cookie": self._session.cookie(), "Accept-Encoding": "identity", **headers},
                    )
                    answer = connection.getresponse()
                except BaseException:
                    connection.close()
                    raise
                if answer.status not in _REDIRECTS:
                    return connection, answer
                answer.close()
                connection.close()
                target = urlsplit(answer.getheader("Location") or "")
                if target.scheme != "https" or not target.hostname or attempt > _MOST_REDIRECTS:
                    break
                host, port = target.hostname, target.port or 443
                path = f"{target.path}?{target.query}"
        raise errors.StoreUnavailable(
            f"store {self._name}: the vCenter sends readers elsewhere in a way that can't be followed", self._name
        )

    def _connection(self, host: str, port: int) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._session.tls)

    def _check(self, answer: http.client.HTTPResponse, good: set[HTTPStatus]) -> None:
        if answer.status in good:
            return
        if answer.status == HTTPStatus.NOT_FOUND:
            raise errors.BlobNotFound(f"store {self._name} does not have it", self._name)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise errors.StoreForbidden(f"store {self._name}: the vCenter refuses access", self._name)
        if answer.status in _FULL:
            raise errors.StoreFull(f"store {self._name} is full", self._name)
        raise errors.StoreUnavailable(f"store {self._name}: the vCenter answers {answer.status}", self._name)


class Pieces(Iterator[bytes]):
    """An iterator, not a generator: it can be closed before it was started."""

    def __init__(
        self,
        name: str,
        connection: http.client.HTTPConnection,
        answer: BinaryIO | http.client.HTTPResponse,
        skip: int,
        length: int,
    ) -> None:
        self._name = name
        self._connection, self._answer = connection, answer
        self._skip, self._left = skip, length

    def __next__(self) -> bytes:
        while self._skip:
            self._skip -= len(self._read(min(self._skip, CHUNK)))
        if not self._left:
            self.close()
            raise StopIteration
        piece = self._read(min(self._left, CHUNK))
        self._left -= len(piece)
        return piece

    def _read(self, size: int) -> bytes:
        with named_errors(self._name):
            piece = self._answer.read(size)
        if not piece:
            raise errors.StoreUnavailable(f"store {self._name}: the data ended {self._left} bytes early", self._name)
        return piece

    def close(self) -> None:
        self._skip = self._left = 0
        self._answer.close()
        self._connection.close()

    def __del__(self) -> None:
        self.close()
