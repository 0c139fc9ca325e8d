"""What the service writes is its own to read, whatever the umask it was started with."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_data_metadata_staging_and_cache(open_umask: None, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    config = lab.merged(
        HEADERS_AUTH, {"DEFAULT": {"image_cache_dir": folder / "cache", "image_cache_max_size": 1 << 30}}
    )
    with lab.service(config, folder=folder) as service:
        client, data = Client(service.url), os.urandom(300_000)
        image_id, staged = client.create()["id"], client.create()["id"]
        assert client.upload(image_id, data).status_code == 204
        assert client.download(image_id).content == data
        answer = client.session.put(
            f"{service.url}/v2/images/{staged}/stage",
            data=data,
            headers={"Content-Type": "application/octet-stream"},
            timeout=60,
        )
        assert answer.status_code == 204
        found = {
            path.relative_to(folder): stat.S_IMODE(path.lstat().st_mode)
            for path in folder.rglob("*")
            if path.name not in ("glance-api.conf", "glance-api.log")
        }
    wrong = {str(path): oct(mode) for path, mode in found.items() if mode & 0o077 and not _below_closed(path, found)}
    assert not wrong
    assert {Path("glance.sqlite"), Path("images", image_id), Path("cache", "index.sqlite")} <= set(found)


def _below_closed(path: Path, modes: dict[Path, int]) -> bool:
    """Nobody comes by a folder that is closed to him."""
    return any(modes.get(parent, 0o777) & 0o077 == 0 for parent in path.parents)
