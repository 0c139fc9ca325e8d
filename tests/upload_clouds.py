"""Uploads in pieces on two nodes of one database, in this process."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.upload_session import UploadSession
from glancecore.ports.repository import LeaseTaken
from glancecore.ports.store import Cap
from glancecore.testing import service as kit

DATA = os.urandom(3_000_000)
PROJECTS = itertools.count()


class Cloud:
    """Two nodes, one database, one file store, as one project sees them."""

    def __init__(self, folder: Path, nodes: list[Service]) -> None:
        self.folder, self.nodes, self.project = folder, nodes, f"owners-{next(PROJECTS)}"
        self.owner = kit.Person(nodes[0].app, self.project)
        self.ctx = self.context("member", "reader")
        self.images: list[str] = []

    def context(self, *roles: str) -> Context:
        return Context(user="u", project=self.project, roles=frozenset(roles), token="secret")

    def uploads(self, node: int = 0) -> Any:
        return self.nodes[node].tools.kernel.uploads

    def signatures(self, node: int = 0) -> Any:
        return self.nodes[node].tools.core.signatures

    @property
    def database(self) -> Any:
        return self.nodes[0].database

    def image(self, **fields: object) -> str:
        self.images.append(str(self.owner.create(**fields)["id"]))
        return self.images[-1]

    def begun(self, length: int | None = len(DATA), *, stage: bool = False, **fields: object) -> UploadSession:
        return self.uploads().begin(self.ctx, self.image(**fields), length, stage=stage)  # type: ignore[no-any-return]

    def append(
        self, session: UploadSession, offset: int, pieces: bytes | Iterable[bytes], node: int = 0, **more: Any
    ) -> UploadSession:
        made = iter([pieces]) if isinstance(pieces, bytes) else pieces
        return self.uploads(node).append(self.ctx, session.image_id, session.id, offset, made, **more)  # type: ignore[no-any-return]

    def show(self, session: UploadSession, node: int = 0, **more: Any) -> UploadSession:
        return self.uploads(node).show(self.ctx, session.image_id, session.id, **more)  # type: ignore[no-any-return]

    def terminate(self, session: UploadSession, node: int = 0) -> None:
        self.uploads(node).terminate(self.ctx, session.image_id, session.id)

    def stored(self, session: UploadSession) -> UploadSession:
        found: UploadSession = self.uploads()._records.get(session.id)
        return found

    def shown(self, session: UploadSession) -> dict[str, Any]:
        return dict(self.owner.call("GET", f"/v2/images/{session.image_id}").json or {})

    def download(self, session: UploadSession) -> bytes:
        return self.owner.call("GET", f"/v2/images/{session.image_id}/file").data

    def reserved(self) -> tuple[int, int]:
        usage = self.database.images.usage(self.project)
        return usage.bytes, usage.uploading

    def staged(self) -> list[str]:
        return self._files(self.folder / "fast" / ".staging")

    def blobs(self) -> list[str]:
        return self._files(self.folder / "fast")

    def growing(self) -> list[str]:
        """What the image's store has of blobs that are not complete."""
        return self._files(self.folder / "fast", ".")

    def waiting(self) -> list[str]:
        """What has come of uploads that have not ended, wherever."""
        return [*self.staged(), *self.growing()]

    def _files(self, folder: Path, dot: str = "") -> list[str]:
        return sorted(x.name for x in folder.iterdir() if x.name.startswith(tuple(f"{dot}{y}" for y in self.images)))

    def expire_lease(self, session: UploadSession) -> None:
        """As time does when nobody extends it."""
        lease = self.database.images.lease(session.image_id)
        assert lease is not None
        self.database.images.commit(LeaseTaken(lease, -1.0, lease.token))

    def reap(self, node: int = 1) -> None:
        self.nodes[node].kernel.reaper.run_once()

    def nothing_left(self, session: UploadSession, *, status: str = "queued") -> None:
        assert self.shown(session)["status"] == status
        assert self.database.images.lease(session.image_id) is None
        assert (self.waiting(), self.blobs(), self.reserved()) == ([], [], (0, 0))

    def plain(self, monkeypatch: pytest.MonkeyPatch, store: str = "fast") -> None:
        """The image's store, or another one, takes no parts: they wait in the staging store."""
        for node in self.nodes:
            driver: Any = node.stores.recorded(store)._store
            monkeypatch.setattr(driver, "caps", driver.caps - {Cap.PARTS}, raising=False)


CONFIG = {
    "DEFAULT": {"user_storage_quota": "10000000"},
    "uploads": {"part_size": 1 << 20, "max_per_project": 5, "keep_for": 600},
    "lease": {"ttl": 2},
}


@contextlib.contextmanager
def clouds(folder: Path, *config: kit.Config) -> Iterator[Cloud]:
    file = kit.written(kit.merged(kit.basic(folder), CONFIG, *config), folder)
    kit.synced(kit.read(file))
    with kit.built(kit.read(file)) as one, kit.built(kit.read(file)) as two:
        yield Cloud(folder, [one, two])


def broken_after(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces
    raise errors.TruncatedBody("the body broke off")


class Stalled:
    """A transfer in a thread that waits in the middle."""

    def __init__(self, cloud: Cloud, session: UploadSession, node: int, *, data: bytes = DATA[:2_500_000]) -> None:
        self.waits, self.go = threading.Event(), threading.Event()
        self.raised: list[BaseException] = []

        def pieces() -> Iterator[bytes]:
            yield data[:2_000_000]
            self.waits.set()
            self.go.wait(60)
            yield data[2_000_000:]

        def run() -> None:
            try:
                cloud.append(session, session.offset, pieces(), node)
            except BaseException as exc:
                self.raised.append(exc)

        self.thread = threading.Thread(target=run)
        self.thread.start()
        assert self.waits.wait(60)

    def end(self) -> BaseException | None:
        self.go.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.raised[0] if self.raised else None
