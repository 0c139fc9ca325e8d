"""kill -9 at every step of partial uploads that are joined, or given up. And over two nodes, on each database."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

import lab
import pytest
from client import BROKEN_OFF
from tusing import CONFIG, DATA, Tus, staged, stored, usage
from waiting import until

from glancecore.sdk.checkpoints import JOIN_END_STEPS, JOIN_STEPS, SESSION_COPY_STEPS, SESSION_END_STEPS, VARIABLE

CUTS = [(0, 1_500_000), (1_500_000, len(DATA))]
#: Those of the pass that makes the image, and of the transfer of a partial upload.
OTHERS = (
    "session.part_stored",
    "session.part_noted",
    "session.rested",
    *SESSION_COPY_STEPS,
    "upload.first_piece",
    "upload.all_pieces",
    "upload.after_put",
)


@pytest.fixture(scope="module")
def stopped() -> Iterator[lab.Service]:
    with lab.service(lab.merged(CONFIG, {"DEFAULT": {"workers": 1}}), start=False) as made:
        yield made


@pytest.fixture
def service(stopped: lab.Service) -> Iterator[lab.Service]:
    yield stopped
    stopped.stop(signal.SIGKILL)


@pytest.mark.parametrize("step", [*JOIN_STEPS, *OTHERS])
def test_killed_at(service: lab.Service, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """As a client does that was told of what it had begun: it goes on with that, and joins. What it was not told of
    goes with the rest."""
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    tus, urls = Tus(service.url), []
    image_id = tus.image()
    with contextlib.suppress(*BROKEN_OFF):
        for first, end in CUTS:
            urls.append(str(tus.create(image_id, end - first, Upload_Concat="partial").headers["Location"]))
            tus.patch(urls[-1], 0, DATA[first:end])
        tus.join(image_id, urls)
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    tus = Tus(service.url)
    if tus.client.show(image_id)["status"] == "saving" and not any(
        x["concat"] == "final" for x in tus.uploads(image_id)
    ):
        for at, (first, end) in enumerate(CUTS):
            if at == len(urls):
                urls += tus.partials(image_id, [(first, end)], sent=False)
            offset = tus.offset(urls[at])
            if offset < end - first:
                assert tus.patch(urls[at], offset, DATA[first + offset : end]).status_code == 204
        assert tus.join(image_id, urls).status_code == 201
    until(
        lambda: tus.client.show(image_id)["status"] == "active",
        lambda: f"{tus.client.show(image_id)}\n{service.tail()}",
    )
    assert tus.client.download(image_id).content == DATA
    assert tus.join(image_id, urls).status_code == 201, "who was not told asks again"
    until(lambda: usage(service) == (len(DATA), 0, 0), lambda: str(usage(service)))
    if step != "session.after_finish":  # what is left there is for the sweep
        until(lambda: not [x for x in staged(service) if x.startswith(image_id)], lambda: str(staged(service)))
    assert len(stored(service)) == 1
    assert tus.client.delete(image_id).status_code == 204
    until(lambda: stored(service) == [])


@pytest.mark.parametrize("step", [*JOIN_END_STEPS, *SESSION_END_STEPS])
def test_killed_while_they_are_given_up(service: lab.Service, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    tus = Tus(service.url)
    image_id = tus.image()
    urls = tus.partials(image_id, CUTS)
    with contextlib.suppress(*BROKEN_OFF):
        for url in urls:
            assert tus.call("DELETE", url).status_code == 204
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    tus = Tus(service.url)

    def given_up() -> bool:
        return (
            all(tus.call("DELETE", url).status_code in (204, 404) for url in urls)
            and tus.client.show(image_id)["status"] == "queued"
        )

    until(given_up, service.tail)
    until(lambda: usage(service) == (0, 0, 0), lambda: str(usage(service)))
    until(lambda: not [x for x in staged(service) if x.startswith(image_id)], lambda: str(staged(service)))
    assert tus.client.upload(image_id, DATA).status_code == 204
    assert tus.client.delete(image_id).status_code == 204


def test_from_node_to_node(nodes: list[lab.Service]) -> None:
    """Four at once, each piece at the other node; a node is killed between, and the join is asked of both."""
    clients = [Tus(x.url) for x in nodes]
    image_id, cuts = clients[0].image(), [(at, min(at + 900_000, len(DATA))) for at in range(0, len(DATA), 900_000)]
    paths: dict[int, str] = {}
    raised: list[BaseException] = []

    def client(at: int) -> None:
        try:
            first, end = cuts[at]
            mine = [Tus(x.url) for x in nodes]
            answer = mine[at % 2].create(image_id, end - first, Upload_Concat="partial")
            assert answer.status_code == 201, answer.text
            paths[at] = answer.headers["Location"].removeprefix(nodes[at % 2].url)
            for turn, begun in enumerate(range(first, end, 300_000)):
                node = (at + turn) % 2
                assert mine[node].offset(f"{nodes[node].url}{paths[at]}") == begun - first
                assert (
                    mine[node]
                    .patch(f"{nodes[node].url}{paths[at]}", begun - first, DATA[begun : min(begun + 300_000, end)])
                    .status_code
                    == 204
                )
        except BaseException as exc:
            raised.append(exc)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(len(cuts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert raised == []
    nodes[0].stop(signal.SIGKILL)
    urls = [f"{nodes[1].url}{paths[n]}" for n in range(len(cuts))]
    answer = clients[1].join(image_id, urls)
    assert answer.status_code == 201, answer.text
    nodes[0].start()
    assert clients[0].join(image_id, urls).headers["Location"].removeprefix(nodes[0].url) == answer.headers[
        "Location"
    ].removeprefix(nodes[1].url)
    until(lambda: clients[0].client.show(image_id)["status"] == "active")
    assert clients[0].client.download(image_id).content == DATA
    until(lambda: staged(nodes[0]) == [])
    assert (
        clients[0].client.call("GET", "/v2/info/usage").json()["usage"]["image_size_total"]["usage"] == len(DATA) >> 20
    )
