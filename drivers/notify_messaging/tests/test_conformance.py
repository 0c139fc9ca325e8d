"""The kit on a real RabbitMQ, which is taken away by a relay before it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import lab
import pytest
from glancecore_notify_messaging.driver import MessagingNotifier
from oslo_config import cfg
from waiting import until

from glancecore.testing.notifier import NotifierConformance, Receiver, make_notifier
from glancecore.testing.relay import Relay


class Bus(Receiver):
    """One topic of it."""

    secrets = ("secret",)  # the password in the URL

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        self.inner = url.replace("rabbit://", "amqp://") + "/"
        self.topic = f"kit_{secrets.token_hex(6)}"
        self.relay = Relay(there.hostname or "", there.port or 0)
        self.url = url.replace(f":{there.port}/", f":{self.relay.port}/")
        self.came: list[str] = []

    def heard(self, number: int) -> Sequence[str]:
        with kombu.Connection(self.inner) as connection, connection.channel() as channel:
            channel.queue_declare(f"{self.topic}.info", durable=False, auto_delete=False)

            def enough() -> bool:
                while (message := channel.basic_get(f"{self.topic}.info", no_ack=True)) is not None:
                    self.came.append(
                        kombu.serialization.loads(message.body, message.content_type, message.content_encoding)[
                            "event_type"
                        ]
                    )
                return len(self.came) >= number

            until(enough)
        return list(self.came)

    def stop(self) -> None:
        self.relay.close()


class TestMessaging(NotifierConformance):
    @pytest.fixture
    def receiver(self) -> Iterator[Bus]:
        made = Bus(lab.rabbitmq_url())
        yield made
        made.stop()

    @pytest.fixture
    def make(self, receiver: Bus, tmp_path: Path) -> Callable[[], MessagingNotifier]:
        file = tmp_path / "conf"
        file.write_text(
            lab.config_text(
                {
                    "DEFAULT": {"transport_url": receiver.url},
                    "oslo_messaging_rabbit": {"kombu_reconnect_delay": 0.1},
                    "oslo_messaging_notifications": {"driver": "messaging", "topics": receiver.topic, "retry": 1},
                }
            )
        )

        def made() -> MessagingNotifier:
            conf = cfg.ConfigOpts()
            conf([], default_config_files=[str(file)], default_config_dirs=[])
            return make_notifier(MessagingNotifier, conf)

        return made
