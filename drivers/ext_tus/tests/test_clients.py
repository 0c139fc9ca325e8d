"""Real tus clients: tuspy, aiotus, curl. Through broken servers, too."""

from __future__ import annotations

import asyncio
import hashlib
import io
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import aiotus
import lab
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusing import CONFIG, DATA, OFFSET_OCTETS, Tus, staged, stored
from waiting import until

IDENTITY = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "user-demo",
    "X-Project-Id": "demo",
    "X-Roles": "member,reader",
}


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as made:
        yield made


@pytest.fixture
def tus(service: lab.Service) -> Tus:
    return Tus(service.url)


def became_active(service: lab.Service, tus: Tus, image_id: str) -> None:
    until(lambda: tus.client.show(image_id)["status"] == "active")
    assert tus.client.show(image_id)["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert tus.client.download(image_id).content == DATA
    until(lambda: not [x for x in staged(service) if x.startswith(image_id)])
    assert len([x for x in stored(service) if x.startswith(image_id)]) == 1


@pytest.mark.parametrize("piece", [300_000, 2_000_000, None])
@pytest.mark.parametrize("verified", [False, True])
def test_tuspy(service: lab.Service, tus: Tus, piece: int | None, verified: bool) -> None:
    image_id = tus.image()
    client = TusClient(f"{service.url}/v2/images/{image_id}/uploads", headers=IDENTITY)
    more: dict[str, Any] = {"chunk_size": piece} if piece else {}
    client.uploader(
        file_stream=io.BytesIO(DATA), metadata={"filename": "disk.img"}, upload_checksum=verified, **more
    ).upload()
    became_active(service, tus, image_id)


def test_tuspy_goes_on_by_its_url(service: lab.Service, tus: Tus) -> None:
    image_id = tus.image()
    client = TusClient(f"{service.url}/v2/images/{image_id}/uploads", headers=IDENTITY)
    uploader = client.uploader(file_stream=io.BytesIO(DATA), chunk_size=1_000_000)
    uploader.upload(stop_at=2_000_000)
    again = client.uploader(file_stream=io.BytesIO(DATA), chunk_size=1_000_000, url=uploader.url)
    assert again.offset == 2_000_000
    again.upload()
    became_active(service, tus, image_id)


def test_tuspy_through_kills(service: lab.Service, tus: Tus) -> None:
    """kill -9 of the whole server between, and during, pieces: the client's own retries are enough."""
    image_id = tus.image()
    client = TusClient(f"{service.url}/v2/images/{image_id}/uploads", headers=IDENTITY)
    uploader = client.uploader(file_stream=io.BytesIO(DATA), chunk_size=400_000, retries=30, retry_delay=1)
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            while uploader.offset < len(DATA):
                try:
                    uploader.upload_chunk()
                except TusCommunicationError:  # one that it does not try again
                    until(lambda: lab.answers(service.port, 1))
                    uploader.offset = uploader.get_offset()
        except BaseException as exc:
            ended.append(exc)
            raise
        ended.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    for at in (800_000, 1_600_000, 2_400_000):
        until(lambda at=at: uploader.offset >= at or ended)  # type: ignore[misc]
        service.stop(signal.SIGKILL)
        service.start()
    thread.join(120)
    assert ended == [None]
    became_active(service, tus, image_id)


@pytest.mark.parametrize("piece", [300_000, 1_000_000])
def test_aiotus(service: lab.Service, tus: Tus, piece: int) -> None:
    image_id = tus.image()

    async def run() -> tuple[object, object, object]:
        retrying = aiotus.RetryConfiguration(retry_attempts=1)
        async with aiohttp.ClientSession(headers=IDENTITY) as session:
            endpoint = f"{service.url}/v2/images/{image_id}/uploads"
            config = await aiotus.core.configuration(session, endpoint)  # type: ignore[arg-type]
            location = await aiotus.upload(
                endpoint,
                io.BytesIO(DATA),
                metadata={"filename": b"disk.img"},
                client_session=session,
                config=retrying,
                chunksize=piece,
            )
            assert location is not None
            found = await aiotus.metadata(location, client_session=session, config=retrying)
            return config.protocol_extensions, location, found

    extensions, _, metadata = asyncio.run(run())
    assert "creation" in extensions  # type: ignore[operator]
    assert metadata == {"filename": b"disk.img"}
    became_active(service, tus, image_id)


def test_curl(service: lab.Service, tus: Tus, tmp_path: Path) -> None:
    """By hand, as the documents show."""
    lab.need("curl")
    image_id, identity = tus.image(), [word for name, value in IDENTITY.items() for word in ("-H", f"{name}: {value}")]

    def curl(*words: str) -> str:
        return subprocess.run(
            ["curl", "-sSf", *identity, "-H", "Tus-Resumable: 1.0.0", *words],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        ).stdout

    head = curl(
        "-D", "-", "-X", "POST", "-H", f"Upload-Length: {len(DATA)}", f"{service.url}/v2/images/{image_id}/uploads"
    )
    url = next(x.split(": ", 1)[1].strip() for x in head.splitlines() if x.lower().startswith("location:"))
    for offset in (0, 2_000_000):
        part = tmp_path / "part"
        part.write_bytes(DATA[offset : offset + 2_000_000])
        assert f"upload-offset: {offset}" in curl("-I", url).lower()
        curl(
            "-X",
            "PATCH",
            "-T",
            str(part),
            "-H",
            f"Content-Type: {OFFSET_OCTETS}",
            "-H",
            f"Upload-Offset: {offset}",
            url,
        )
    became_active(service, tus, image_id)
