"""tus-js-client in node: several parts of a file at once. Uppy sends through it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from tusing import CONFIG, Tus, staged, stored, usage
from waiting import until

CLIENT = "tus-js-client@4.3.1"
SCRIPT = Path(__file__).with_name("tus_js.mjs")
SIZE = 60_000_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data") / "disk.img"
    made.write_bytes(os.urandom(SIZE))
    return made


@pytest.fixture
def service() -> Iterator[lab.Service]:
    with lab.service(lab.merged(CONFIG, {"DEFAULT": {"user_storage_quota": SIZE}})) as made:
        yield made


def client(
    service: lab.Service, image_id: str, file: Path, *, piece: int = 4_000_000, parallel: int = 4, give_up: int = 0
) -> subprocess.Popen[str]:
    folder = lab.npm("tus-js", CLIENT)
    words = [
        folder / "node",
        SCRIPT,
        folder,
        f"{service.url}/v2/images/{image_id}/uploads",
        file,
        str(piece),
        str(parallel),
        str(give_up),
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)


def became_active(service: lab.Service, tus: Tus, image_id: str, file: Path) -> None:
    until(lambda: tus.client.show(image_id)["status"] == "active")
    assert tus.client.show(image_id)["os_hash_value"] == hashlib.sha512(file.read_bytes()).hexdigest()
    assert tus.client.download(image_id).content == file.read_bytes()
    until(lambda: staged(service) == [])
    assert len(stored(service)) == 1
    until(lambda: usage(service) == (SIZE, 0, 0), lambda: str(usage(service)))


@pytest.mark.parametrize("piece", [4_000_000, SIZE])
def test_four_at_once(service: lab.Service, file: Path, piece: int) -> None:
    """The quota is exactly that of the image."""
    tus = Tus(service.url)
    image_id = tus.image()
    out, err = client(service, image_id, file, piece=piece).communicate(timeout=300)
    url = out.strip()
    assert url.startswith(service.url), err
    head = tus.call("HEAD", url)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Concat"].count("/uploads/")) == (str(SIZE), 4)
    became_active(service, tus, image_id, file)


def test_through_kills(service: lab.Service, file: Path) -> None:
    """kill -9 of the whole server while four come: the client's own retries are enough."""
    tus = Tus(service.url)
    image_id = tus.image()
    killed = 0
    with client(service, image_id, file, piece=2_000_000) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("sent ") and killed < 2 and int(line.split()[1]) > (killed + 1) * SIZE // 3:
                service.stop(signal.SIGKILL)
                service.start()
                killed += 1
    assert running.returncode == 0
    assert killed == 2
    became_active(service, Tus(service.url), image_id, file)


def test_given_up(service: lab.Service, file: Path) -> None:
    tus = Tus(service.url)
    image_id = tus.image()
    out, err = client(service, image_id, file, give_up=SIZE // 2).communicate(timeout=300)
    assert out.strip() == "given up", err
    until(lambda: tus.client.show(image_id)["status"] == "queued")
    until(lambda: usage(service) == (0, 0, 0), lambda: str(usage(service)))
    assert staged(service) == []
