"""kill -9 at every step of staged data that comes in pieces: it goes on behind the last acknowledged byte, or nothing
of it is there."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import BROKEN_OFF
from resuming import CONFIG, DATA, Resuming, files, image_of, usage
from waiting import until

from glancecore.sdk.checkpoints import SESSION_COPY_STEPS, SESSION_END_STEPS, SESSION_STEPS, VARIABLE

CUTS = [(0, 1_500_000), (1_500_000, 3_000_000), (3_000_000, len(DATA))]
#: The first request has no byte: that comes with the second.
PIECES = ("session.taken*2", "session.rested*2")
#: Of a staging store that takes no parts: those of the pass that writes what has waited there, beside what any upload
#: passes.
COPIES = (
    "session.part_stored",
    "session.part_noted",
    "upload.first_piece",
    "upload.all_pieces",
    "upload.after_put",
    *SESSION_COPY_STEPS,
)
PLAIN = """
from glancecore.ports.store import Cap
from glancecore_store_file.driver import FileStore


class PlainStore(FileStore):
    caps = FileStore.caps - {Cap.PARTS}
"""


@pytest.fixture(scope="module")
def in_parts() -> Iterator[lab.Service]:
    with lab.service(lab.merged(CONFIG, {"DEFAULT": {"workers": 1}}), start=False) as made:
        yield made


@pytest.fixture(scope="module")
def in_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    """Staged data lies in a store that takes no parts."""
    site, images = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("images")
    about = site / "plain-1.dist-info"
    about.mkdir()
    (site / "plain.py").write_text(PLAIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plain\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[glancecore.stores]\nplain = plain:PlainStore\n")
    config: lab.Config = {
        "DEFAULT": {"workers": 1, "staging_driver": "plain"},
        "file": {"filesystem_store_datadir": images},
        "os_glance_staging_store": {"filesystem_store_datadir": Path(images, ".staging")},
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(site))
        with lab.service(lab.merged(CONFIG, config), start=False) as made:
            yield made


def killed(service: lab.Service, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    client, acknowledged, url = Resuming(service.url, way="stage"), -1, ""
    image_id = client.image()
    with contextlib.suppress(*BROKEN_OFF):
        answer = client.put(image_id, b"", "?0", Upload_Length=str(len(DATA)))
        assert answer.status_code == 201, answer.text
        url, acknowledged = answer.headers["Location"], 0
        for first, end in CUTS:
            if client.patched(url, first, DATA[first:end], "?1" if end == len(DATA) else "?0").status_code in (
                202,
                204,
            ):
                acknowledged = end
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    client = Resuming(service.url, way="stage")
    if not url:  # nobody was told of it: whoever begins anew has it removed, when it is seen that its process has died
        answers = []

        def begun() -> bool:
            answers.append(client.put(image_id, b"", "?0", Upload_Length=str(len(DATA))))
            return answers[-1].status_code == 201

        until(begun, lambda: answers[-1].text)
        url = answers[-1].headers["Location"]
    offset = client.offset(url)
    assert offset >= acknowledged, "what was acknowledged is still there"
    assert client.show(image_id)["status"] == "uploading"
    if offset < len(DATA):
        assert client.patched(url, offset, DATA[offset:], "?1").status_code == 204
    until(lambda: client.show(image_id)["size"] == len(DATA), lambda: f"{client.show(image_id)}\n{service.tail()}")
    until(lambda: usage(service) == (0, len(DATA), 1, 0), lambda: str(usage(service)))
    if (
        step != "session.after_finish" or service.config["DEFAULT"].get("staging_driver") is None
    ):  # what is left there is for the sweep
        until(lambda: len(files(service, image_id)) == 1, lambda: str(files(service, image_id)))
    assert client.importing(image_id).status_code == 202
    until(lambda: client.show(image_id)["status"] == "active", lambda: f"{client.show(image_id)}\n{service.tail()}")
    assert client.download(image_id).content == DATA
    until(lambda: usage(service) == (len(DATA), 0, 0, 0), lambda: str(usage(service)))
    assert client.delete(image_id).status_code == 204


@pytest.mark.parametrize("step", [*SESSION_STEPS, *PIECES])
def test_killed_at(in_parts: lab.Service, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    try:
        killed(in_parts, monkeypatch, step)
    finally:
        in_parts.stop(signal.SIGKILL)


@pytest.mark.parametrize("step", COPIES)
def test_killed_where_the_staging_store_takes_no_parts(
    in_copies: lab.Service, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    try:
        killed(in_copies, monkeypatch, step)
    finally:
        in_copies.stop(signal.SIGKILL)


@pytest.mark.parametrize("step", SESSION_END_STEPS)
@pytest.mark.parametrize("where", ["in_parts", "in_copies"])
def test_killed_while_it_is_given_up(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, where: str, step: str
) -> None:
    service: lab.Service = request.getfixturevalue(where)
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    try:
        client = Resuming(service.url, way="stage")
        url = client.begun(DATA[:2_500_000])
        with contextlib.suppress(*BROKEN_OFF):
            client.give_up(url)
        service.until_killed()
        service.stop(signal.SIGKILL)
        monkeypatch.delenv(VARIABLE)
        service.start()
        client = Resuming(service.url, way="stage")
        if step == "session.before_end" and client.show(image_of(url))["status"] == "uploading":
            assert client.give_up(url) in (204, 410)
        until(lambda: client.show(image_of(url))["status"] == "queued", service.tail)
        until(lambda: usage(service) == (0, 0, 0, 0), lambda: str(usage(service)))
        assert files(service, image_of(url)) == []
        assert client.put(image_of(url), DATA, "?1").status_code == 204
        assert client.delete(image_of(url)).status_code == 204
        until(lambda: files(service, image_of(url)) == [])
    finally:
        service.stop(signal.SIGKILL)
