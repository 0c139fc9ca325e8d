"""A folder of dumped images, and what is compared when images are copied there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from glancecore.remote.folder import ImageFolder
from glancecore.remote.record import RemoteRecord
from glancecore.remote.replicate import Replication, ReplicationOutcome


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


def _image(path: Path, data: bytes, **facts: object) -> ImageFolder:
    folder, record = (
        ImageFolder(path),
        RemoteRecord.of({"id": "1", "status": "active", "size": len(data), "name": "x", **facts}, []),
    )
    folder.create(record)
    (path / "1.img").write_bytes(data)
    assert folder.finish(record)
    return folder


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ({"os_hash_algo": "sha512", "os_hash_value": "a"}, {"os_hash_algo": "sha512", "os_hash_value": "a"}, True),
        ({"os_hash_algo": "sha512", "os_hash_value": "a"}, {"os_hash_algo": "sha512", "os_hash_value": "b"}, False),
        (
            {"os_hash_algo": "sha512", "os_hash_value": "a", "checksum": "c"},
            {"os_hash_algo": "sha256", "os_hash_value": "b", "checksum": "c"},
            True,
        ),
        (
            {"os_hash_algo": "sha512", "os_hash_value": "a", "checksum": "c"},
            {"os_hash_algo": "sha256", "os_hash_value": "b", "checksum": "d"},
            False,
        ),
        ({"os_hash_algo": "sha512", "os_hash_value": "a"}, {"os_hash_algo": "sha256", "os_hash_value": "b"}, True),
        (
            {"os_hash_algo": "sha512", "os_hash_value": "a", "checksum": "c"},
            {"os_hash_algo": "sha256", "os_hash_value": "b"},
            True,
        ),
        ({}, {"os_hash_algo": "sha256", "os_hash_value": "b"}, True),
    ],
)
def test_what_has_no_hash_of_one_kind_is_compared_by_its_size(
    tmp_path: Path, here: dict[str, object], there: dict[str, object], same: bool
) -> None:
    """Two clouds may hash in different ways, and one without the MD5; other sizes are other data, whatever is known of
    it."""
    source = _image(tmp_path / "source", b"data", **here)
    target = _image(tmp_path / "target", b"four", **there)
    longer = _image(
        tmp_path / "longer",
        b"longer",
        **{x: y for x, y in there.items() if x != "checksum" and (x, y) not in here.items()},
    )
    [line] = Replication(source, target).compare().lines
    assert (line.outcome, line.text) == (
        (ReplicationOutcome.SAME, "") if same else (ReplicationOutcome.DIFFERENT, "the data is different")
    )
    [line] = Replication(source, target).run().lines
    assert line.outcome is (
        ReplicationOutcome.UPDATED
        if same and here != there
        else ReplicationOutcome.SAME
        if same
        else ReplicationOutcome.FAILED
    )
    [line] = Replication(source, longer).run().lines
    assert (line.outcome, "other data" in line.text) == (ReplicationOutcome.FAILED, True)
    assert (tmp_path / "longer" / "1.img").read_bytes() == b"longer"
