"""The data of an image in another region, read in its user's name, with some of its properties."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.import_method import FetchedBody, FetchWork, ImportMethod, MethodRequest
from glancecore.ports.options import Section
from glancecore.ports.store import CHUNK
from glancecore.sdk.address_filter import AddressFilter
from glancecore.sdk.http_fetch import Body, Fetcher, Pieces, Settings
from glancecore_method_glance_download.options import OPTIONS, SECTION, keystone_of

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")
#: Most bytes of a catalogue or an image's metadata.
MOST_JSON = 4 << 20
#: Answers that may be others when asked again.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class GlanceDownload(ImportMethod):
    """``glance_region`` and ``glance_image_id`` name the source. Its digest is checked; its data can't change, so a
    broken download goes on where it ended."""

    plugin_api = "1.0"
    options = OPTIONS
    section = SECTION
    wants_token = True
    schema = {
        "required": ["glance_region", "glance_image_id"],
        "properties": {
            "glance_region": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "description": "The region to read from.",
            },
            "glance_image_id": {"type": "string", "maxLength": 255, "description": "The image there; a UUID."},
            "glance_service_interface": {
                "type": "string",
                "maxLength": 255,
                "description": "Which of its endpoints: public (by default), internal or admin.",
            },
        },
    }

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        self._fetcher: Fetcher | None = None
        self._keystone = ""

    def start(self) -> None:
        self._keystone = (self.conf.auth_url or keystone_of(self.config) or "").rstrip("/")
        if not self._keystone:
            raise errors.ConfigError(
                f"[{SECTION}] auth_url: glance-download finds other regions in Keystone's catalogue; give its URL here,"
                " or as auth_url or www_authenticate_uri of [keystone_authtoken]"
            )
        try:
            tls = ssl.create_default_context(cafile=self.conf.ca_file)
        except OSError as exc:
            raise errors.ConfigError(
                f"[{SECTION}] ca_file = {self.conf.ca_file}: {exc}; name a file of PEM certificates"
            ) from exc
        # Keystone and its catalogue are the operator's: they may be anywhere; the import that asks measures itself how
        # fast it comes
        settings = Settings(self.conf.connect_timeout, self.conf.timeout, 0, tls, least_rate=0, fetch_timeout=math.inf)
        self._fetcher = Fetcher(AddressFilter(["0.0.0.0/0", "::/0"]), settings)

    def check(self, request: MethodRequest) -> None:
        method = request.method
        if not isinstance(method.get("glance_region"), str) or not method["glance_region"]:
            raise errors.Invalid("method.glance_region: glance-download needs the name of the region")
        if not isinstance(method.get("glance_image_id"), str):
            raise errors.Invalid("method.glance_image_id: glance-download needs the id of the image there")
        if not _UUID.fullmatch(str(method["glance_image_id"])):
            raise errors.Invalid("method.glance_image_id: the image id does not look like a UUID")
        if not isinstance(
            method.get("glance_service_interface", ""), str
        ):  # one that the catalogue does not have is found later, as in Glance
            raise errors.Invalid("method.glance_service_interface: public, internal or admin")
        if not request.secrets.get("token"):
            raise errors.Invalid("method.name: glance-download works for callers with a Keystone token only")

    def prepare(self, work: FetchWork) -> None:
        source = self._source(work.request)
        work.set_formats(source.get("disk_format"), source.get("container_format"))
        names = tuple(self.conf.extra_properties)
        found = {key: value for key, value in source.items() if isinstance(value, str) and key.startswith(names)}
        if found:
            work.set_properties(**found)

    def expected(self, work: FetchWork) -> Mapping[str, str]:
        source = self._source(work.request)
        algorithm, digest = source.get("os_hash_algo"), source.get("os_hash_value")
        return {str(algorithm): str(digest).lower()} if algorithm and digest else {}

    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        source = self._source(work.request)
        same = str(source.get("os_hash_value") or source.get("checksum") or "")
        headers = {"Range": f"bytes={offset}-"} if offset and validator == same else {}
        body = self._get(
            f"{self._endpoint(work.request)}/v2/images/{work.request.method['glance_image_id']}/file",
            work.request,
            headers,
        )
        try:
            if body.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE) and headers:
                body.close()  # its store has no ranges
                body = self._get(
                    f"{self._endpoint(work.request)}/v2/images/{work.request.method['glance_image_id']}/file",
                    work.request,
                    {},
                )
            return _part(body, offset, same or None)
        except BaseException:
            body.close()
            raise

    # -- inside ------------------------------------------------------------------------------------
    def _source(self, request: MethodRequest) -> dict[str, Any]:
        found = self._json(
            f"{self._endpoint(request)}/v2/images/{request.method['glance_image_id']}",
            request,
            "the image in the other region",
        )
        if found.get("status") != "active":
            raise _failed("the image in the other region is not active", again=False)
        return found

    def _endpoint(self, request: MethodRequest) -> str:
        region, interface = request.method["glance_region"], request.method.get("glance_service_interface", "public")
        base = self._keystone if self._keystone.endswith("/v3") else f"{self._keystone}/v3"
        catalogue = self._json(f"{base}/auth/catalog", request, "the catalogue of regions").get("catalog", [])
        for service in catalogue:
            for endpoint in service.get("endpoints", ()) if service.get("type") == "image" else ():
                if endpoint.get("interface") == interface and region in (
                    endpoint.get("region"),
                    endpoint.get("region_id"),
                ):
                    return str(endpoint["url"]).rstrip("/").removesuffix("/v2")
        raise _failed(f"there is no image service of region {region!r} and interface {interface!r}", again=False)

    def _json(self, url: str, request: MethodRequest, what: str) -> dict[str, Any]:
        body = self._get(url, request, {})
        try:
            if body.status != HTTPStatus.OK:
                raise _failed(f"{what} can't be read: the answer was {body.status}", again=body.status in _PASSING)
            raw = bytearray()
            for piece in _pieces(body):
                raw += piece
                if len(raw) > MOST_JSON:
                    raise _failed(f"{what} is too large", again=False)
            found = orjson.loads(raw)
        except orjson.JSONDecodeError as exc:
            raise _failed(f"{what} can't be read: it is no JSON", again=False) from exc
        finally:
            body.close()
        return found if isinstance(found, dict) else {}

    def _get(self, url: str, request: MethodRequest, headers: Mapping[str, str]) -> Body:
        if self._fetcher is None:
            raise errors.ConfigError("the method was not started; report this as a fault")
        try:
            return self._fetcher.request(
                "GET", url, {"X-Auth-Token": request.secrets.get("token", ""), "Accept": "*/*", **headers}
            )
        except errors.StoreError as exc:
            raise _failed(f"the other region can't be reached: {exc}", again=exc.retryable) from exc


def _part(body: Body, offset: int, same: str | None) -> FetchedBody:
    if body.status == HTTPStatus.PARTIAL_CONTENT and offset:
        found = _CONTENT_RANGE.fullmatch(body.header("Content-Range").strip())
        if not found or int(found[1]) != offset:
            raise _failed("the other region sent another part than was asked for", again=False)
        return FetchedBody(offset, int(found[2]), _pieces(body), same)
    if body.status == HTTPStatus.OK:
        return FetchedBody(0, body.length, _pieces(body), same)
    raise _failed(f"the other region answered {body.status}", again=body.status in _PASSING)


def _pieces(body: Body) -> Pieces:
    return Pieces(body, CHUNK, lambda exc: _failed(str(exc).replace("web server", "other region"), again=True))


def _failed(message: str, *, again: bool) -> errors.FetchFailed:
    exc = errors.FetchFailed(message)
    exc.retryable = again
    return exc
