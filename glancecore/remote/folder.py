"""A folder of dumped images: ``ID.json`` as API v2 shows the image, ``ID.img`` its data. What is being written ends in
``.part``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glancecore.remote.record import RemoteError, RemotePlace, RemoteRecord

CHUNK = 1 << 20


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise RemoteError(f"{path}: {exc.strerror}") from exc


def _own(path: str, flags: int) -> int:
    """As the service's own files of images: nobody else reads it, whatever the umask."""
    return os.open(path, flags, 0o600)


class ImageFolder(RemotePlace):
    def __init__(self, path: Path) -> None:
        self.name, self._path = str(path), path

    def images(self) -> Iterator[RemoteRecord]:
        if not self._path.is_dir():
            raise RemoteError(f"{self._path}: no such folder")
        for file in sorted(self._path.glob("*.json")):
            record = self.find(file.stem)
            if record:
                yield record

    def find(self, image_id: str) -> RemoteRecord | None:
        file = self._path / f"{image_id}.json"
        try:
            document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            members = document.pop("members", [])
            record = RemoteRecord.of(document, members)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise RemoteError(f"{file}: this is no dumped image ({exc})") from exc
        return (
            record
            if not record.has_data or self._data(image_id).exists()
            else RemoteRecord.of({**document, "status": "queued"}, members)
        )

    def read(self, record: RemoteRecord, offset: int = 0) -> Iterator[bytes]:
        try:
            with self._data(record.id).open("rb") as file:
                file.seek(offset)
                while piece := file.read(CHUNK):
                    yield piece
        except OSError as exc:
            raise RemoteError(f"{self._data(record.id)}: {exc.strerror}") from exc

    def create(self, record: RemoteRecord) -> None:  # noqa: ARG002 - it is written when its data is there
        with _told(self._path):
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def held(self, image_id: str) -> int:
        part = self._part(image_id)
        return part.stat().st_size if part.exists() else 0

    def write(self, record: RemoteRecord, chunks: Iterable[bytes]) -> None:
        part = self._part(record.id)
        with _told(part):
            file = open(part, "ab", opener=_own)  # noqa: SIM115 (closed below)
        with file:
            for piece in chunks:  # what they raise is the source's trouble, and an OSError, too
                with _told(part):
                    file.write(piece)
            with _told(part):
                file.flush()
                os.fsync(file.fileno())
        with _told(part):
            part.replace(self._data(record.id))

    def finish(self, record: RemoteRecord) -> bool:
        document = {
            "id": record.id,
            "status": record.status,
            **record.fields,
            "size": record.size,
            "checksum": record.checksum,
            "os_hash_algo": record.hash_algo,
            "os_hash_value": record.hash_value,
            "members": list(record.members),
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        file, part = self._path / f"{record.id}.json", self._path / f"{record.id}.json.part"
        with _told(file):
            if file.exists() and file.read_text(encoding="utf-8") == text:
                return False
            with open(part, "w", encoding="utf-8", opener=_own) as out:
                out.write(text)
            part.replace(file)
        return True

    def remove(self, image_id: str) -> None:
        self._part(image_id).unlink(missing_ok=True)
        self._data(image_id).unlink(missing_ok=True)

    def begun(self, record: RemoteRecord) -> Iterator[bytes]:
        with self._part(record.id).open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece

    def _data(self, image_id: str) -> Path:
        return self._path / f"{image_id}.img"

    def _part(self, image_id: str) -> Path:
        return self._path / f"{image_id}.img.part"
