"""Notifications on a real RabbitMQ, taken there by oslo.messaging's own listener."""

from __future__ import annotations

import logging
import queue
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kombu
import lab
import pytest
from glancecore_notify_messaging.audit import _event as _event_of
from glancecore_notify_messaging.driver import MessagingNotifier, NotSent, oslo_messaging
from glancecore_notify_messaging.options import OPTIONS, list_opts
from oslo_config import cfg

from glancecore.domain.context import Initiator
from glancecore.domain.errors import ConfigError
from glancecore.domain.events import EventType, ImageEvent, TaskEvent
from glancecore.domain.image import Image
from glancecore.domain.task import Task, TaskStatus, TaskType
from glancecore.kernel.notifier_queue import NotifierQueue
from glancecore.ports.notifier import Notification
from glancecore.testing.settings import make_section

NOW = datetime.now(UTC)
Make = Callable[..., MessagingNotifier]


WHO = Initiator("ann", "project", "req-1", "192.0.2.1", ("admin", "member"), "PUT /v2/images/x/file")


def _event(name: str = "x", event: EventType = EventType.IMAGE_UPDATE, who: Initiator | None = WHO) -> Notification:
    return Notification(ImageEvent(event, Image("i", NOW, NOW, name=name)), NOW, who)


def _config(file: Path, **sections: dict[str, object]) -> cfg.ConfigOpts:
    file.write_text(lab.config_text(sections))
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(file)], default_config_dirs=[])
    return conf


@pytest.fixture(scope="module")
def url() -> str:
    return lab.rabbitmq_url()


@pytest.fixture
def topic() -> str:
    return f"test_{secrets.token_hex(6)}"


@pytest.fixture
def make(url: str, topic: str, tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(
            default: dict[str, object] | None = None, own: dict[str, object] | None = None, **notifications: object
        ) -> MessagingNotifier:
            config = _config(
                tmp_path / "conf",
                DEFAULT={"transport_url": url, **(default or {})},
                oslo_messaging_notifications={"driver": "messagingv2", "topics": topic, **notifications},
            )
            return stack.enter_context(closing(MessagingNotifier(make_section(OPTIONS, **(own or {})), config)))

        yield made


@contextmanager
def _listening(url: str, topic: str, folder: Path) -> Iterator[queue.Queue[dict[str, Any]]]:
    """What oslo.messaging's listener is given, as consumers set it up for Glance."""
    heard: queue.Queue[dict[str, Any]] = queue.Queue()

    class Endpoint:
        def info(
            self, ctxt: dict[str, Any], publisher_id: str, event_type: str, payload: Any, metadata: dict[str, Any]
        ) -> None:
            heard.put(
                {
                    "publisher_id": publisher_id,
                    "event_type": event_type,
                    "payload": payload,
                    "context": ctxt,
                    **metadata,
                }
            )

    transport = oslo_messaging.get_notification_transport(_config(folder / "listener", DEFAULT={"transport_url": url}))
    listener = oslo_messaging.get_notification_listener(
        transport, [oslo_messaging.Target(exchange="glance", topic=topic)], [Endpoint()], executor="threading"
    )
    listener.start()
    try:
        yield heard
    finally:
        listener.stop()
        listener.wait()
        transport.cleanup()


def test_a_listener_is_told_in_order(make: Make, url: str, topic: str, tmp_path: Path) -> None:
    notifier = make({"default_publisher_id": "image.here"})
    with _listening(url, topic, tmp_path) as heard:
        order = [
            EventType.IMAGE_CREATE,
            EventType.IMAGE_PREPARE,
            EventType.IMAGE_UPLOAD,
            EventType.IMAGE_ACTIVATE,
            EventType.IMAGE_DELETE,
        ]
        for event in order:
            notifier.notify(_event("ünïcode", event))
        told = [heard.get(timeout=60) for _ in order]
    assert [x["event_type"] for x in told] == [x.value for x in order]
    assert {x["publisher_id"] for x in told} == {"image.here"}
    assert {x["payload"]["name"] for x in told} == {"ünïcode"}
    assert {(x["context"]["user"], x["context"]["project_id"], x["context"]["request_id"]) for x in told} == {
        ("ann", "project", "req-1")
    }
    assert len({x["message_id"] for x in told}) == len(order)
    assert told[0]["timestamp"].startswith("20")


def _taken(url: str, topic: str) -> list[dict[str, Any]]:
    """What lies on the bus, in order, without any library of OpenStack's."""
    with kombu.Connection(url.replace("rabbit://", "amqp://") + "/") as connection, connection.channel() as channel:
        found = []
        channel.queue_declare(f"{topic}.info", durable=False, auto_delete=False)
        while (message := channel.basic_get(f"{topic}.info", no_ack=True)) is not None:
            found.append(kombu.serialization.loads(message.body, message.content_type, message.content_encoding))
        return found


def test_both_formats_of_messages_lie_on_the_bus_before_anybody_listens(make: Make, url: str, topic: str) -> None:
    for name, driver in (("new", "messagingv2"), ("old", "messaging")):
        notifier = make(driver=driver)
        notifier.notify(_event(name))
        notifier.close()
    new, old = _taken(url, topic)
    assert new["oslo.version"] == "2.0"
    assert kombu.serialization.loads(new["oslo.message"], "application/json", "utf-8")["payload"]["name"] == "new"
    assert old["payload"]["name"] == "old"
    assert old["priority"] == "INFO"


def test_without_a_publisher_the_host_is_named(make: Make, url: str, topic: str) -> None:
    notifier = make(driver="messaging")
    notifier.notify(_event())
    notifier.close()
    assert _taken(url, topic)[0]["publisher_id"] == f"image.{socket.gethostname()}"


def test_while_the_bus_is_away_events_wait(make: Make, url: str, topic: str) -> None:
    """It is reached by a port behind which nothing listens at first; a new one there finds all events, in order."""
    port = lab.free_port()
    line = NotifierQueue(
        "messaging",
        make({"transport_url": url.replace(f":{urlsplit(url).port}/", f":{port}/")}, driver="messaging"),
        10,
        60,
    )
    for number in range(5):
        line.put(_event(str(number)))
    assert _taken(url, topic) == []
    with _forwarded(port, urlsplit(url).port or 0):
        line.close()
    assert [x["payload"]["name"] for x in _taken(url, topic)] == ["0", "1", "2", "3", "4"]


@contextmanager
def _forwarded(port: int, to: int) -> Iterator[None]:
    """What comes to ``port`` is taken on to ``to``."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", to)) as there:
                back = threading.Thread(target=_copy, args=(there, self.request))
                back.start()
                _copy(self.request, there)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("how", ["nobody listens", "the password is wrong"])
def test_what_the_bus_refuses_is_raised_and_logged(
    make: Make, url: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = (
        f"rabbit://glance:secret@127.0.0.1:{lab.free_port()}/"
        if how == "nobody listens"
        else url.replace("secret", "wrong")
    )
    notifier = make({"transport_url": wrong}, retry=0 if how == "nobody listens" else -1)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with pytest.raises(NotSent):
                notifier.notify(_event())
    assert "Could not send notification" in caplog.text


def test_audit_tools_get_cadf(make: Make, url: str, topic: str) -> None:
    notifier = make(own={"notification_format": "both"}, driver="messaging")
    failed = Task("t", TaskType.API_IMAGE_IMPORT, NOW, NOW, status=TaskStatus.FAILURE, image_id="i")
    notifier.notify(_event("x", EventType.IMAGE_CREATE))
    notifier.notify(Notification(TaskEvent(EventType.TASK_FAILURE, failed), NOW))
    plain, audit, _, failure = _taken(url, topic)
    assert (plain["event_type"], audit["event_type"], failure["event_type"]) == (
        "image.create",
        "audit.image.create",
        "audit.task.failure",
    )
    told = audit["payload"]
    assert (told["action"], told["outcome"], told["target"]["id"], told["eventType"]) == (
        "create",
        "success",
        "i",
        "activity",
    )
    assert told["initiator"] == {
        **told["initiator"],
        "typeURI": "service/security/account/user",
        "id": "ann",
        "project_id": "project",
        "request_id": "req-1",
        "host": {"address": "192.0.2.1"},
        "roles": ["admin", "member"],
    }
    assert told["requestPath"] == "/v2/images/x/file"
    assert told["attachments"][0]["content"]["name"] == "x"
    assert (failure["payload"]["outcome"], failure["payload"]["initiator"]["typeURI"]) == (
        "failure",
        "service/storage/image",
    )


@pytest.mark.filterwarnings("ignore:Invalid uuid")
@pytest.mark.parametrize("kind", list(EventType))
def test_each_event_is_valid(kind: EventType) -> None:
    """As pyCADF judges it."""
    for who in (WHO, None, Initiator()):
        assert _event_of(_event("x", kind, who), "image.here").is_valid()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"oslo_messaging_notifications": {}}, ("[oslo_messaging_notifications] driver", "messagingv2")),
        (
            {"oslo_messaging_notifications": {"driver": "mesagingv2"}},
            ("[oslo_messaging_notifications] driver = mesagingv2", "messagingv2"),
        ),
        (
            {"oslo_messaging_notifications": {"driver": "messagingv2", "topics": ""}},
            ("[oslo_messaging_notifications] topics",),
        ),
        (
            {"DEFAULT": {"transport_url": "rabbot://glance:sesame@bus/"}},
            ("[DEFAULT] transport_url", "rabbot", "rabbit"),
        ),
        ({"DEFAULT": {"transport_url": "glance:sesame"}}, ("[DEFAULT] transport_url", "choose one of", "rabbit")),
        (
            {"DEFAULT": {"transport_url": "rabbit://glance:sesame@bus:many/"}},
            ("[DEFAULT] transport_url", "many", "rabbit://"),
        ),
        (
            {"oslo_messaging_notifications": {"driver": "messagingv2", "transport_url": "//glance:sesame@bus"}},
            ("[oslo_messaging_notifications] transport_url",),
        ),
    ],
)
def test_wrong_settings_stop_the_start(
    sections: dict[str, dict[str, object]], words: tuple[str, ...], tmp_path: Path
) -> None:
    config = _config(tmp_path / "conf", **{"oslo_messaging_notifications": {"driver": "messagingv2"}, **sections})
    with pytest.raises(ConfigError) as caught:
        MessagingNotifier(make_section(OPTIONS), config)
    for word in words:
        assert word in str(caught.value)
    assert "sesame" not in str(caught.value), "no password in a message"


def test_options_are_listed_for_the_sample() -> None:
    assert [group for group, _ in list_opts()] == ["DEFAULT", "notify_messaging"]
