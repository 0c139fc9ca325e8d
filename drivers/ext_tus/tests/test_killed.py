"""kill -9 at every step of an upload in pieces: it goes on behind the last acknowledged byte, or nothing of it is
there. And from node to node."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import lab
import pytest
import requests
from client import BROKEN_OFF
from tusing import CONFIG, DATA, Tus, growing, image_of, staged, stored, usage
from waiting import until

from glancecore.sdk.checkpoints import SESSION_END_STEPS, SESSION_STEPS, VARIABLE


@pytest.fixture(scope="module")
def stopped() -> Iterator[lab.Service]:
    with lab.service(lab.merged(CONFIG, {"DEFAULT": {"workers": 1}}), start=False) as made:
        yield made


@pytest.fixture
def service(stopped: lab.Service) -> Iterator[lab.Service]:
    yield stopped
    stopped.stop(signal.SIGKILL)


def sent(tus: Tus, image_id: str, acknowledged: list[int]) -> None:
    """All of DATA in three requests."""
    answer = tus.create(image_id)
    if answer.status_code != 201:
        return
    acknowledged[0] = 0
    for first, end in ((0, 1_500_000), (1_500_000, 3_000_000), (3_000_000, len(DATA))):
        if tus.patch(answer.headers["Location"], first, DATA[first:end]).status_code == 204:
            acknowledged[0] = end


@pytest.mark.parametrize("step", SESSION_STEPS)
def test_killed_at(service: lab.Service, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    tus, acknowledged = Tus(service.url), [-1]
    image_id = tus.image()
    with contextlib.suppress(*BROKEN_OFF):
        sent(tus, image_id, acknowledged)
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    tus = Tus(service.url)
    found = tus.uploads(image_id)
    if tus.client.show(image_id)["status"] == "queued":
        assert (acknowledged, found) == ([-1], []), "what was acknowledged is still there"
        url = tus.create(image_id).headers["Location"]
    else:
        [one] = found
        url = one["url"]
        assert one["offset"] >= acknowledged[0], "what was acknowledged is still there"
    offset = tus.offset(url)
    assert offset >= acknowledged[0]
    if offset < len(DATA):
        assert tus.patch(url, offset, DATA[offset:]).status_code == 204
    until(
        lambda: tus.client.show(image_id)["status"] == "active",
        lambda: f"{tus.client.show(image_id)}\n{service.tail()}",
    )
    assert tus.client.download(image_id).content == DATA
    until(lambda: usage(service) == (len(DATA), 0, 0), lambda: str(usage(service)))
    assert (staged(service), growing(service), len(stored(service))) == ([], [], 1)
    assert tus.client.delete(image_id).status_code == 204
    until(lambda: stored(service) == [])


@pytest.mark.parametrize("step", SESSION_END_STEPS)
def test_killed_while_it_is_given_up(service: lab.Service, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    tus = Tus(service.url)
    url = tus.begun()
    assert tus.patch(url, 0, DATA[:2_500_000]).status_code == 204
    with contextlib.suppress(*BROKEN_OFF):
        tus.call("DELETE", url)
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    tus = Tus(service.url)
    if step == "session.before_end" and tus.client.show(image_of(url))["status"] == "saving":
        assert tus.call("DELETE", url).status_code in (204, 410)
    until(lambda: tus.client.show(image_of(url))["status"] == "queued", service.tail)
    until(lambda: usage(service) == (0, 0, 0), lambda: str(usage(service)))
    assert (growing(service), stored(service)) == ([], [])
    assert tus.client.upload(image_of(url), DATA).status_code == 204
    assert tus.client.delete(image_of(url)).status_code == 204


def test_from_node_to_node(nodes: list[lab.Service]) -> None:
    """Each request at the other one; the one that had the last is killed, and comes back later."""
    clients = [Tus(x.url) for x in nodes]
    image_id = clients[0].image()
    path = clients[0].create(image_id).headers["Location"].removeprefix(nodes[0].url)
    offset = 0
    for turn in range(8):
        one, other = turn % 2, 1 - turn % 2
        assert clients[one].offset(f"{nodes[one].url}{path}") == offset
        end = len(DATA) if turn == 7 else offset + 450_000
        if turn == 4:
            with contextlib.suppress(requests.RequestException):
                clients[one].patch(f"{nodes[one].url}{path}", offset, dying(nodes[one], DATA[offset:end]))
            nodes[one].start()
            offset = clients[other].offset(f"{nodes[other].url}{path}")
            assert offset >= 4 * 450_000
            continue
        assert clients[one].patch(f"{nodes[one].url}{path}", offset, DATA[offset:end]).status_code == 204
        offset = end
    until(lambda: clients[0].client.show(image_id)["status"] == "active")
    assert clients[1].client.download(image_id).content == DATA
    until(lambda: staged(nodes[0]) == [])
    assert (
        clients[0].client.call("GET", "/v2/info/usage").json()["usage"]["image_size_total"]["usage"] == len(DATA) >> 20
    )


def dying(node: lab.Service, data: bytes) -> Iterator[bytes]:
    yield data[: len(data) // 2]
    node.stop(signal.SIGKILL)
    yield data[len(data) // 2 :]
