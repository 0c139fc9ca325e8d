"""kill -9 at the steps of an upload whose parts another service takes: nothing that was acknowledged is lost, and
nothing is left."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import BROKEN_OFF
from places import PLACES, Place
from tusing import CONFIG, Tus, image_of, usage
from waiting import until

from glancecore.sdk.checkpoints import SESSION_REST_STEPS, VARIABLE

MIB = 1 << 20
DATA = os.urandom(19 * MIB + 7)
#: Where the service wants large parts: one of its own, bytes that wait, a part of these and others, and the rest.
CUTS = [0, 9 * MIB, 10 * MIB, 18 * MIB, len(DATA)]
STEPS = (
    "session.part_stored*1",
    "session.part_stored*3",
    "session.part_noted*3",
    "session.commit_begun",
    "session.completed",
    "session.after_finish",
)
#: In a pool of Ceph nothing waits: parts are of any size.
KILLED = [("s3", step) for step in (*STEPS, *SESSION_REST_STEPS)] + [("rbd", step) for step in STEPS]


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    made = PLACES[request.param]()
    yield made
    made.close()


@pytest.fixture(scope="module")
def stopped(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    config: lab.Config = {
        "os_glance_staging_store": {"filesystem_store_datadir": tmp_path_factory.mktemp("staging")},
        "DEFAULT": {"workers": 1, "enabled_backends": f"file:file,remote:{place.driver}"},
        "glance_store": {"default_backend": "remote"},
        "remote": place.options,
    }
    with lab.service(lab.merged(CONFIG, config), start=False) as made:
        yield made


@pytest.fixture
def service(stopped: lab.Service) -> Iterator[lab.Service]:
    yield stopped
    stopped.stop(signal.SIGKILL)


@pytest.mark.parametrize(("place", "step"), KILLED, indirect=["place"])
def test_killed_at(service: lab.Service, place: Place, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    tus, acknowledged = Tus(service.url), 0
    image_id = tus.image()
    url = str(tus.create(image_id, len(DATA)).headers["Location"])
    path = url.removeprefix(service.url)
    with contextlib.suppress(*BROKEN_OFF):
        for first, end in itertools.pairwise(CUTS):
            if tus.patch(url, first, DATA[first:end]).status_code == 204:
                acknowledged = end
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    goes_on(service, place, image_id, path, acknowledged)


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_killed_in_the_middle_of_a_part(service: lab.Service, place: Place) -> None:
    service.start()
    tus = Tus(service.url)
    url = tus.begun(len(DATA))

    def half() -> Iterator[bytes]:
        yield DATA[CUTS[1] : CUTS[1] + MIB // 2]
        service.stop(signal.SIGKILL)
        yield DATA[CUTS[1] + MIB // 2 : CUTS[2]]

    assert tus.patch(url, 0, DATA[: CUTS[1]]).status_code == 204
    with contextlib.suppress(*BROKEN_OFF):
        tus.patch(url, CUTS[1], half())
    goes_on(service, place, image_of(url), url.removeprefix(service.url), CUTS[1])


def goes_on(service: lab.Service, place: Place, image_id: str, path: str, acknowledged: int) -> None:
    """Behind what was acknowledged, until the image is active and nothing else is left."""
    service.start()
    tus = Tus(service.url)
    offset = tus.offset(f"{service.url}{path}")
    assert offset >= acknowledged
    while offset < len(DATA):
        end = next(x for x in CUTS if x > offset)
        assert tus.patch(f"{service.url}{path}", offset, DATA[offset:end]).status_code == 204
        offset = end
    until(
        lambda: tus.client.show(image_id)["status"] == "active",
        lambda: f"{tus.client.show(image_id)}\n{service.tail()}",
    )
    assert tus.client.download(image_id).content == DATA
    until(lambda: usage(service) == (len(DATA), 0, 0), lambda: str(usage(service)))
    until(
        lambda: place.names() == [image_id] and waiting(service, image_id) == [],
        lambda: str((place.names(), waiting(service, image_id))),
    )
    assert tus.client.delete(image_id).status_code == 204
    until(lambda: place.names() == [])


def waiting(service: lab.Service, image_id: str) -> list[str]:
    """In the staging store."""
    folder = Path(str(service.config["os_glance_staging_store"]["filesystem_store_datadir"]))
    return sorted(x.name for x in folder.iterdir() if x.name.startswith(image_id))


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_given_up(service: lab.Service, place: Place) -> None:
    service.start()
    tus = Tus(service.url)
    url = tus.begun(len(DATA))
    for first, end in itertools.pairwise(CUTS[:3]):
        assert tus.patch(url, first, DATA[first:end]).status_code == 204
    assert place.names() != []
    assert tus.call("DELETE", url).status_code == 204
    assert place.names() == []
