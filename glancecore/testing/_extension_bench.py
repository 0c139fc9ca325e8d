"""What the kit for extensions works on: whole services with the extension switched on, and a note of all that they
commit and ask for."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from oslo_config import cfg
from werkzeug.test import TestResponse

from glancecore.assembly import loader
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service
from glancecore.domain.image import Image
from glancecore.domain.lease import Operation
from glancecore.features.uploads.records import COLLECTION as UPLOADS
from glancecore.features.uses.counting import BEGIN
from glancecore.features.uses.counting import COLLECTION as USES
from glancecore.ports.extension import Extension
from glancecore.ports.http import Route
from glancecore.ports.record_repository import RecordAdded, RecordChanged, RecordRemoved
from glancecore.ports.repository import LeaseChanged, LeaseTaken
from glancecore.testing.service import Config, Person, basic, built, merged, read, synced, written

#: Of the images that the extension works on: pieces of several kinds, and more than one read.
DATA = bytes(200_000) + b"some data " * 20_000
_OF_CORE = frozenset({UPLOADS, USES, BEGIN})
_VALUE = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


def values_of(path: str) -> list[str]:
    """Names of the values in a route's path."""
    return _VALUE.findall(path)


def bare(path: str) -> str:
    """A path without the names of its values, in the form of routes or in that of OpenAPI."""
    return re.sub(r"<[^<>]*>|\{[^{}]*\}", "{}", path)


def _collection(change: object) -> str:
    """Of a record; empty: it is a change of something else."""
    if isinstance(change, RecordChanged):
        return change.after.collection
    return change.record.collection if isinstance(change, (RecordAdded, RecordRemoved)) else ""


@dataclass
class Watch:
    """What was committed, told and asked, in its order."""

    #: Changes of successful commits, but of the core's own records: it counts uses by itself, whenever it likes.
    changes: list[Any] = field(default_factory=list)
    #: Names of events.
    events: list[str] = field(default_factory=list)
    #: Questions to the database: the repository and its method.
    questions: list[str] = field(default_factory=list)

    @property
    def records(self) -> set[str]:
        """Collections that were written to."""
        return {found for x in self.changes if (found := _collection(x))}

    @property
    def operations(self) -> set[str]:
        """Of leases that were taken or changed; not those that the core has taken, as its own names tell."""
        return {
            x.lease.operation
            for x in self.changes
            if isinstance(x, (LeaseTaken, LeaseChanged)) and not isinstance(x.lease.operation, Operation)
        }

    def forget(self) -> None:
        self.changes.clear()
        self.events.clear()
        self.questions.clear()


class _Noted:
    """A repository whose calls are noted."""

    def __init__(self, name: str, inner: Any, watch: Watch) -> None:
        self._name, self._inner, self._watch = name, inner, watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **named: Any) -> Any:
            if name != "commit":
                self._watch.questions.append(f"{self._name}.{name}")
                return found(*args, **named)
            done = found(*args, **named)
            self._watch.changes += [x for x in args if _collection(x) not in _OF_CORE]
            return done

        return call


class _Database:
    """A database whose images and records are watched."""

    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner = inner
        self.images, self.records = _Noted("images", inner.images, watch), _Noted("records", inner.records, watch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Tracebacks(logging.Handler):
    """The log lines that have a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or "Traceback (most recent call last)" in record.getMessage():
            self.found.append(
                f"{record.name}: {record.getMessage()}: {record.exc_info[1]!r}"
                if record.exc_info
                else record.getMessage()
            )


@contextlib.contextmanager
def tracebacks() -> Iterator[list[str]]:
    """Those of the block."""
    handler = Tracebacks()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.found
    finally:
        logging.getLogger().removeHandler(handler)


@dataclass
class Running:
    """A service with the extension. ``owner`` may do everything, with images of his own project."""

    name: str
    conf: cfg.ConfigOpts
    service: Service
    watch: Watch
    owner: Person
    #: Of the extension.
    routes: list[Route]

    @property
    def extension(self) -> Extension:
        return self.service.extensions[self.name]

    def as_(self, roles: str, project: str = "owners") -> Person:
        return Person(self.service.app, project, roles)

    def image(self, data: bytes = DATA) -> str:
        """The id of a new active image of the owner's."""
        image_id = str(self.owner.create()["id"])
        answer = self.owner.upload(image_id, data)
        assert answer.status_code == 204, answer.text
        return image_id

    def row(self, image_id: str) -> Image:
        return self.service.database.images.get_any(image_id)


@dataclass(frozen=True)
class Example:
    """A request that the owner is answered well."""

    route: Route
    path: str
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.route.method} {self.route.path}"

    def sent(self, by: Person, **headers: str) -> TestResponse:
        headers = {**self.headers, **headers}
        if self.body is None:
            return by.call(self.route.method, self.path, **headers)
        kind = self.route.body if isinstance(self.route.body, str) else self.route.body_types[0]
        return by.call(self.route.method, self.path, self.body, Content_Type=kind, **headers)


class Bench:
    """Makes services on one folder and one database."""

    def __init__(self, name: str, folder: Path, config: Config, database: Mapping[str, object] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.folder = name, folder
        self._policy = folder / "policy.yaml"
        self._policy.write_text("{}")
        self.file = written(
            merged(
                basic(folder, database),
                {
                    "DEFAULT": {
                        "enabled_extensions": ", ".join(sorted({name, *needs(name)})),
                        "enabled_import_methods": "[]",
                    },
                    "lease": {"ttl": 2, "reap_interval": 0.2},
                    "oslo_policy": {"policy_file": self._policy},
                },
                config,
            ),
            folder,
        )
        synced(read(self.file))

    def policy(self, rules: Mapping[str, str]) -> None:
        """What the operator's policy file says from the next service on."""
        self._policy.write_bytes(orjson.dumps(dict(rules)))  # JSON is YAML

    @contextlib.contextmanager
    def running(self, *, background: bool = True) -> Iterator[Running]:
        """A service; ``background``: what runs beside requests is started."""
        conf, watch = read(self.file), Watch()
        database: Any = _Database(load_database(conf), watch)
        with built(conf, database) as service:
            prepare = service.notifications.prepare

            def prepared(*events: Any, **named: Any) -> Any:
                watch.events += [x.type.value for x in events]
                return prepare(*events, **named)

            service.notifications.prepare = prepared  # type: ignore[method-assign]
            extension = service.extensions[self.name]
            routes = list(extension.routes())  # they are asked for once
            extension.routes = lambda: routes  # type: ignore[method-assign]
            if background:
                service.start()
            yield Running(self.name, conf, service, watch, Person(service.app, "owners", "admin,member,reader"), routes)


def needs(name: str) -> set[str]:
    """The extensions that it needs, and those that they need."""
    found: set[str] = set()
    todo = [name]
    while todo:
        more = loader.load("extension", todo.pop(), "needs").needs - found
        found |= more
        todo += more
    return found


def within(seconds: float, call: Callable[[], object], what: str) -> None:
    """``call`` in a thread of its own, which must end in time."""
    import threading

    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as exc:  # noqa: BLE001 (it is raised below)
            raised.append(exc)

    thread = threading.Thread(target=run, name="glancecore-kit", daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"{what} has not ended within {seconds:.0f} seconds"
    if raised:
        raise raised[0]
