"""Real receivers, and endpoints made from an operator's configuration."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import lab
import pytest
from glancecore_notify_webhook.driver import WebhookNotifier
from glancecore_notify_webhook.endpoint import Endpoint
from glancecore_notify_webhook.options import OPTIONS
from oslo_config import cfg
from receiver import Receiver

Make = Callable[..., Endpoint]
SECRET, NEW_SECRET = (f"whsec_{base64.b64encode(os.urandom(32)).decode()}" for _ in range(2))


def notifier(folder: Path, config: lab.Config) -> WebhookNotifier:
    file = folder / "webhook.conf"
    file.write_text(lab.config_text(config))
    conf = cfg.ConfigOpts()
    conf(args=[], default_config_files=[str(file)], project="glance")
    conf.register_opts(OPTIONS, group="notify_webhook")
    return WebhookNotifier(conf.notify_webhook, conf)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Make]:
    """Makes an endpoint ``here`` with these options."""
    made: list[Endpoint] = []

    def make(**options: object) -> Endpoint:
        config = {"notify_webhook": {"endpoints": "here"}, "webhook_here": {"secrets": SECRET, "timeout": 5, **options}}
        (found,) = notifier(tmp_path, config).destinations()
        assert isinstance(found, Endpoint)
        made.append(found)
        return found

    yield make
    for found in made:
        found.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path / "receiver")
    made.start()
    yield made
    made.stop()
