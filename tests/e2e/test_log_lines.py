"""What the service says of itself. Its log: whose work a line tells of, in whatever process it is written, and how many
bytes were sent. Its metrics: what has happened, and nothing of what has not."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client
from importing import stage, start, until_ended
from waiting import until

DATA = b"data of an image " * 100_000


@pytest.fixture(scope="module", params=[True, False], ids=["process", "threads"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    config = lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"enabled_import_methods": "glance-direct,web-download"},
            "server": {"access_log": "true"},
            "imports": {"own_process": request.param},
        },
    )
    with lab.service(config, folder=tmp_path_factory.mktemp("lines")) as made:
        yield made


def test_lines_of_an_import_tell_of_its_request(service: lab.Service) -> None:
    client = Client(service.url)
    image = client.create()["id"]
    assert stage(client, image).status_code == 204
    answer = start(client, image)
    assert answer.status_code == 202
    task = until_ended(client, image)
    assert task["status"] == "success"
    request_id = answer.headers["x-openstack-request-id"]
    assert task["request_id"] == request_id
    told = f" {request_id} user-demo demo "
    about = f"[image {image}, task {task['id']}] "

    def lines() -> list[str]:
        return [x for x in service.log.read_text().splitlines() if about in x]

    until(lines, service.tail)
    assert all(told in x for x in lines())
    assert any("glancecore.events" in x for x in lines())


def test_the_access_log_has_the_bytes_that_were_sent(service: lab.Service) -> None:
    client = Client(service.url)
    image = client.create()["id"]
    assert client.upload(image, DATA).status_code == 204
    assert client.download(image).content == DATA
    assert client.download(image, Range="bytes=5-104").content == DATA[5:105]
    found = re.compile(rf'"GET /v2/images/{image}/file HTTP/1.1" (\d+) (\S+) ')

    def sizes() -> list[tuple[str, str]]:
        return found.findall(service.log.read_text())

    until(lambda: len(sizes()) == 2, service.tail)
    assert sizes() == [("200", str(len(DATA))), ("206", "100")]


def test_metrics_have_no_lines_of_what_nobody_asked_for(tmp_path: Path) -> None:
    with lab.service(folder=tmp_path) as own:
        client = Client(own.url)
        assert client.call("GET", "/v2/images").status_code == 200

        def counts() -> list[str]:
            return [x for x in client.call("GET", "/metrics").text.splitlines() if "_count{" in x]

        until(lambda: any('route="/v2/images"' in x for x in counts()), own.tail)
        assert [x for x in counts() if x.endswith(" 0.0")] == []


@pytest.fixture(scope="module")
def one_thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    """Whoever asks is answered by the thread that has answered the one before."""
    config = lab.merged(HEADERS_AUTH, {"DEFAULT": {"workers": 1}, "server": {"access_log": "true", "threads": 1}})
    with lab.service(config, folder=tmp_path_factory.mktemp("one")) as made:
        yield made


def _line(service: lab.Service, said: str) -> str:
    """The one line of the log that says so."""

    def found() -> list[str]:
        return [x for x in service.log.read_text().splitlines() if said in x]

    until(found, service.tail)
    [line] = found()
    return line


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v2/images?limit=401", 401), ("/v2/nowhere", 404), ("/v2/images?limit=no", 401), ("/v2/images/a%0Ab", 401)],
)
def test_a_refused_request_is_told_as_its_own(one_thread: lab.Service, path: str, status: int) -> None:
    assert Client(one_thread.url).call("GET", "/v2/images").status_code == 200
    answer = requests.get(f"{one_thread.url}{path}", timeout=60)
    assert answer.status_code == status
    line = _line(one_thread, f'"GET {path} HTTP/1.1"')
    assert answer.headers["x-openstack-request-id"] in line
    assert "demo" not in line


@pytest.mark.parametrize(
    ("path", "status"), [("/v2/images?limit=x", 400), ("/v2/images?%0A=x", 400), ("/v2/images/b%0Ac", 400)]
)
def test_a_mistake_is_told_as_its_senders(one_thread: lab.Service, path: str, status: int) -> None:
    assert Client(one_thread.url, "other").call("GET", "/v2/images").status_code == 200
    answer = Client(one_thread.url).call("GET", path)
    assert answer.status_code == status
    assert f"{answer.headers['x-openstack-request-id']} user-demo demo" in _line(one_thread, f'"GET {path} HTTP/1.1"')


def test_what_is_no_request_is_nobodys(one_thread: lab.Service) -> None:
    assert Client(one_thread.url).call("GET", "/v2/images").status_code == 200
    with socket.create_connection(("127.0.0.1", one_thread.port), timeout=60) as raw:
        raw.sendall(b"GET /v2/images HTTP/1.1\r\nHost: x\r\nUser-Agent: a\x1bb\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    line = _line(one_thread, "Invalid request from")
    assert "req-" not in line
    assert "demo" not in line


def test_a_download_that_was_parked_is_told_as_its_own(one_thread: lab.Service) -> None:
    mine, other = Client(one_thread.url, "mine"), Client(one_thread.url, "other")
    image = mine.create()["id"]
    assert mine.upload(image, bytes(64 << 20)).status_code == 204
    with mine.session.get(f"{one_thread.url}/v2/images/{image}/file", stream=True, timeout=120) as slow:
        until(
            lambda: (
                'glance_server_running{lane="transfer"} 0.0'
                in requests.get(f"{one_thread.url}/metrics", timeout=60).text
            )
        )
        assert other.upload(other.create()["id"], b"data").status_code == 204
        assert len(slow.content) == 64 << 20
    assert f"{slow.headers['x-openstack-request-id']} user-mine mine" in _line(
        one_thread, f'"GET /v2/images/{image}/file HTTP/1.1"'
    )
