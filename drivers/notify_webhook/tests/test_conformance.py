"""The kit on a real receiver over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import receiver as http
from glancecore_notify_webhook.driver import WebhookNotifier

from glancecore.ports.notifier import DurableNotifier
from glancecore.testing.notifier import DurableNotifierConformance, Receiver

from .conftest import SECRET, notifier

PREFIX = "org.openstack.glance."


class Web(Receiver):
    secrets = (SECRET, SECRET.removeprefix("whsec_"), "t0ken-of-the-receiver", "url-s3cret")

    def __init__(self, folder: Path) -> None:
        self.inner = http.Receiver(folder)

    def heard(self, number: int) -> Sequence[str]:
        self.inner.wait(lambda got: len([x for x in got if x.status < 300]) >= number)
        return [
            (x.headers.get("ce-type") or x.event["type"]).removeprefix(PREFIX) for x in self.inner.got if x.status < 300
        ]

    def stop(self) -> None:
        self.inner.stop()

    def start(self) -> None:
        if self.inner.process is None:
            self.inner.start()

    def reset(self) -> None:
        """Another process, if this one may still be busy with what it was told to do."""
        if (self.inner.folder / "rules.json").exists():
            self.stop()
            (self.inner.folder / "rules.json").unlink()
        self.start()

    def refuse(self) -> None:
        self.inner.behave({"status": 422})

    def stall(self) -> None:
        self.inner.behave({"delay": 30})


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    made = Web(tmp_path_factory.mktemp("web"))
    yield made
    made.stop()


class TestWebhook(DurableNotifierConformance):
    mode = "structured"

    @pytest.fixture
    def receiver(self, web: Web) -> Web:
        web.reset()
        return web

    @pytest.fixture
    def make(self, receiver: Web, tmp_path: Path) -> Callable[[], DurableNotifier]:
        section = {
            "url": f"{receiver.inner.url}?key=url-s3cret",
            "secrets": SECRET,
            "timeout": 2,
            "mode": self.mode,
            "authorization": "Bearer t0ken-of-the-receiver",
        }

        def made() -> WebhookNotifier:
            return notifier(tmp_path, {"notify_webhook": {"endpoints": "here"}, "webhook_here": section})

        return made


class TestBinaryWebhook(TestWebhook):
    mode = "binary"
