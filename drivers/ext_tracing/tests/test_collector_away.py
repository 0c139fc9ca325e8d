"""A collector that is away, or that never answers: no request waits for it, and a process ends as it would without."""

from __future__ import annotations

import time
from collections.abc import Iterator

import lab
import pytest
from client import Client
from collector import Collector, collecting
from requests_traced import DATA, new_trace, traced
from waiting import until


@pytest.fixture(params=["away", "silent"])
def collector(request: pytest.FixtureRequest) -> Iterator[Collector]:
    if request.param == "away":
        made = Collector(port=lab.free_port())
        yield made
        return
    with collecting() as made:
        made.answering.clear()
        yield made


def counted(client: Client, outcome: str) -> float:
    found = [
        x
        for x in client.call("GET", "/metrics").text.splitlines()
        if x.startswith(f'glance_tracing_spans_total{{outcome="{outcome}"}}')
    ]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_requests_go_on_and_what_is_lost_is_counted(collector: Collector) -> None:
    with lab.service(traced(collector, queue_size=20, timeout=1, drain_seconds=0.2)) as made:
        client = Client(made.url)
        for _ in range(20):
            image_id = str(client.create()["id"])
            assert client.upload(image_id, DATA).status_code == 204
            assert client.download(image_id).content == DATA
        until(lambda: counted(client, "dropped") > 0, 30)
        until(lambda: counted(client, "failed") > 0, 30)
        assert counted(client, "sent") == 0
        assert made.process is not None
        began = time.monotonic()
        made.stop()
        assert time.monotonic() - began < 30  # not cut off: see stop's timeout, which kills
        said = [x for x in made.log.read_text().splitlines() if "opentelemetry" in x]
        assert len(said) < 10, said[:20]


def test_it_is_told_again_when_it_is_there() -> None:
    port = lab.free_port()
    with lab.service(traced(Collector(port=port), timeout=0.5)) as made:
        client = Client(made.url)
        client.call("GET", "/v2/images")
        until(lambda: counted(client, "failed") > 0, 30)
        with collecting(port) as collector:
            trace, headers = new_trace()
            client.call("GET", "/v2/images", headers=headers)
            collector.until(trace, "GET /v2/images")
            until(lambda: counted(client, "sent") > 0, 30)
