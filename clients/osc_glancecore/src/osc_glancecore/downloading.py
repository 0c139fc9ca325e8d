"""An image's data becomes a file: several ranges at once, gone on with after whatever has broken off, and seen to have
the image's hash."""

from __future__ import annotations

import concurrent.futures
import fcntl
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osc_glancecore.files import BLOCK, Progress, file_hash, read_json, write_json
from osc_glancecore.service import Service, ServiceError, good
from osc_glancecore.trying import Patience, again, passing
from osc_glancecore.uploading import Refused


@dataclass(frozen=True, slots=True)
class Settings:
    """``piece``: bytes of one request, of which ``parallel`` run at once. ``patience``: seconds for which a piece is
    tried."""

    piece: int = 32 << 20
    parallel: int = 4
    patience: float = 600.0


class Download:
    """Of one image to one file, beside which lie ``FILE.part`` and ``FILE.part.json`` until it is whole. Raises
    Refused, ServiceError, what keystoneauth raises, and OSError."""

    def __init__(
        self, service: Service, image: dict[str, Any], path: Path, settings: Settings, progress: Progress
    ) -> None:
        self._service, self._image, self._target, self._settings, self._progress = (
            service,
            image,
            path,
            settings,
            progress,
        )
        self._part, self._notes = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._size = int(image["size"])
        self._done: set[int] = set()

    def run(self) -> None:
        descriptor = self._opened()
        try:
            self._done = self._known(descriptor)
            pieces = range(-(-self._size // self._settings.piece))
            self._progress.add(sum(self._length(x) for x in self._done))
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
            self._verify(descriptor)
            self._part.replace(self._target)
            self._notes.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        """``FILE.part``, which is this user's own and nobody else's at the moment. Raises Refused."""
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
                raise Refused(f"{self._part} is not a file of yours; remove it")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(about, self._part.lstat()):
                raise FileNotFoundError(self._part)
        except (BlockingIOError, FileNotFoundError) as exc:
            os.close(descriptor)
            raise Refused(f"another glance-download writes {self._part}") from exc
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @property
    def _what(self) -> dict[str, object]:
        """What the pieces that are there are of."""
        return {
            "image": self._image["id"],
            "size": self._size,
            "hash": self._image.get("os_hash_value"),
            "piece": self._settings.piece,
        }

    def _known(self, descriptor: int) -> set[int]:
        found = read_json(self._notes)
        if not isinstance(found, dict) or found.get("what") != self._what or os.fstat(descriptor).st_size != self._size:
            os.ftruncate(descriptor, 0)
            return set()
        return {int(x) for x in found["done"]}

    def _length(self, number: int) -> int:
        return min(self._settings.piece, self._size - number * self._settings.piece)

    def _fetch(self, descriptor: int, number: int) -> None:
        start, length = number * self._settings.piece, self._length(number)
        came = 0

        def go_on() -> None:
            nonlocal came
            answer = self._service.ask(
                "GET",
                f"/v2/images/{self._image['id']}/file",
                stream=True,
                headers={
                    "Accept": "*/*",
                    "Accept-Encoding": "identity",
                    "Range": f"bytes={start + came}-{start + length - 1}",
                },
            )
            with answer:
                good(answer)
                if answer.status_code != 206:
                    raise Refused(
                        f"the service does not answer ranges (status {answer.status_code}); take openstack image save"
                    )
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

        patience = Patience(self._settings.patience, self._stopped)
        while came < length:
            before = came
            try:
                go_on()
            except Exception as exc:
                if not passing(exc):
                    raise
                if came > before:
                    patience.moved()
                patience.rest(exc)
            if self._stopped.is_set():
                return
        os.fdatasync(descriptor)
        with self._lock:
            self._done.add(number)
            write_json(self._notes, {"what": self._what, "done": sorted(self._done)})

    def _verify(self, descriptor: int) -> None:
        if not self._image.get("os_hash_value"):
            return
        if file_hash(Path(f"/dev/fd/{descriptor}"), str(self._image["os_hash_algo"])) != self._image["os_hash_value"]:
            self._notes.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
            raise Refused(
                f"what has come is not what image {self._image['id']} should be: its {self._image['os_hash_algo']} is"
                " another; it was removed"
            )


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
