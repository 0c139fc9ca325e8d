"""The kit's rules against a real web server, and the operator's lists of what may be fetched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from glancecore_method_web_download.driver import WebDownload, _pinned

from glancecore.domain import errors
from glancecore.ports.import_method import MethodRequest
from glancecore.testing.import_method import DATA, OTHER, ImportMethodConformance, Source, Work, make_method, read


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: ClassVar[Web]

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        web, begin = self.web, 0
        if web.data is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if web.ranges and self.headers.get("Range") and self.headers.get("If-Range") == web.etag:
            begin = int(self.headers["Range"].partition("=")[2].rstrip("-"))
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(web.data) - 1}/{len(web.data)}")
        if web.etag:
            self.send_header("ETag", web.etag)
        if web.tells_length:
            self.send_header("Content-Length", str(len(web.data) - begin))
        self.end_headers()
        data = web.data[begin:]
        try:
            self.wfile.write(data if web.after is None else data[: web.after])
        except ConnectionError:
            pass
        self.close_connection = True


class Web(Source):
    def __init__(self, *, ranges: bool, etag: str) -> None:
        self.data: bytes | None = DATA
        self.ranges, self.etag = ranges, etag
        self.after: int | None = None
        self.tells_length = True
        handler = type("Mine", (Handler,), {"web": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = False
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/secret/name?token=hidden"
        self.good = MethodRequest({"name": "web-download", "uri": self.url})
        self.bad = tuple(
            MethodRequest({"name": "web-download", **more})
            for more in (
                {},
                {"uri": ""},
                {"uri": 5},
                {"uri": "ftp://127.0.0.1/x"},
                {"uri": "http://10.0.0.1/"},
                {"uri": self.url, "checksum_url": 5},
                {"uri": self.url, "checksum_url": "http://10.0.0.1/"},
            )
        )

    def cut(self, after: int) -> None:
        self.after = after

    def change(self) -> None:
        self.data, self.etag = OTHER, self.etag and '"two"'

    def remove(self) -> None:
        self.data = None

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


def method_for(web: Web, **options: Any) -> WebDownload:
    port = web.server.server_address[1]
    return make_method(
        WebDownload, **{"trusted_networks": ["127.0.0.1"], "allowed_ports": [port], "timeout": 2.0, **options}
    )


class TestRanges(ImportMethodConformance):
    etag, ranges = '"one"', True

    @pytest.fixture
    def source(self) -> Iterator[Web]:
        web = Web(ranges=self.ranges, etag=self.etag)
        yield web
        web.stop()

    @pytest.fixture
    def method(self, source: Web) -> WebDownload:
        return method_for(source)

    def test_data_whose_end_is_not_proved_needs_a_digest(self, source: Web, method: WebDownload) -> None:
        """Or half of it would become an image when the connection breaks."""
        source.tells_length = False
        with pytest.raises(errors.FetchFailed, match="where the data ends") as told:
            method.fetch(Work(source.good))
        assert not told.value.retryable
        assert read(method.fetch(Work(MethodRequest({**source.good.method, "expected": {"sha256": "0" * 64}})))) == DATA


class TestNoRanges(TestRanges):
    ranges = False


class TestNoValidator(TestRanges):
    etag = ""


@pytest.mark.parametrize(
    ("options", "uri", "taken"),
    [
        ({}, "http://8.8.8.8/x", True),
        ({}, "https://8.8.8.8/x", True),
        ({}, "http://8.8.8.8:443/x", True),
        ({}, "http://8.8.8.8:8080/x", False),
        ({"allowed_ports": [8080]}, "http://8.8.8.8:8080/x", True),
        ({"allowed_ports": [8080]}, "http://8.8.8.8/x", False),
        ({"allowed_ports": [80]}, "https://8.8.8.8/x", False),
        ({"allowed_ports": [], "disallowed_ports": [443]}, "https://8.8.8.8/x", False),
        ({"allowed_ports": [], "disallowed_ports": [22]}, "http://8.8.8.8:22/x", False),
        ({"allowed_ports": [], "disallowed_ports": [22]}, "http://8.8.8.8:23/x", True),
        ({"allowed_ports": [80], "disallowed_ports": [80]}, "http://8.8.8.8:80/x", True),
        ({"allowed_schemes": ["https"]}, "http://8.8.8.8/x", False),
        ({"allowed_schemes": [], "disallowed_schemes": ["http"]}, "http://8.8.8.8/x", False),
        ({"allowed_schemes": [], "disallowed_schemes": ["http"]}, "https://8.8.8.8/x", True),
        ({"allowed_hosts": ["8.8.8.8"]}, "http://8.8.8.8/x", True),
        ({"allowed_hosts": ["8.8.8.8"]}, "http://8.8.4.4/x", False),
        ({"allowed_hosts": ["10.0.0.0/8"]}, "http://10.1.2.3/x", True),
        ({"allowed_hosts": ["10.0.0.0/8"]}, "http://8.8.8.8/x", False),
        ({"allowed_hosts": ["localhost"]}, "http://localhost/x", True),
        ({"allowed_hosts": ["localhost"]}, "http://127.0.0.1/x", False),
        ({"disallowed_hosts": ["8.8.8.8"]}, "http://8.8.8.8/x", False),
        ({"disallowed_hosts": ["8.8.8.8"]}, "http://8.8.4.4/x", True),
        ({"disallowed_hosts": ["8.8.8.0/24"]}, "http://8.8.8.8/x", False),
        ({"disallowed_hosts": ["nowhere.invalid"]}, "http://8.8.8.8/x", True),
        ({"disallowed_hosts": ["127.0.0.1"], "trusted_networks": ["127.0.0.0/8"]}, "http://localhost/x", False),
        ({"disallowed_hosts": ["127.0.0.1"], "trusted_networks": ["127.0.0.0/8"]}, "http://127.0.0.2/x", True),
        ({"disallowed_hosts": ["localhost"], "trusted_networks": ["127.0.0.0/8"]}, "http://127.0.0.1/x", False),
        ({"disallowed_hosts": ["LocalHost."], "trusted_networks": ["127.0.0.0/8"]}, "http://localhost./x", False),
        ({"trusted_networks": ["10.0.0.0/8"]}, "http://10.1.2.3/x", True),
        ({"trusted_networks": ["10.0.0.0/8"]}, "http://8.8.8.8/x", True),
        ({}, "http://10.1.2.3/x", False),
    ],
)
def test_the_operators_lists(options: dict[str, Any], uri: str, taken: bool) -> None:
    method = make_method(WebDownload, **options)
    if taken:
        method.check(MethodRequest({"uri": uri}))
    else:
        with pytest.raises(errors.BadLocation, match="does not pass filtering"):
            method.check(MethodRequest({"uri": uri}))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"allowed_hosts": ["127.1"]}, "allowed_hosts"),
        ({"disallowed_hosts": ["*.example.org"]}, "disallowed_hosts"),
        ({"trusted_networks": ["10.0.0.0/99"]}, "trusted_networks"),
        ({"allowed_schemes": ["ftp"]}, "ftp"),
        ({"ca_file": "/nowhere"}, "ca_file"),
        ({"proxy": "nothing"}, "proxy"),
    ],
)
def test_a_wrong_setting_stops_the_start(options: dict[str, Any], word: str) -> None:
    with pytest.raises(errors.ConfigError, match=word):
        make_method(WebDownload, **options)


@pytest.mark.parametrize(
    ("method", "pinned"),
    [
        ({}, False),
        ({"expected": {}}, False),
        ({"expected": {"sha256": "0" * 64}}, True),
        ({"checksum_url": "https://8.8.8.8/SHA256SUMS"}, True),
        ({"checksum_url": "HTTPS://8.8.8.8/SHA256SUMS"}, True),
        ({"checksum_url": "http://8.8.8.8/SHA256SUMS"}, False),
        ({"signature": "x"}, False),
    ],
)
def test_what_lets_a_redirect_lead_to_http(method: dict[str, Any], pinned: bool) -> None:
    """A digest that nobody on the way can choose."""
    assert _pinned(MethodRequest({"uri": "https://8.8.8.8/x", **method})) is pinned
