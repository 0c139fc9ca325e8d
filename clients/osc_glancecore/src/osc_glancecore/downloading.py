"""An image's data becomes a file: several ranges at once, gone on with after whatever has broken off, and seen to have the image's hash."""

from __future__ import annotations

import concurrent.futures
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osc_glancecore.files import BLOCK, Progress, file_hash, read_json, write_json
from osc_glancecore.service import Service, ServiceError, good
from osc_glancecore.trying import again
from osc_glancecore.uploading import Refused


@dataclass(frozen=True, slots=True)
class Settings:
    """``piece``: bytes of one request, of which ``parallel`` run at once. ``patience``: seconds for which a piece is tried."""

    piece: int = 32 << 20
    parallel: int = 4
    patience: float = 600.0


class Download:
    """Of one image to one file, beside which lie ``FILE.part`` and ``FILE.part.json`` until it is whole. Raises Refused, ServiceError, what keystoneauth raises, and OSError."""

    def __init__(self, service: Service, image: dict[str, Any], path: Path, settings: Settings, progress: Progress) -> None:
        self._service, self._image, self._target, self._settings, self._progress = service, image, path, settings, progress
        self._part, self._notes = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._size = int(image["size"])
        self._done: set[int] = set()

    def run(self) -> None:
        self._done = self._known()
        pieces = range(-(-self._size // self._settings.piece))
        self._progress.add(sum(self._length(x) for x in self._done))
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            os.ftruncate(descriptor, self._size)
            with concurrent.futures.ThreadPoolExecutor(self._settings.parallel) as pool:
                waiting = [pool.submit(self._fetch, descriptor, x) for x in pieces if x not in self._done]
                try:
                    for each in concurrent.futures.as_completed(waiting):
                        each.result()
                except BaseException:
                    self._stopped.set()
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._verify()
        self._part.replace(self._target)
        self._notes.unlink(missing_ok=True)

    @property
    def _what(self) -> dict[str, object]:
        """What the pieces that are there are of."""
        return {"image": self._image["id"], "size": self._size, "hash": self._image.get("os_hash_value"), "piece": self._settings.piece}

    def _known(self) -> set[int]:
        found = read_json(self._notes)
        if not isinstance(found, dict) or found.get("what") != self._what or not self._part.exists():
            self._part.unlink(missing_ok=True)
            return set()
        return {int(x) for x in found["done"]}

    def _length(self, number: int) -> int:
        return min(self._settings.piece, self._size - number * self._settings.piece)

    def _fetch(self, descriptor: int, number: int) -> None:
        start, length = number * self._settings.piece, self._length(number)
        came = 0

        def go_on() -> None:
            nonlocal came
            answer = self._service.ask("GET", f"/v2/images/{self._image['id']}/file", stream=True, headers={
                "Accept": "*/*", "Accept-Encoding": "identity", "Range": f"bytes={start + came}-{start + length - 1}"})
            with answer:
                good(answer)
                if answer.status_code != 206:
                    raise Refused(f"the service does not answer ranges (status {answer.status_code}); take openstack image save")
                for block in answer.iter_content(BLOCK):
                    if self._stopped.is_set():
                        return
                    if came + len(block) > length:
                        raise Refused("the service has sent more than it was asked for")
                    _write(descriptor, block, start + came)
                    came += len(block)
                    with self._lock:
                        self._progress.add(len(block))
            if came < length:
                raise ConnectionError("the service has sent less than it was asked for")

        again(go_on, patience=self._settings.patience)
        if self._stopped.is_set():
            return
        os.fdatasync(descriptor)
        with self._lock:
            self._done.add(number)
            write_json(self._notes, {"what": self._what, "done": sorted(self._done)})

    def _verify(self) -> None:
        if not self._image.get("os_hash_value"):
            return
        if file_hash(self._part, str(self._image["os_hash_algo"])) != self._image["os_hash_value"]:
            self._notes.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
            raise Refused(f"what has come is not what image {self._image['id']} should be: its {self._image['os_hash_algo']} is another; it was removed")


def found(service: Service, name: str, settings: Settings) -> dict[str, Any]:
    """The image that is meant by an id, a reference or a name, if it has data. Raises ServiceError."""
    image: dict[str, Any] = again(service.image, name, patience=settings.patience)
    if image["status"] != "active" or image.get("size") is None:
        raise ServiceError(409, f"image {image['id']} is {image['status']}: it has no data to download")
    return image


def _write(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, at)
        view, at = view[count:], at + count


