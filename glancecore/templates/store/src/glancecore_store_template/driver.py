"""Images in Template. Replace the folder by your backend, method by method; the kit tells you what is missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from glancecore.domain import errors
from glancecore.ports.store import Cap, Store, read_chunks
from glancecore_store_template.options import OPTIONS


class TemplateStore(Store):
    """Location: ``template:///folder/key``."""

    plugin_api = "1.0"
    schemes = ("template",)
    options = OPTIONS
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE})

    def start(self) -> None:
        try:
            Path(self.conf.template_store_folder).mkdir(exist_ok=True)
        except OSError as exc:
            raise errors.ConfigError(f"[{self.name}] template_store_folder can't be made: {exc.strerror}") from exc

    @property
    def place(self) -> str:
        return f"template:{Path(self.conf.template_store_folder).resolve()}"

    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        part = self._path(f".{key}.part")
        try:
            with part.open("wb") as out:
                out.writelines(chunks)
                if size not in {None, out.tell()}:
                    raise errors.SizeMismatch(f"{out.tell()} bytes came, {size} were declared")
                out.flush()
                os.fsync(out.fileno())
            self._publish(part, key)
        finally:
            part.unlink(missing_ok=True)
        return self._url(key)

    def canonical(self, url: str) -> str:
        return self._url(self._key(url))

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        left = max(0, self.size(url) - offset)
        src = self._located(url).open("rb")
        src.seek(offset)
        return read_chunks(src, left if length is None else min(left, length))

    def size(self, url: str) -> int:
        return self._located(url).stat().st_size

    def delete(self, url: str) -> None:
        self._located(url).unlink()

    def discard(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)
        self._path(f".{key}.part").unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return Path(self.conf.template_store_folder, name)

    def _publish(self, part: Path, key: str) -> None:
        try:
            os.link(part, self._path(key))  # never replaces
        except FileExistsError:
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put") from None
        folder = os.open(self._path("."), os.O_RDONLY)
        os.fsync(folder)  # the name must survive a power cut, too
        os.close(folder)

    def _url(self, key: str) -> str:
        return f"template://{self._path(key)}"

    def _key(self, url: str) -> str:
        key = url.rpartition("/")[2]
        if not re.fullmatch(r"[\w-][\w.-]*", key, re.ASCII) or url != self._url(key):
            raise errors.BadLocation(f"not a location of store {self.name}", self.name)
        return key

    def _located(self, url: str) -> Path:
        key = self._key(url)
        if not self._path(key).is_file():
            raise errors.BlobNotFound(f"not in store {self.name}", self.name)
        return self._path(key)
