"""The kit on real files."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest
from glancecore_notify_audit.trail import files

from glancecore.ports.notifier import DurableNotifier
from glancecore.testing.notifier import DurableNotifierConformance, Receiver

from .conftest import notifier

KEY = b"a key that no message may show!!"


class Folder(Receiver):
    secrets = (KEY.decode(),)

    def __init__(self, folder: Path) -> None:
        self.path, self._away = folder, folder.with_name("away")
        self._held: BinaryIO | None = None
        folder.mkdir()

    def heard(self, number: int) -> Sequence[str]:
        del number  # what was delivered is there
        there = self.path if self.path.is_dir() else self._away
        return [json.loads(x)["type"] for path in files(there) for x in path.read_bytes().splitlines()]

    def stop(self) -> None:
        if self.path.is_dir():
            self.path.rename(self._away)
            self.path.write_bytes(b"")

    def start(self) -> None:
        self.path.unlink()
        self._away.rename(self.path)

    def refuse(self) -> None:
        with (self.path / "audit.jsonl").open("ab") as file:
            file.write(b"{}\n")

    def stall(self) -> None:
        self._held = (self.path / ".lock").open("ab")
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def close(self) -> None:
        if self._held is not None:
            self._held.close()


@pytest.mark.parametrize("keyed", [True, False], ids=["signed", "hashed"])
class TestAudit(DurableNotifierConformance):
    @pytest.fixture
    def receiver(self, tmp_path: Path) -> Iterator[Folder]:
        made = Folder(tmp_path / "trail")
        yield made
        made.close()

    @pytest.fixture
    def make(self, receiver: Folder, tmp_path: Path, keyed: bool) -> Callable[[], DurableNotifier]:
        key = tmp_path / "key"
        key.touch(mode=0o600)
        key.write_bytes(KEY)
        return lambda: notifier(
            tmp_path, folder=receiver.path, timeout=1, file_size=8192, **({"key_file": key} if keyed else {})
        )
