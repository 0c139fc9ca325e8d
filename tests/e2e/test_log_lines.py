"""What the service says of itself. Its log: whose work a line tells of, in whatever process it is written, and how many bytes were sent. Its metrics: what has
happened, and nothing of what has not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client
from test_imports import stage, start, until_ended
from waiting import until

DATA = b"data of an image " * 100_000


@pytest.fixture(scope="module", params=[True, False], ids=["process", "threads"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    config = lab.merged(HEADERS_AUTH, {"DEFAULT": {"enabled_import_methods": "glance-direct,web-download"}, "server": {"access_log": "true"},
                                       "imports": {"own_process": request.param}})
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
