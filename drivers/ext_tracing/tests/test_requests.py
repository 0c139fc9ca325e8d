"""What a real service tells a collector of its requests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import lab
import pytest
from client import Client
from collector import Collector, collecting
from requests_traced import CLIENT, DATA, PARENT, SERVER, TRACE, below, new_trace, traced
from waiting import until


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def service(collector: Collector) -> Iterator[lab.Service]:
    with lab.service(traced(collector)) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url)


def test_a_request_is_a_trace_down_to_database_and_store(client: Client, collector: Collector) -> None:
    image_id = str(client.create(name="secret-name")["id"])
    trace, headers = new_trace()
    answer = client.upload(image_id, DATA, **headers)
    assert answer.status_code == 204
    [top] = collector.until(trace, "PUT /v2/images/{image_id}/file")
    assert (top.parent, top.kind, top.failed) == (PARENT, SERVER, False)
    assert (
        top.attributes
        | {
            "http.request.method": "PUT",
            "http.route": "/v2/images/{image_id}/file",
            "http.response.status_code": 204,
            "url.scheme": "http",
            "glance.request.id": answer.headers["X-OpenStack-Request-Id"],
        }
        == top.attributes
    )
    spans = collector.of(trace)
    [use_case] = [x for x in spans if x.parent == top.id]
    assert use_case.attributes | {"glance.image.id": image_id, "glance.project.id": "demo"} == use_case.attributes
    assert {x.name for x in below(spans, use_case)} >= {"store put", "UPDATE images", "SELECT images"}
    [put] = collector.named(trace, "store put")
    assert put.attributes == {"glance.store.id": "file", "glance.store.driver": "file", "glance.store.bytes": len(DATA)}
    statements = [x for x in spans if "db.system.name" in x.attributes]
    assert {x.attributes["db.system.name"] for x in statements} == {"sqlite"}
    assert {x.kind for x in statements} == {CLIENT}
    assert all(top.start <= x.start <= x.end <= top.end for x in spans if x.pid == top.pid)


@pytest.mark.parametrize("sendfile", [True, False])
def test_a_download_lasts_until_its_last_byte(collector: Collector, *, sendfile: bool) -> None:
    with lab.service(lab.merged(traced(collector), {"server": {"sendfile": sendfile}})) as made:
        client = Client(made.url)
        image_id = str(client.create()["id"])
        client.upload(image_id, DATA)
        trace, headers = new_trace()
        assert client.download(image_id, **headers).content == DATA
        [top] = collector.until(trace, "GET /v2/images/{image_id}/file")
        if not sendfile:
            [read] = collector.named(trace, "store read")
            assert read in below(collector.of(trace), top)
            assert read.attributes["glance.store.bytes"] == len(DATA)


def test_nothing_is_told_that_is_not_an_id(client: Client, collector: Collector, service: lab.Service) -> None:
    trace, headers = new_trace()
    answer = client.call(
        "POST",
        "/v2/images",
        {"name": "secret-name", "disk_format": "raw", "container_format": "bare", "tags": ["secret-tag"]},
        headers=headers,
    )
    assert answer.status_code == 201
    client.call("GET", "/v2/images?name=secret-name&tag=secret-tag", headers=headers | {"X-Auth-Token": "secret-token"})
    client.call("GET", "/v2/images/secret-name", headers=headers)
    client.call("GET", "/secret-path", headers=headers)
    client.call("SECRET", "/v2/images", headers=headers)
    collector.until(trace, "GET /v2/images/{image_id}")
    collector.until(trace, "HTTP")
    collector.until(trace, "GET")
    told = " ".join(f"{x.name} {x.attributes}" for x in collector.spans)
    assert "secret" not in told.lower()
    assert "sesame" not in service.log.read_text()
    assert collector.headers[-1]["x-secret"] == "sesame"


def test_what_fails_is_told_as_failed(client: Client, collector: Collector) -> None:
    trace, headers = new_trace()
    client.call("GET", f"/v2/images/{os.urandom(4).hex()}-0000-4000-8000-000000000000", headers=headers)
    [top] = collector.until(trace, "GET /v2/images/{image_id}")
    assert (top.attributes["http.response.status_code"], top.failed) == (404, False)
    [use_case] = [x for x in collector.of(trace) if x.parent == top.id]
    assert use_case.failed
    assert use_case.attributes["error.type"] == "image_not_found"


def test_log_lines_have_the_trace(client: Client, service: lab.Service) -> None:
    trace, headers = new_trace()
    image_id = str(client.create()["id"])
    client.upload(image_id, DATA)
    next((service.folder / "images").rglob(f"*{image_id}*")).unlink()
    client.download(image_id, **headers)
    until(lambda: f"[trace {trace}] " in service.log.read_text(), 20)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}-01\t",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01;evil",
        "x" * 5000,
        "00-\xff" + TRACE[1:],
    ],
)
def test_a_traceparent_that_is_none_begins_a_trace(
    client: Client, collector: Collector, service: lab.Service, sent: str
) -> None:
    before = len(collector.spans)
    answer = client.session.get(
        f"{client.url}/v2/schemas/image", headers={"traceparent": sent.encode("latin-1")}, timeout=30
    )
    assert answer.status_code == 200
    until(lambda: any(x.kind == SERVER for x in collector.spans[before:]), 30)
    for span in collector.spans[before:]:
        assert re.fullmatch("[0-9a-f]{32}", span.trace)
        if not sent.endswith("\t"):  # blanks around a header's value are no part of it
            assert span.trace != TRACE
        assert "evil" not in str(span)
    assert "evil" not in service.log.read_text()


def test_clients_decide_nothing_when_they_are_not_followed(collector: Collector) -> None:
    with lab.service(traced(collector, follow_clients=False, service_name="ours")) as made:
        trace, headers = new_trace()
        Client(made.url).call("GET", "/v2/images", headers=headers)
        until(lambda: any(x.service == "ours" and x.kind == SERVER for x in collector.spans), 30)
        assert collector.of(trace) == []


def test_of_traces_that_begin_here_a_part_is_sent(collector: Collector) -> None:
    with lab.service(traced(collector, sampling_ratio=0, service_name="none")) as made:
        client = Client(made.url)
        for _ in range(5):
            assert client.call("GET", "/v2/images").status_code == 200
        trace, headers = new_trace()
        client.call("GET", "/v2/images", headers=headers)
        collector.until(trace, "GET /v2/images")  # somebody else has decided
        unsampled = os.urandom(16).hex()
        client.call("GET", "/v2/images", headers={"traceparent": f"00-{unsampled}-{PARENT}-00"})
        made.stop()  # what waits is sent
        assert {x.trace for x in collector.spans if x.service == "none"} == {trace}


def test_work_of_nobody_is_not_told(collector: Collector, service: lab.Service) -> None:
    """The reaper and probes ask the database all the time; a periodic job is a trace of its own."""
    Client(service.url).call("GET", "/healthcheck/ready")
    Client(service.url).call("GET", "/metrics")
    assert not [x for x in collector.spans if not x.parent and x.kind != SERVER and not x.name.startswith("job ")]
    assert not [x for x in collector.spans if "health" in str(x) or "/metrics" in str(x)]
