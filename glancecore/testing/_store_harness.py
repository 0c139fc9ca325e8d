"""What the store kit is made with: how tests build a store, look behind it, and say what they can do."""

from __future__ import annotations

import functools
import gc
import os
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import pytest

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, Cap, Store, StoredPart
from glancecore.testing import _store_process
from glancecore.testing._store_process import sample

__all__ = [
    "MIB",
    "REFUSALS",
    "Backdoor",
    "Reach",
    "SourceBroke",
    "broken",
    "close",
    "make_store",
    "needs",
    "open_things",
    "reaches",
    "refuses",
    "sample",
]

MIB = 1 << 20
#: What a store may answer to a URL that it did not make.
REFUSALS = (errors.BadLocation, errors.BlobNotFound)

AnyStore = TypeVar("AnyStore", bound=Store)
Test = TypeVar("Test", bound=Callable[..., None])


def make_store(cls: type[AnyStore], name: str = "kit", **options: Any) -> AnyStore:
    """A started store of ``cls``, never used before, whose section holds ``options``, and nothing that the driver did
    not declare."""
    store = _store_process.build(cls, name, options)
    assert isinstance(store, cls)
    store.create()
    store.start()
    return store


class Reach(Enum):
    """What the tests of a driver can do to its backend. State it in ``StoreConformance.reach``."""

    #: Another process with the same settings sees the same blobs.
    PROCESSES = "processes"
    #: ``Backdoor.cut`` works.
    CUT = "cut"
    #: ``Backdoor.break_`` and ``Backdoor.mend`` work.
    BREAK = "break"


class Backdoor:
    """Looks at the backend without the store, so that a store can't just repeat what it was told.

    ``read`` and ``names`` are needed; ``make`` for stores that only read; the others as ``reach`` says.
    """

    def read(self, url: str) -> bytes | None:
        """What is stored there, None when nothing is."""
        raise NotImplementedError

    def names(self) -> set[str]:
        """Everything that lies in the store's room: blobs, parts, temporary files, under whatever names. Markers may be
        among them."""
        raise NotImplementedError

    def unmark(self) -> None:
        """Remove the markers; needed where the next test gets the same place."""

    def make(self, data: bytes) -> str:
        """Put a blob there; its URL."""
        raise NotImplementedError

    def cut(self, url: str, size: int) -> None:
        """Shorten what is stored there to ``size`` bytes."""
        raise NotImplementedError

    def break_(self) -> None:
        """Take the backend away: stop the server, unmount the disk."""
        raise NotImplementedError

    def mend(self) -> None:
        """Bring it back with all its data. Must also work when nothing was broken."""
        raise NotImplementedError


def needs(*caps: Cap) -> Callable[[Test], Test]:
    """A rule for stores with ``caps``. Without one of them the test shows that the store says Unsupported."""

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(self: object, store: Store, **fixtures: Any) -> None:
            missing = [cap for cap in caps if cap not in store.caps]
            if missing:
                refuses(store, missing[0])
            else:
                test(self, store=store, **fixtures)

        return run  # type: ignore[return-value]

    return decorate


def reaches(reach: Reach) -> Callable[[Test], Test]:
    """A rule that can be tested only where the harness has that reach; elsewhere the test does not exist."""

    def decorate(test: Test) -> Test:
        test.__dict__["reach"] = reach
        return test

    return decorate


def refuses(store: Store, cap: Cap) -> None:
    """Every operation behind an undeclared ``cap`` raises Unsupported."""
    url = f"{store.schemes[0]}://kit/undeclared"
    operations: dict[Cap, list[Callable[[], object]]] = {
        Cap.WRITE: [lambda: store.put("kit-undeclared", iter([b"x"]))],
        Cap.DELETE: [lambda: store.delete(url), lambda: store.discard("kit-undeclared")],
        Cap.RANGE: [lambda: store.open(url, 1), lambda: store.open(url, 0, 1)],
        Cap.LIST: [lambda: list(store.list())],
        Cap.LOCAL: [lambda: store.local_path(url)],
        Cap.ADOPT: [lambda: store.adopt("kit-undeclared", Path(__file__))],
        Cap.PRESIGN: [lambda: store.presign(url, 60)],
        Cap.MARK: [store.markers, lambda: store.mark("kit", b"kit")],
        Cap.PARTS: [
            lambda: store.begin_parts(None, "kit-undeclared"),
            lambda: store.put_part("kit-undeclared", "kit", 0, 0, iter([b"x"])),
            lambda: store.open_parts("kit-undeclared", "kit", [StoredPart(0, 1)]),
            lambda: store.complete_parts("kit-undeclared", "kit", [StoredPart(0, 1)]),
        ],
        Cap.EXTERNAL: [],  # such URLs are among the foreign ones, which have a test of their own
    }
    for operation in operations[cap]:
        with pytest.raises(errors.Unsupported):
            operation()


class SourceBroke(Exception):
    """What a broken source of the kit raises; no driver knows it."""


def broken(data: bytes, exc: BaseException, piece: int = CHUNK) -> Iterator[bytes]:
    """All of ``data``, then ``exc``."""
    for start in range(0, len(data), piece):
        yield data[start : start + piece]
    raise exc


def close(reader: Iterator[bytes]) -> None:
    reader.close()  # type: ignore[attr-defined]


def open_things() -> tuple[int, int]:
    """Open file descriptors and living threads of this process."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
