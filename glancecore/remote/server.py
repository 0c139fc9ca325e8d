"""An image service, of whatever make, over API v2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import requests
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from glancecore.remote.record import LAST, RemoteError, RemotePlace, RemoteRecord

CHUNK = 1 << 20
PAGE = 500
PATCH = "application/openstack-images-v2.1-json-patch"
#: What breaks off and may go better the next time.
BROKEN = (
    exceptions.ConnectFailure,
    exceptions.ConnectionError,
    exceptions.UnknownConnectionError,
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    exceptions.ServiceUnavailable,
    exceptions.BadGateway,
    exceptions.GatewayTimeout,
)


class ImageServer(RemotePlace):
    """``adapter`` knows where the service is and who asks."""

    def __init__(self, name: str, adapter: Adapter) -> None:
        self.name, self._adapter = name, adapter

    def images(self) -> Iterator[RemoteRecord]:
        for hidden in ("false", "true"):
            path: str | None = (
                f"/v2/images?limit={PAGE}&visibility=all&member_status=all&os_hidden={hidden}&sort=created_at:asc"
            )
            while path:
                page = self._call("GET", path).json()
                for document in page["images"]:
                    yield self._record(document)
                path = page.get("next")

    def find(self, image_id: str) -> RemoteRecord | None:
        answer = self._call("GET", f"/v2/images/{image_id}", absent=True)
        return None if answer.status_code == HTTPStatus.NOT_FOUND else self._record(answer.json())

    def read(self, record: RemoteRecord, offset: int = 0) -> Iterator[bytes]:
        headers = {"Accept": "application/octet-stream", **({"Range": f"bytes={offset}-"} if offset else {})}
        with self._call("GET", f"/v2/images/{record.id}/file", headers=headers, stream=True) as answer:
            skip = 0 if answer.status_code == HTTPStatus.PARTIAL_CONTENT else offset
            for piece in answer.iter_content(CHUNK):
                kept, skip = piece[skip:], max(0, skip - len(piece))
                if kept:
                    yield kept

    def create(self, record: RemoteRecord) -> None:
        fields = {name: value for name, value in record.fields.items() if name not in LAST}
        self._call("POST", "/v2/images", json={"id": record.id, "visibility": "private", **fields})

    def write(self, record: RemoteRecord, chunks: Iterable[bytes]) -> None:
        body = _Body(chunks, record.size) if record.size is not None else chunks
        self._call(
            "PUT", f"/v2/images/{record.id}/file", data=body, headers={"Content-Type": "application/octet-stream"}
        )

    def finish(self, record: RemoteRecord) -> bool:
        now = self.find(record.id)
        if now is None:
            raise RemoteError(f"{self.name}: image {record.id} is gone")
        steps = [
            {"op": "replace" if name in now.fields else "add", "path": f"/{_escaped(name)}", "value": value}
            for name, value in record.fields.items()
            if now.fields.get(name) != value and not _same_set(now.fields.get(name), value)
        ]
        steps += [
            {"op": "remove", "path": f"/{_escaped(name)}"}
            for name in now.fields
            if name not in record.fields
            and name not in record.left_out
            and name not in LAST
            and name not in ("tags", "name", "min_disk", "min_ram", "owner", "container_format", "disk_format")
        ]
        if steps:
            self._call("PATCH", f"/v2/images/{record.id}", json=steps, headers={"Content-Type": PATCH})
        new = [x for x in record.members if x not in now.members]
        for member in new:
            self._call("POST", f"/v2/images/{record.id}/members", json={"member": member})
        if record.status == "deactivated" and now.status == "active":
            self._call("POST", f"/v2/images/{record.id}/actions/deactivate")
        return bool(steps or new or (record.status == "deactivated" and now.status == "active"))

    def remove(self, image_id: str) -> None:
        self._call("DELETE", f"/v2/images/{image_id}", absent=True)

    # -- inside ------------------------------------------------------------------------------------
    def _record(self, document: Mapping[str, Any]) -> RemoteRecord:
        members: list[str] = []
        if document.get("visibility") == "shared":
            answer = self._call("GET", f"/v2/images/{document['id']}/members", absent=True)
            if answer.status_code == HTTPStatus.OK:
                members = [x["member_id"] for x in answer.json()["members"]]
        return RemoteRecord.of(document, members)

    def _call(self, method: str, path: str, *, absent: bool = False, **more: Any) -> requests.Response:
        """``absent``: a 404 is an answer, too."""
        try:
            answer: requests.Response = self._adapter.request(path, method, **more)
        except exceptions.NotFound as exc:
            if absent and exc.response is not None:
                return exc.response
            raise RemoteError(f"{self.name}: {method} {path.partition('?')[0]}: {_said(exc)}") from exc
        except BROKEN:
            raise
        except exceptions.ClientException as exc:
            raise RemoteError(f"{self.name}: {method} {path.partition('?')[0]}: {_said(exc)}") from exc
        return answer


class _Body:
    """A body of known length, in pieces: with a length the service can tell that it is whole."""

    def __init__(self, chunks: Iterable[bytes], size: int) -> None:
        self._chunks, self._size, self._rest = iter(chunks), size, b""

    def __len__(self) -> int:
        return self._size

    def read(self, _size: int = -1) -> bytes:
        """As much as comes at once: the HTTP library sends what it is given."""
        return next(self._chunks, b"")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _same_set(one: object, other: object) -> bool:
    return isinstance(one, list) and isinstance(other, list) and sorted(one) == sorted(other)


def _said(exc: exceptions.ClientException) -> str:
    """The service's own sentence, where it has one."""
    response = getattr(exc, "response", None)
    text = getattr(response, "text", "") or ""
    return f"{getattr(exc, 'http_status', '')} {' '.join(text.split())[:300] or exc}".strip()
