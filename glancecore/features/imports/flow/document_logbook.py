"""TaskFlow's logbook in one document for each task: read once, kept in memory, saved whole when an atom has ended. A
process that was overtaken can't save any more.

TaskFlow writes down as well that an atom begins, and how far it is. Whoever takes an import over begins such an atom
anew, whether he knows of it or not: that is saved with the next end.

Imports taskflow, so it is imported with the first import only.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from oslo_serialization import jsonutils
from taskflow import exceptions as flow_errors
from taskflow import states
from taskflow.persistence import path_based

from glancecore.features.imports.flow.logbook import Logbook, Logbooks

_ON_THE_WAY = frozenset({None, states.PENDING, states.RUNNING, states.REVERTING})


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
        #: Path -> of an atom that has ended, how; some of it may not be saved yet.
        self._ends: dict[str, str] = {}
        self._unsaved = False
        self.lock = threading.RLock()

    def get_connection(self) -> BookConnection:
        return BookConnection(self)

    def close(self) -> None:
        """Nothing is open."""

    def set(self, path: str, value: Mapping[str, Any]) -> None:
        """``value`` as TaskFlow serializes books, flows and atoms."""
        self.items[path] = _json(value)
        atom = value.get("atom")
        if atom is not None and atom["state"] not in _ON_THE_WAY:
            end = _json({**atom, "meta": None})
            self._unsaved = self._unsaved or self._ends.get(path) != end
            self._ends[path] = end

    def save(self) -> None:
        """What has ended since the last time. When it raises it may be called again."""
        if self._unsaved:
            self._books.put(self._task_id, Logbook(self._version + 1, dict(self.items)))
            self._version += 1
            self._unsaved = False


class BookConnection(path_based.PathBasedConnection):  # type: ignore[misc]
    def validate(self) -> None:
        """Nothing can be wrong with it."""

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.backend.lock:
            yield
            self.backend.save()

    def _join_path(self, *services: str) -> str:
        return "/".join(services)

    def _get_item(self, path: str) -> Any:
        if path not in self.backend.items:
            raise flow_errors.NotFound(f"no {path}")
        return _read(self.backend.items[path])

    def _set_item(self, path: str, value: Mapping[str, Any], transaction: None) -> None:  # noqa: ARG002
        self.backend.set(path, value)

    def _create_link(self, src_path: str, dest_path: str, transaction: None) -> None:  # noqa: ARG002
        self.backend.items.setdefault(dest_path, "")

    def _del_tree(self, path: str, transaction: None) -> None:  # noqa: ARG002
        for each in [x for x in self.backend.items if x == path or x.startswith(f"{path}/")]:
            del self.backend.items[each]

    def _get_children(self, path: str) -> list[str]:
        return [x.rpartition("/")[2] for x in self.backend.items if x.rpartition("/")[0] == path]

    def _ensure_path(self, path: str) -> None:
        """Paths need no folders."""


def _json(value: object) -> str:
    """Whatever a failure is made of: half a surrogate pair, a number of any size."""
    try:
        return orjson.dumps(value, default=jsonutils.to_primitive).decode()
    except TypeError:
        return str(jsonutils.dumps(value))


def _read(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return jsonutils.loads(text)
