"""TaskFlow's logbook in one document for each task: read once, kept in memory, saved whole with each step. A process that was
overtaken can't save any more.

Imports taskflow, so it is imported with the first import only.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from oslo_serialization import jsonutils
from taskflow import exceptions as flow_errors
from taskflow.persistence import path_based

from glancecore.features.imports.flow.logbook import Logbook, Logbooks


class DocumentBackend(path_based.PathBasedBackend):  # type: ignore[misc]
    """The persistence backend of one task."""

    DEFAULT_PATH = "root"

    def __init__(self, books: Logbooks, task_id: str) -> None:
        super().__init__({})
        self._books = books
        self._task_id = task_id
        found = books.get(task_id)
        self._version = found.version if found else 0
        #: Path -> JSON; "" for a link.
        self.items: dict[str, str] = dict(found.items) if found else {}
        self.lock = threading.RLock()

    def get_connection(self) -> BookConnection:
        return BookConnection(self)

    def close(self) -> None:
        """Nothing is open."""

    def save(self) -> None:
        self._books.put(self._task_id, Logbook(self._version + 1, self.items))
        self._version += 1


class BookConnection(path_based.PathBasedConnection):  # type: ignore[misc]
    def validate(self) -> None:
        """Nothing can be wrong with it."""

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.backend.lock:
            before = dict(self.backend.items)
            yield
            if self.backend.items != before:
                try:
                    self.backend.save()
                except BaseException:
                    self.backend.items = before
                    raise

    def _join_path(self, *services: str) -> str:
        return "/".join(services)

    def _get_item(self, path: str) -> Any:
        if path not in self.backend.items:
            raise flow_errors.NotFound(f"no {path}")
        return jsonutils.loads(self.backend.items[path])

    def _set_item(self, path: str, value: object, transaction: None) -> None:  # noqa: ARG002
        self.backend.items[path] = jsonutils.dumps(value)

    def _create_link(self, src_path: str, dest_path: str, transaction: None) -> None:  # noqa: ARG002
        self.backend.items.setdefault(dest_path, "")

    def _del_tree(self, path: str, transaction: None) -> None:  # noqa: ARG002
        for each in [x for x in self.backend.items if x == path or x.startswith(f"{path}/")]:
            del self.backend.items[each]

    def _get_children(self, path: str) -> list[str]:
        return [x.rpartition("/")[2] for x in self.backend.items if x.rpartition("/")[0] == path]

    def _ensure_path(self, path: str) -> None:
        """Paths need no folders."""
