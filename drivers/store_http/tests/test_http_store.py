"""What only the HTTP store does; the rest is the kit's."""

import contextlib
import socket
import ssl
import threading
import time

import pytest
from glancecore_store_http.driver import HttpStore

from glancecore.domain import errors
from glancecore.testing.store import make_store

DATA = bytes(range(256)) * 20_000


@pytest.fixture
def store():
    return make_store(HttpStore, http_store_allowed_hosts=["127.0.0.1", "localhost"], http_store_timeout=0.5)


@pytest.fixture
def blob(nginx):
    (nginx.www / "blob").write_bytes(DATA)
    return f"{nginx.url}/blob"


@pytest.fixture
def answering():
    """answering(*answers) -> URL of a server that gives these bytes, one answer a connection, and keeps what it was
    asked."""
    servers = []

    def answering(*answers, hang=False, asked=None):
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            kept = []
            for answer in answers:
                connection, _ = server.accept()
                request = connection.recv(65536)
                if asked is not None:
                    asked.append(request)
                connection.sendall(answer)
                if hang:
                    kept.append(connection)
                else:
                    connection.close()
            if hang:
                done.wait(20)
            for connection in kept:
                connection.close()

        done, thread = threading.Event(), threading.Thread(target=serve)
        thread.start()
        servers.append((server, thread, done))
        return f"http://127.0.0.1:{server.getsockname()[1]}/blob"

    yield answering
    for server, thread, done in servers:
        done.set()
        thread.join(10)
        assert not thread.is_alive()
        server.close()


def read(store, url, *what):
    return b"".join(store.open(url, *what))


# -- settings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"https_ca_certificates_file": "/nowhere"}, r"\[kit\] https_ca_certificates_file = /nowhere can't be read"),
        ({"https_ca_certificates_file": __file__}, r"https_ca_certificates_file"),
        ({"http_proxy_information": {"ftp": "10.0.0.1:21"}}, r"http_proxy_information"),
        ({"http_proxy_information": {"http": "10.0.0.1"}}, r"http_proxy_information"),
        ({"http_store_allowed_hosts": ["10.0.0.1/8"]}, r"http_store_allowed_hosts: 10.0.0.1/8"),
        ({"http_store_allowed_hosts": ["http://x"]}, r"http_store_allowed_hosts"),
    ],
)
def test_wrong_settings_are_config_errors(settings, message):
    with pytest.raises(errors.ConfigError, match=message):
        make_store(HttpStore, **settings)


# -- where it goes ---------------------------------------------------------------------------------
def test_local_addresses_are_refused_unless_allowed(blob):
    store = make_store(HttpStore)
    for operation in (store.open, store.size):
        with pytest.raises(errors.BadLocation, match="not allowed"):
            operation(blob)


def test_redirects_are_checked_like_the_first_url(nginx, store):
    for there in (
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.2/",
        "http://[::1]/",
        "http://2130706433/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user:password@127.0.0.1/",
    ):
        with pytest.raises(errors.BadLocation):
            store.open(f"{nginx.url}/to?url={there}")


def test_five_redirects_are_followed_and_no_more(nginx, store, blob):
    assert read(store, f"{nginx.url}/hop/4/blob") == DATA
    with pytest.raises(errors.StoreUnavailable, match="more than 5 redirects"):
        store.open(f"{nginx.url}/hop/5/blob")


def test_relative_redirects_are_checked(store, answering):
    with pytest.raises(errors.BadLocation):
        store.open(answering(b"HTTP/1.1 302 Found\r\nLocation: //10.0.0.1/x\r\nContent-Length: 0\r\n\r\n"))


def test_redirect_to_nowhere_is_unavailable(store, answering):
    with pytest.raises(errors.StoreUnavailable, match="redirects to nowhere"):
        store.open(answering(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"))


def test_name_is_resolved_once(monkeypatch, store, nginx, blob):
    """A name server that changes its mind (DNS rebinding) is not asked again."""
    asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        asked.append(host)
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert read(store, f"http://localhost:{nginx.port}/blob") == DATA
    assert asked.count("localhost") == 1


def test_request_names_the_host_and_carries_no_secret(store, answering):
    asked = []
    url = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", asked=asked).replace("127.0.0.1", "localhost")
    assert read(store, f"{url}?a=1#part") == b"x"
    head, *headers = asked[0].decode().lower().split("\r\n")
    assert head == "get /blob?a=1 http/1.1"
    assert f"host: {url.split('/')[2]}" in headers
    assert "accept-encoding: identity" in headers
    assert not any(header.startswith(("cookie", "authorization")) for header in headers)


# -- https -----------------------------------------------------------------------------------------
def test_certificates_are_checked(nginx, store, blob):
    with pytest.raises(errors.StoreUnavailable, match="certificate verify failed"):
        store.open(f"{nginx.tls_url}/blob")
    settings = {"http_store_allowed_hosts": ["localhost", "127.0.0.1"]}
    knowing = make_store(HttpStore, https_ca_certificates_file=str(nginx.folder / "cert.pem"), **settings)
    assert read(knowing, f"{nginx.tls_url}/blob") == DATA
    with pytest.raises(errors.StoreUnavailable, match="certificate verify failed"):
        knowing.open(f"https://127.0.0.1:{nginx.tls_port}/blob")  # not the name in the certificate
    trusting = make_store(HttpStore, https_insecure=True, **settings)
    assert read(trusting, f"https://127.0.0.1:{nginx.tls_port}/blob", 5, 7) == DATA[5:12]


def test_redirect_from_https_to_http_is_refused(nginx):
    store = make_store(HttpStore, https_insecure=True, http_store_allowed_hosts=["localhost"])
    with pytest.raises(errors.BadLocation, match="https"):
        store.open(f"{nginx.tls_url}/to?url=http://localhost/")


# -- proxies ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_is_told_the_checked_address(nginx, blob, scheme):
    """A proxy that connects to what it is told, and keeps what it was told; the server still hears the name."""
    asked = []
    port = nginx.port if scheme == "http" else nginx.tls_port

    def pump(source, sink):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)

    def serve():
        connection, _ = server.accept()
        asked.append(connection.recv(65536))
        with connection, socket.create_connection(("127.0.0.1", port)) as there:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(there, connection))
            back.start()
            pump(connection, there)
            back.join()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        store = make_store(
            HttpStore,
            http_proxy_information={scheme: f"127.0.0.1:{server.getsockname()[1]}"},
            https_ca_certificates_file=str(nginx.folder / "cert.pem"),
            http_store_allowed_hosts=["localhost"],
        )
        assert read(store, f"{scheme}://localhost:{port}/blob") == DATA
        thread.join(10)
    assert asked[0].split(b"\r\n")[0] in {f"CONNECT {host}:{port} HTTP/1.1".encode() for host in ("127.0.0.1", "[::1]")}
    with pytest.raises(errors.BadLocation):
        store.open(f"{scheme}://10.0.0.1/")


def test_proxy_that_refuses_is_unavailable(answering):
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    proxy = answering(refusal, refusal).split("/")[2]
    store = make_store(HttpStore, http_proxy_information={"https": proxy}, http_store_allowed_hosts=["127.0.0.1"])
    with pytest.raises(errors.StoreUnavailable):
        store.open("https://127.0.0.1/")
    with pytest.raises(errors.StoreUnavailable):
        store.open("https://127.0.0.1/")


# -- answers ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, errors.BlobNotFound),
        (410, errors.BlobNotFound),
        (401, errors.StoreForbidden),
        (403, errors.StoreForbidden),
        (500, errors.StoreUnavailable),
        (503, errors.StoreUnavailable),
    ],
)
def test_statuses_become_store_errors(nginx, store, status, kind):
    for operation in (store.open, store.size):
        with pytest.raises(kind) as caught:
            operation(f"{nginx.url}/status/{status}")
        assert type(caught.value) is kind
        assert caught.value.store == "kit"


SHORT = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 99,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n0",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\nxxx",
    b"HTTP/1.1 200 OK\r\n\r\nxxxxx",  # ends with the connection: proves nothing
    b"HTTP/1.0 200 OK\r\n\r\nxxxxx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\nxxxxx",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"nonsense\r\n\r\n",
    b"",
]


@pytest.mark.parametrize("answer", SHORT, ids=range(len(SHORT)))
def test_body_whose_end_is_not_proved_is_unavailable(store, answering, answer):
    with pytest.raises(errors.StoreUnavailable):
        read(store, answering(answer))


def test_chunked_body_is_read_to_its_end(store, answering):
    assert (
        read(
            store, answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n2\r\nyy\r\n0\r\n\r\n")
        )
        == b"xxxxxyy"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/100\r\nContent-Length: 5\r\n\r\nxxxxx",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-13/100\r\nContent-Length: 4\r\n\r\nxxxx",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-14/*\r\nContent-Length: 5\r\n\r\nxxxxx",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nxxxxx",
        b"HTTP/1.1 416 No\r\nContent-Range: bytes */100\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nxxxxxxxxx",
    ],
    ids=range(7),
)
def test_wrong_range_is_unavailable(store, answering, answer):
    with pytest.raises(errors.StoreUnavailable):
        read(store, answering(answer), 10, 5)


def test_silent_server_is_unavailable(store, answering):
    with pytest.raises(errors.StoreUnavailable, match="timeout"):
        store.open(answering(b"", hang=True))
    with pytest.raises(errors.StoreUnavailable, match="timeout"):
        read(store, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nxxx", hang=True))


@pytest.fixture
def trickling():
    """The URL of a server that sends ``begin`` and then a byte now and then, for as long as it is listened to; and
    whether that has ended."""
    with contextlib.ExitStack() as stack:

        def trickling(begin, byte=b"x"):
            server, gone = stack.enter_context(socket.create_server(("127.0.0.1", 0))), threading.Event()

            def serve():
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(begin)
                    while True:
                        connection.sendall(byte)
                        time.sleep(0.02)
                gone.set()

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            return f"http://127.0.0.1:{server.getsockname()[1]}/blob", gone

        yield trickling


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP", b"HTTP/1.1 100 Continue\r\nX: "])
def test_a_header_that_never_ends_is_unavailable(trickling, begin):
    store = make_store(
        HttpStore, http_store_allowed_hosts=["127.0.0.1"], http_store_timeout=0.3, http_store_connect_timeout=0.3
    )
    url, gone = trickling(begin)
    with pytest.raises(errors.StoreUnavailable):
        store.size(url)
    assert gone.wait(30), "the connection stays"


def test_endless_informal_answers_are_unavailable(trickling):
    store = make_store(
        HttpStore, http_store_allowed_hosts=["127.0.0.1"], http_store_timeout=0.3, http_store_connect_timeout=0.3
    )
    url, gone = trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    with pytest.raises(errors.StoreUnavailable):
        store.open(url)
    assert gone.wait(30), "the connection stays"


def test_pieces_of_a_slow_body_come_as_they_are(store, trickling):
    """So that whoever waits for them can stop."""
    url, _ = trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    reader = store.open(url)
    assert 0 < len(next(reader)) < 1000
    reader.close()


def test_endless_trailers_are_unavailable(store, trickling):
    url, _ = trickling(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X: y\r\n")
    with pytest.raises(errors.StoreUnavailable):
        read(store, url)


def test_a_url_has_one_text(store):
    """What RFC 3986 calls the same is the same; what a path or a query means is the server's to say."""
    assert store.canonical("HTTP://LocalHost:80#x") == "http://localhost/#x"
    assert store.canonical("https://localhost./%7Ex?y=%2f") == "https://localhost/~x?y=%2f"
    for bad in ("http://x@localhost/", "http://localhost/../x", "file:///x", "http://localhost/%"):
        with pytest.raises(errors.BadLocation, match="store kit"):
            store.canonical(bad)


def test_size_without_a_length_is_unavailable(store, answering):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(errors.StoreUnavailable, match="does not tell the size"):
        store.size(answering(chunked, chunked + b"1\r\nx\r\n0\r\n\r\n"))


def test_size_of_a_range_is_the_whole(store, answering):
    no_head = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
    assert (
        store.size(
            answering(no_head, b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-0/123\r\nContent-Length: 1\r\n\r\nx")
        )
        == 123
    )
    assert (
        store.size(answering(no_head, b"HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n")) == 0
    )
    assert store.size(answering(no_head, b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nxxxxxxx")) == 7


def test_insecure_is_not_the_default():
    assert make_store(HttpStore).conf.https_insecure is False
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED
