"""Images on any web server, read only: the location is the URL."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import CHUNK, Cap, Store
from glancecore.sdk import address_filter as outbound
from glancecore.sdk.address_filter import PORTS, AddressFilter
from glancecore.sdk.http_fetch import Body, Fetcher, Settings
from glancecore_store_http.options import OPTIONS

_FORBIDDEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}
_NOT_FOUND = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)")
#: Servers count in 64 bits: a range that ends behind this is asked for without its end.
_LARGEST = 1 << 62


class HttpStore(Store):
    """Location: any http or https URL whose host is public or allowed."""

    plugin_api = "1.0"
    schemes = ("http", "https")
    options = OPTIONS
    caps = frozenset({Cap.RANGE, Cap.EXTERNAL})

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        try:
            addresses = AddressFilter(conf.http_store_allowed_hosts)
        except ValueError as exc:
            raise errors.ConfigError(f"[{name}] http_store_allowed_hosts: {exc}; correct this value") from None
        self._fetcher = Fetcher(
            addresses,
            Settings(
                connect_timeout=conf.http_store_connect_timeout,
                timeout=conf.http_store_timeout,
                tls=_tls(name, conf),
                proxies=_proxies(name, conf.http_proxy_information),
                least_rate=conf.http_store_min_fetch_rate,
                rate_window=conf.http_store_fetch_rate_window,
                fetch_timeout=conf.http_store_fetch_timeout,
            ),
        )

    def canonical(self, url: str) -> str:
        """With its fragment, which no server sees: by it, as in Glance, an image may have the same place twice."""
        try:
            return outbound.canonical(url) + url[url.index("#") :] if "#" in url else outbound.canonical(url)
        except errors.BadLocation as exc:
            raise errors.BadLocation(f"store {self.name}: {exc}", self.name, "canonical") from exc

    def size(self, url: str) -> int:
        """By HEAD, or by the answer to a GET of one byte where the server has no HEAD or no length in it."""
        with_head = self._ask("HEAD", url, "size")
        with_head.close()
        if with_head.status == HTTPStatus.OK and with_head.declared is not None:
            return with_head.declared
        body = self._ask("GET", url, "size", {"Range": "bytes=0-0"})
        body.close()
        size = (
            _range(body)[2]
            if body.status in {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
            else body.length
        )
        self._check(
            body, "size", {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
        )
        if size is None:
            raise self._unavailable("does not tell the size", "size")
        return size

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        wanted = None if length is None else offset + max(length, 1)  # a range of no bytes can't be asked for
        if wanted is not None and wanted > _LARGEST:
            wanted = None
        last = "" if wanted is None else wanted - 1
        body = self._ask(
            "GET", url, "open", {} if offset == 0 and length is None else {"Range": f"bytes={offset}-{last}"}
        )
        try:
            self._check(
                body, "open", {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
            )
            if not body.ends:
                raise self._unavailable("does not tell where the data ends", "open")
            skip = self._before(body, offset, wanted)
        except BaseException:
            body.close()
            raise
        if skip is None or length == 0:
            body.close()
            return Pieces(body, 0, 0)
        return Pieces(body, skip, length)

    def _before(self, body: Body, offset: int, wanted: int | None) -> int | None:
        """How many bytes of ``body`` lie before ``offset``; None when there is nothing behind it."""
        if body.status == HTTPStatus.OK:  # the server does not know ranges
            return offset
        start, end, size = _range(body)
        if body.status == HTTPStatus.PARTIAL_CONTENT:
            if (
                start != offset
                or end is None
                or size is None
                or end + 1 != min(size, size if wanted is None else wanted)
            ):
                raise self._unavailable("sends another range than was asked for", "open")
            return 0
        if size is None or offset < size:
            raise self._unavailable("refuses a range that the data has", "open")
        return None

    def _ask(self, method: str, url: str, operation: str, headers: Mapping[str, str] | None = None) -> Body:
        try:
            return self._fetcher.request(method, url, headers)
        except errors.StoreError as exc:
            raise type(exc)(f"store {self.name}: {exc}", self.name, operation) from exc

    def _check(self, body: Body, operation: str, good: set[HTTPStatus]) -> None:
        if body.status in good:
            return
        if body.status in _NOT_FOUND:
            raise errors.BlobNotFound(f"store {self.name}: the web server does not have it", self.name, operation)
        if body.status in _FORBIDDEN:
            raise errors.StoreForbidden(f"store {self.name}: the web server refuses access", self.name, operation)
        raise self._unavailable(f"answers {body.status}", operation)

    def _unavailable(self, what: str, operation: str) -> errors.StoreUnavailable:
        return errors.StoreUnavailable(f"store {self.name}: the web server {what}", self.name, operation)


class Pieces(Iterator[bytes]):
    """``length`` bytes (None: to the end) of ``body`` behind its first ``skip``. An iterator, not a generator: it can
    be closed before it was started."""

    def __init__(self, body: Body, skip: int, length: int | None) -> None:
        self._body, self._skip, self._left = body, skip, length
        self._open = length != 0

    def __next__(self) -> bytes:
        while self._open and self._skip:
            skipped = len(self._body.read(min(self._skip, CHUNK)))
            self._skip -= skipped
            if not skipped:
                self.close()
        if not self._open or self._left == 0:
            self.close()
            raise StopIteration
        piece = self._body.read(CHUNK if self._left is None else min(CHUNK, self._left))
        if not piece:
            self.close()
            raise StopIteration
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._open = False
        self._body.close()

    def __del__(self) -> None:
        self.close()


def _range(body: Body) -> tuple[int | None, int | None, int | None]:
    """First byte, last byte and whole size as Content-Range tells them."""
    found = _RANGE.fullmatch(body.header("Content-Range"))
    start, end, size = found.groups() if found else (None, None, None)
    return (int(start) if start else None, int(end) if end else None, int(size) if size and size != "*" else None)


def _tls(name: str, conf: Section) -> ssl.SSLContext:
    """Raises ConfigError."""
    try:
        context = ssl.create_default_context(cafile=conf.https_ca_certificates_file or None)
    except (OSError, ssl.SSLError):
        raise errors.ConfigError(
            f"[{name}] https_ca_certificates_file = {conf.https_ca_certificates_file} can't be read: name a file of PEM"
            " certificates that the service may read"
        ) from None
    if conf.https_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxies(name: str, settings: Mapping[str, str]) -> Mapping[str, tuple[str, int]]:
    """Raises ConfigError."""
    proxies = {}
    for scheme, place in settings.items():
        host, _, port = place.removeprefix("http://").rstrip("/").rpartition(":")
        if scheme not in PORTS or not host or not port.isdecimal():
            raise errors.ConfigError(
                f"[{name}] http_proxy_information: give http:host:port and https:host:port, not {scheme}:{place}"
            )
        proxies[scheme] = host.strip("[]"), int(port)
    return proxies
