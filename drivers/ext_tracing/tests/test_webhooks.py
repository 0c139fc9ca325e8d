"""Events say in which trace they have happened, and their delivery is part of it."""

from __future__ import annotations

from pathlib import Path

import lab
import pytest
from client import Client
from collector import collecting
from receiver import Receiver
from requests_traced import PARENT, new_trace, traced
from waiting import until

PRODUCER = 4


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_an_event_is_of_its_trace(tmp_path: Path, mode: str) -> None:
    receiver = Receiver(tmp_path / "receiver")
    receiver.start()
    try:
        with collecting() as collector:
            config = lab.merged(
                traced(collector),
                {
                    "DEFAULT": {"notifiers": "log, webhook"},
                    "notify_webhook": {"endpoints": "r"},
                    "webhook_r": {"url": receiver.url, "mode": mode},
                    "outbox": {"interval": 0.1},
                },
            )
            with lab.service(config) as made:
                trace, headers = new_trace()
                client = Client(made.url)
                assert client.call("POST", "/v2/images", {"name": "x"}, headers=headers).status_code == 201
                until(lambda: receiver.got, 30)
                [got] = receiver.got
                sent = {name.lower(): value for name, value in got.headers.items()}
                told = sent["ce-traceparent"] if mode == "binary" else got.event["traceparent"]
                [delivery] = collector.until(trace, "deliver image.create")
                [top] = collector.until(trace, "POST /v2/images")
                assert told[:36] == f"00-{trace}-"
                assert delivery.parent == told[36:52]
                assert delivery.kind == PRODUCER
                assert sent["traceparent"][:-2] == f"00-{trace}-{delivery.id}-"
                assert top.parent == PARENT
                assert (
                    client.call(
                        "POST",
                        "/v2/images",
                        {"name": "x"},
                        headers={"traceparent": "00-" + "1" * 32 + "-" + PARENT + "-00"},
                    ).status_code
                    == 201
                )
                until(lambda: len(receiver.got) == 2, 30)
                assert collector.of("1" * 32) == []
    finally:
        receiver.stop()
