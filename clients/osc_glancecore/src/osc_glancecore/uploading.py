"""A file becomes an image's data. Where the service has the extension tus, it goes on after whatever has broken off,
also a command that was killed."""

from __future__ import annotations

import base64
import sys
import time
from dataclasses import dataclass
from typing import Any

from osc_glancecore.files import Hashing, Piece, Progress, Source
from osc_glancecore.service import Service, ServiceError, good
from osc_glancecore.trying import BROKEN, Patience, again, passing

_TUS = {"Tus-Resumable": "1.0.0"}
#: Answers to a piece that want the offset asked for anew: somebody else's request, and a checksum.
_LOST_PLACE = frozenset({409, 460})
#: Statuses of an image whose data is coming.
_COMING = frozenset({"saving", "importing"})
#: States of an upload that somebody may go on with, or that the service works on.
_OPEN = frozenset({"open", "finishing"})
#: Seconds between two looks at an image that the service still works on, at most.
_LONGEST_LOOK = 5.0


class Refused(Exception):
    """The data has not become the image's, or another one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``piece``: bytes of one request. ``patience``: seconds for which nothing may go on. ``store``: where the image
    goes; None: the default one."""

    piece: int = 64 << 20
    patience: float = 600.0
    store: str | None = None


class Upload:
    """Of one file to one image. Raises Refused, ServiceError, what keystoneauth raises, and OSError."""

    def __init__(self, service: Service, image_id: str, source: Source, settings: Settings, progress: Progress) -> None:
        self._service, self._id, self._source, self._settings, self._progress = (
            service,
            image_id,
            source,
            settings,
            progress,
        )
        self._path = f"/v2/images/{image_id}"

    def run(self) -> dict[str, Any]:
        """The image, active, with the file's own hash."""
        hashing = Hashing(self._source.path)
        try:
            if self._image()["status"] != "active":  # or else an earlier run had come so far
                if again(self._service.has, "tus", patience=self._settings.patience):
                    self._in_pieces()
                else:
                    self._at_once()
            image = self._settled()
            self._verify(image, hashing)
        finally:
            hashing.stop()
        return image

    def _image(self) -> dict[str, Any]:
        return dict(again(self._service.json, "GET", self._path, patience=self._settings.patience))

    # -- in one request ----------------------------------------------------------------------------
    def _at_once(self) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            **({"X-Image-Meta-Store": self._settings.store} if self._settings.store else {}),
        }
        self._service.call(
            "PUT", f"{self._path}/file", data=Piece(self._source, 0, self._source.size, self._progress), headers=headers
        )

    # -- in pieces ---------------------------------------------------------------------------------
    def _in_pieces(self) -> None:
        where, patience = self._begun(), Patience(self._settings.patience)
        known = 0
        offset: int | None = None
        while True:
            try:
                if offset is None:
                    offset = self._offset(where)
                    if offset > known:
                        known = offset
                        patience.moved()
                while offset < self._source.size:
                    known = offset = self._send(where, offset)
                    patience.moved()
            except ServiceError as exc:
                if exc.status in (404, 410):
                    if self._image()["status"] == "active":
                        return
                    raise Refused(self._why(f"the upload has ended without the image: {exc}")) from exc
                if exc.status not in _LOST_PLACE and not passing(exc):
                    raise
                offset = None
                patience.rest(exc)
            except BROKEN as exc:
                offset = None
                patience.rest(exc)
            else:
                return

    def _begun(self) -> str:
        """The path of an upload of this very file: one that goes on, or a new one."""
        for upload in self._listed():
            path = f"{self._path}/uploads/{upload['id']}"
            if upload["state"] in _OPEN and upload["length"] == self._source.size and self._is_ours(path):
                return path
        told = {
            "fingerprint": self._source.fingerprint,
            **({"store": self._settings.store} if self._settings.store else {}),
        }
        answer = again(
            self._service.call,
            "POST",
            f"{self._path}/uploads",
            patience=self._settings.patience,
            headers={
                **_TUS,
                "Upload-Length": str(self._source.size),
                "Upload-Metadata": ",".join(f"{x} {_encoded(y)}" for x, y in told.items()),
            },
        )
        return f"{self._path}/uploads/{answer.headers['Location'].rpartition('/')[2]}"

    def _is_ours(self, path: str) -> bool:
        answer = again(self._service.ask, "HEAD", path, patience=self._settings.patience, headers=_TUS)
        return f"fingerprint {_encoded(self._source.fingerprint)}" in answer.headers.get("Upload-Metadata", "").split(
            ","
        )

    def _listed(self) -> list[dict[str, Any]]:
        return list(
            again(self._service.json, "GET", f"{self._path}/uploads", patience=self._settings.patience, headers=_TUS)[
                "uploads"
            ]
        )

    def _offset(self, where: str) -> int:
        offset = int(good(self._service.ask("HEAD", where, headers=_TUS)).headers["Upload-Offset"])
        if offset:
            print(f"{offset} of {self._source.size} bytes are there; going on behind them", file=sys.stderr)
        return offset

    def _send(self, where: str, offset: int) -> int:
        length = min(self._settings.piece, self._source.size - offset)
        answer = self._service.ask(
            "PATCH",
            where,
            data=Piece(self._source, offset, length, self._progress),
            headers={
                **_TUS,
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(offset),
                "Content-Length": str(length),
            },
        )
        return int(good(answer).headers["Upload-Offset"])

    # -- the end -----------------------------------------------------------------------------------
    def _settled(self) -> dict[str, Any]:
        """The image, when the service has made it active. It may take as long as it takes."""
        wait = 0.1
        while (image := self._image())["status"] in _COMING:
            time.sleep(wait)
            wait = min(_LONGEST_LOOK, wait * 1.5)
        if image["status"] != "active":
            raise Refused(self._why(f"the image is {image['status']}", image))
        return image

    def _why(self, said: str, image: dict[str, Any] | None = None) -> str:
        reason = (image or self._image()).get("os_glance_last_error")
        return f"{said}: {reason}" if reason else said

    def _verify(self, image: dict[str, Any], hashing: Hashing) -> None:
        """Raises Refused when the service has other bytes than the file."""
        if self._source.changed:
            raise Refused(
                f"{self._source.path} was changed while it was sent; image {self._id} has a part of each; delete it"
            )
        if image.get("os_hash_value") and hashing.get(str(image["os_hash_algo"])) != image["os_hash_value"]:
            raise Refused(
                f"image {self._id} has other bytes than {self._source.path}: its {image['os_hash_algo']} is"
                f" {image['os_hash_value']}; delete it"
            )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
