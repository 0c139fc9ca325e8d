"""A folder of dumped images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from glancecore.remote.folder import ImageFolder
from glancecore.remote.record import RemoteRecord


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_nobody_else_reads_what_is_dumped(tmp_path: Path, open_umask: None) -> None:
    """Also in a folder that was there, and is open."""
    record = RemoteRecord.of({"id": "1", "status": "active", "size": 4, "name": "x"}, [])
    folder = ImageFolder(tmp_path)
    folder.create(record)
    folder.write(record, [b"data"])
    assert folder.finish(record)
    assert {x.name: oct(x.stat().st_mode & 0o777) for x in tmp_path.iterdir()} == {"1.json": "0o600", "1.img": "0o600"}
