"""The service fetches a URL that its user names: only from where the operator lets it, and however often the connection
breaks."""

from __future__ import annotations

import math
import re
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.import_method import FetchedBody, FetchWork, ImportMethod, MethodRequest
from glancecore.ports.options import Section
from glancecore.ports.store import CHUNK
from glancecore.sdk.address_filter import AddressFilter, Target
from glancecore.sdk.http_fetch import Body, Fetcher, Pieces, Settings
from glancecore_method_web_download import checksums
from glancecore_method_web_download.options import OPTIONS, SECTION

#: Bytes that a checksum file may have.
MOST_SUMS = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
#: Answers that may be others when asked again.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class UriFilter(AddressFilter):
    """The operator's lists of schemes, hosts and ports, before an address is looked at."""

    def __init__(self, conf: Section) -> None:
        super().__init__([*conf.allowed_hosts, *conf.trusted_networks])
        self._conf = conf
        self._hosts = AddressFilter(conf.allowed_hosts)
        self._refused = AddressFilter(conf.disallowed_hosts)

    def target(self, url: str) -> Target:
        conf = self._conf
        scheme = url.partition(":")[0].lower()
        if not (scheme in conf.allowed_schemes if conf.allowed_schemes else scheme not in conf.disallowed_schemes):
            raise errors.BadLocation(f"scheme {scheme[:20]!r} is not allowed")
        found = super().target(url)
        if conf.allowed_hosts:
            if not self._hosts.named(found):
                raise errors.BadLocation("its host is not allowed")
        elif self._refused.touches(found):
            raise errors.BadLocation("its host is not allowed")
        if not (found.port in conf.allowed_ports if conf.allowed_ports else found.port not in conf.disallowed_ports):
            raise errors.BadLocation(f"port {found.port} is not allowed")
        return found


class WebDownload(ImportMethod):
    """Fetch ``uri``. Only public addresses, and those that the operator allows; each redirect is checked again."""

    plugin_api = "1.0"
    options = OPTIONS
    section = SECTION
    schema = {
        "required": ["uri"],
        "properties": {
            "uri": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "Where the data is."},
            "checksum_url": {
                "type": "string",
                "minLength": 1,
                "maxLength": 4096,
                "description": "URL of a file of digests, such as SHA256SUMS.",
            },
            "checksum_name": {
                "type": "string",
                "minLength": 1,
                "maxLength": 4096,
                "description": "The data's name in it; by default the last part of the uri.",
            },
        },
    }

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        self._filter: UriFilter | None = None
        self._fetcher: Fetcher | None = None

    def start(self) -> None:
        conf = self.conf
        for option in ("allowed_hosts", "disallowed_hosts", "trusted_networks"):
            try:
                AddressFilter(conf[option])
            except ValueError as exc:
                raise errors.ConfigError(f"[{SECTION}] {option}: {exc}; correct this value") from exc
        for option in ("allowed_schemes", "disallowed_schemes"):
            unknown = set(conf[option]) - {"http", "https"}
            if unknown and option == "allowed_schemes":
                raise errors.ConfigError(
                    f"[{SECTION}] {option}: {', '.join(sorted(unknown))} can't be fetched; use http, https"
                )
        try:
            tls = ssl.create_default_context(cafile=conf.ca_file)
        except OSError as exc:
            raise errors.ConfigError(
                f"[{SECTION}] ca_file = {conf.ca_file}: {exc}; name a file of PEM certificates"
            ) from exc
        proxies = {}
        if conf.proxy:
            host, colon, port = conf.proxy.rpartition(":")
            if not colon or not port.isdecimal():
                raise errors.ConfigError(f"[{SECTION}] proxy = {conf.proxy}: give host:port")
            proxies = {"http": (host, int(port)), "https": (host, int(port))}
        self._filter = UriFilter(conf)
        # the import that asks measures itself how fast it comes
        self._fetcher = Fetcher(
            self._filter,
            Settings(
                conf.connect_timeout, conf.timeout, conf.redirects, tls, proxies, least_rate=0, fetch_timeout=math.inf
            ),
        )

    def check(self, request: MethodRequest) -> None:
        try:
            self._checked().target(self._uri(request))
            if (sums := self._sums(request)) is not None:
                self._checked().target(sums[0])
        except errors.StoreError as exc:
            raise errors.BadLocation(f"uri does not pass filtering: {exc}") from exc

    def expected(self, work: FetchWork) -> Mapping[str, str]:
        """What the file at ``checksum_url`` says of ``checksum_name``, or of the last part of the URI."""
        sums = self._sums(work.request)
        if sums is None:
            return {}
        url, name = sums
        found = checksums.find(self._text(url), name)
        if not found:
            raise _failed(f"the checksum file has no digest of {name!r}", again=False)
        return found

    def _text(self, url: str) -> str:
        body = self._get(url, {})
        try:
            if body.status != HTTPStatus.OK:
                raise _failed(
                    f"the web server answered {body.status} to the request for the checksum file",
                    again=body.status in _PASSING,
                )
            text, end = bytearray(), time.monotonic() + self.conf.timeout
            for piece in _pieces(body):
                text += piece
                if time.monotonic() > end:
                    raise _failed("the web server takes too long to send the checksum file", again=True)
                if len(text) > MOST_SUMS:
                    raise _failed(f"the checksum file is larger than {MOST_SUMS} bytes", again=False)
        finally:
            body.close()
        return text.decode("utf-8", "replace")

    def _sums(self, request: MethodRequest) -> tuple[str, str] | None:
        """URL of the checksum file and the name to look for. Raises Invalid."""
        url = request.method.get("checksum_url")
        if url is None:
            return None
        name = request.method.get("checksum_name") or unquote(urlsplit(self._uri(request)).path.rpartition("/")[2])
        if not isinstance(url, str) or not url or not isinstance(name, str) or not name:
            raise errors.Invalid(
                "method.checksum_url, method.checksum_name: the URL of a checksum file, and the name of the data in it"
            )
        return url, name

    def _get(self, url: str, headers: Mapping[str, str], *, pinned: bool = False) -> Body:
        if self._fetcher is None:
            raise errors.ConfigError("the method was not started; report this as a fault")
        try:
            return self._fetcher.request("GET", url, headers, pinned=pinned)
        except errors.BadLocation as exc:
            raise _failed(f"the download was refused: {exc}", again=False) from exc
        except errors.StoreUnavailable as exc:
            raise _failed(str(exc), again=exc.retryable) from exc

    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        headers = {"Range": f"bytes={offset}-", "If-Range": validator} if offset and validator else {}
        pinned = _pinned(work.request)
        body = self._get(self._uri(work.request), headers, pinned=pinned)
        try:
            return self._part(body, offset, pinned=pinned)
        except BaseException:
            body.close()
            raise

    def _part(self, body: Body, offset: int, *, pinned: bool) -> FetchedBody:
        validator = _validator(body)
        if not (body.ends or pinned) and body.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise _failed(
                "the web server does not tell where the data ends; give its digest in method.expected", again=False
            )
        if body.status == HTTPStatus.PARTIAL_CONTENT and offset:
            found = _CONTENT_RANGE.fullmatch(body.header("Content-Range").strip())
            if not found or int(found[1]) != offset:
                raise _failed("the web server sent another part than was asked for", again=False)
            total = None if found[3] == "*" else int(found[3])
            return FetchedBody(offset, total, _pieces(body), validator)
        if body.status == HTTPStatus.OK:
            return FetchedBody(0, body.length, _pieces(body), validator)
        raise _failed(f"the web server answered {body.status}", again=body.status in _PASSING)

    def _checked(self) -> UriFilter:
        if self._filter is None:
            raise errors.ConfigError("the method was not started; report this as a fault")
        return self._filter

    def _uri(self, request: MethodRequest) -> str:
        uri = request.method.get("uri")
        if not isinstance(uri, str) or not uri:
            raise errors.Invalid("method.uri: web-download needs the URL of the data")
        return uri


def _pinned(request: MethodRequest) -> bool:
    """Whether the data is compared with a digest that nobody on the way can choose: the caller's own, or one fetched by
    https."""
    return bool(request.method.get("expected")) or str(request.method.get("checksum_url", "")).lower().startswith(
        "https:"
    )


def _validator(body: Body) -> str | None:
    """A strong ETag, or the date of the last change: only those may be compared for parts (RFC 9110 13.1.5)."""
    etag = body.header("ETag")
    if etag.startswith('"'):
        return etag
    return body.header("Last-Modified") or None


def _pieces(body: Body) -> Pieces:
    return Pieces(body, CHUNK, lambda exc: _failed(str(exc), again=True))


def _failed(message: str, *, again: bool) -> errors.FetchFailed:
    exc = errors.FetchFailed(message)
    exc.retryable = again
    return exc
