"""Fetching: where redirects may lead, and what may come."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glancecore.domain import errors
from glancecore.sdk.address_filter import AddressFilter
from glancecore.sdk.http_fetch import Fetcher, Settings

DATA = b"the data"


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    return (
        "\r\n".join(
            [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        ).encode("utf-8")
        + body
    )


class Server:
    """Answers by the path's first line; keeps what was asked for."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            try:
                connection = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
                path = connection.recv(65536).split(b" ", 2)[1].decode("ascii")
                self.asked.append(path)
                connection.sendall(self.answers.get(path, answer("404 Not Found")))
            finally:
                connection.close()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Server, ssl.SSLContext]]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    made = Server(context)
    yield made, ssl.create_default_context(cafile=certificate)
    made.close()


def fetcher(tls: ssl.SSLContext | None = None) -> Fetcher:
    return Fetcher(
        AddressFilter(["127.0.0.1", "localhost"]), Settings(2.0, 2.0, tls=tls or ssl.create_default_context())
    )


def read(url: str, *, pinned: bool = False, tls: ssl.SSLContext | None = None) -> bytes:
    body = fetcher(tls).request("GET", url, pinned=pinned)
    try:
        return body.read(1000)
    finally:
        body.close()


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/a disk.img", "/a%20disk.img"),
        ("/ubuntu-für-alle.img", "/ubuntu-f%C3%BCr-alle.img"),
        ("/a%20b?c=d&e=%2F", "/a%20b?c=d&e=%2F"),
        ("  /plain ", "/plain"),
        ("relative name", "/relative%20name"),
        ('/"quoted"<>', "/%22quoted%22%3C%3E"),
    ],
)
def test_a_redirect_is_quoted(server: Server, location: str, path: str) -> None:
    server.answers = {"/x": answer("302 Found", f"Location: {location}"), path: answer("200 OK", body=DATA)}
    assert read(f"http://127.0.0.1:{server.port}/x") == DATA
    assert server.asked == ["/x", path]


def test_too_many_redirects_are_final(server: Server) -> None:
    server.answers = {"/x": answer("302 Found", "Location: /x")}
    with pytest.raises(errors.StoreUnavailable, match="more than 5 redirects") as told:
        read(f"http://127.0.0.1:{server.port}/x")
    assert not told.value.retryable


@pytest.mark.parametrize("to", ["http", "https"])
@pytest.mark.parametrize("pinned", [False, True])
def test_from_https_to_http_with_a_digest_only(
    server: Server, secure: tuple[Server, ssl.SSLContext], to: str, pinned: bool
) -> None:
    first, tls = secure
    port = server.port if to == "http" else first.port
    first.answers = {
        "/x": answer("302 Found", f"Location: {to}://localhost:{port}/y"),
        "/y": answer("200 OK", body=DATA),
    }
    server.answers = {"/y": answer("200 OK", body=DATA)}

    def get() -> bytes:
        return read(f"https://localhost:{first.port}/x", pinned=pinned, tls=tls)

    if to == "https" or pinned:
        assert get() == DATA
    else:
        with pytest.raises(errors.BadLocation, match="digest"):
            get()
        assert server.asked == []


def test_a_digest_allows_nothing_but_http(secure: tuple[Server, ssl.SSLContext]) -> None:
    first, tls = secure
    first.answers = {"/x": answer("302 Found", "Location: ftp://localhost/y")}
    with pytest.raises(errors.BadLocation):
        read(f"https://localhost:{first.port}/x", pinned=True, tls=tls)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "br", "deflate", "zstd", "identity, gzip"])
@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content"])
def test_encoded_data_is_refused(server: Server, encoding: str, status: str) -> None:
    server.answers = {"/x": answer(status, f"Content-Encoding: {encoding}", body=gzip.compress(DATA))}
    with pytest.raises(errors.StoreUnavailable, match="encoding") as told:
        read(f"http://127.0.0.1:{server.port}/x")
    assert not told.value.retryable


@pytest.mark.parametrize("header", ["Content-Encoding: identity", "Content-Encoding:", "X-Nothing: gzip"])
def test_plain_data_is_taken(server: Server, header: str) -> None:
    server.answers = {"/x": answer("200 OK", header, body=DATA)}
    assert read(f"http://127.0.0.1:{server.port}/x") == DATA


def test_what_went_wrong_is_told_whatever_its_encoding(server: Server) -> None:
    server.answers = {"/x": answer("503 Busy", "Content-Encoding: gzip", body=gzip.compress(b"busy"))}
    body = fetcher().request("GET", f"http://127.0.0.1:{server.port}/x")
    body.close()
    assert body.status == 503


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: " + b"9" * 5000,
        b"Content-Length: " + b"9" * 19,
        b"Content-Length: -5",
        b"Content-Length: +5",
        b"Content-Length: \xb2",
        b"Content-Length: ",
        b"Content-Length: 5\r\nContent-Length: 4",
        b"Content-Length: 5, 5",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_says_in_one_way_where_it_ends(server: Server, fields: bytes, method: str) -> None:
    server.answers = {"/x": b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"}
    with pytest.raises(errors.StoreUnavailable, match="not HTTP"):
        fetcher().request(method, f"http://127.0.0.1:{server.port}/x")


@pytest.mark.parametrize(
    ("fields", "declared", "ends"),
    [
        (b"Content-Length: 5\r\nContent-Length:  5", 5, True),
        (b"Transfer-Encoding: Chunked\r\nContent-Length: 7", None, True),
        (b"X: y", None, False),
    ],
)
def test_whether_the_end_of_an_answer_is_known(server: Server, fields: bytes, declared: int | None, ends: bool) -> None:
    server.answers = {"/x": b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nabcde"}
    body = fetcher().request("GET", f"http://127.0.0.1:{server.port}/x")
    body.close()
    assert (body.declared, body.ends) == (declared, ends)


@pytest.mark.parametrize(
    "before",
    [b"", b"3\r\nabc", b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\n"],
    ids=["first", "behind a piece", "next", "trailer"],
)
def test_what_stands_between_pieces_comes_in_time(before: bytes) -> None:
    """However steadily it comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + before)
                for _ in range(50):
                    time.sleep(0.1)
                    connection.sendall(b"0" if before.endswith(b"abc\r\n") or not before else b" ")

        threading.Thread(target=trickle, daemon=True).start()
        body = Fetcher(AddressFilter(["127.0.0.1"]), Settings(2.0, 0.5)).request(
            "GET", f"http://127.0.0.1:{listening.getsockname()[1]}/"
        )
        with contextlib.closing(body), pytest.raises(errors.StoreUnavailable, match="timeout"):
            list(iter(lambda: body.read(1000), b""))


@contextlib.contextmanager
def trickling(header: bytes, piece: bytes) -> Iterator[str]:
    """A server that sends ``piece`` every 50 ms."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n")
                while True:
                    connection.sendall(piece)
                    time.sleep(0.05)

        threading.Thread(target=trickle, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


TRICKLES = ((b"Content-Length: 1000000", b"x"), (b"Transfer-Encoding: chunked", b"1\r\nx\r\n"))


@pytest.mark.parametrize(("header", "piece"), TRICKLES, ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(least_rate=1000, rate_window=1), "too slow: less than 1000 bytes a second"),
        (Settings(least_rate=0, fetch_timeout=1), "too slow: not everything within 1 seconds of waiting"),
    ],
    ids=["rate", "whole"],
)
def test_data_comes_at_the_least_rate(header: bytes, piece: bytes, settings: Settings, words: str) -> None:
    with (
        trickling(header, piece) as url,
        contextlib.closing(Fetcher(AddressFilter(["127.0.0.1"]), settings).request("GET", url)) as body,
    ):
        with pytest.raises(errors.StoreUnavailable, match=words) as told:
            list(iter(lambda: body.read(1000), b""))
        assert not told.value.retryable


def test_a_slow_reader_is_not_the_server_s_fault() -> None:
    with trickling(b"Content-Length: 100000", bytes(100_000)) as url:
        settings = Settings(least_rate=1 << 40, rate_window=1, fetch_timeout=1)
        with contextlib.closing(Fetcher(AddressFilter(["127.0.0.1"]), settings).request("GET", url)) as body:
            assert body.read(1000) == bytes(1000)
            time.sleep(1.5)
            assert len(b"".join(iter(lambda: body.read(1 << 20), b""))) == 99_000
