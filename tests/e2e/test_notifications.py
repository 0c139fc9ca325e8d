"""A whole service tells a real RabbitMQ what happens, also what happened while that was away."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import kombu
import lab
from client import HEADERS_AUTH, Client
from waiting import until

NAMESPACES = "/v2/metadefs/namespaces"


def _taken(topic: str, until: str) -> list[dict[str, Any]]:
    """All notifications up to the first of the type ``until``."""
    url = lab.rabbitmq_url().replace("rabbit://", "amqp://") + "/"
    found: list[dict[str, Any]] = []
    with kombu.Connection(url) as connection, connection.channel() as channel:
        channel.queue_declare(f"{topic}.info", durable=False, auto_delete=False)
        end = time.monotonic() + 120
        while not found or found[-1]["event_type"] != until:
            message = channel.basic_get(f"{topic}.info", no_ack=True)
            if message is None:
                assert time.monotonic() < end, f"{until} did not come, only {[x['event_type'] for x in found]}"
                time.sleep(0.05)
            else:
                found.append(json.loads(json.loads(message.body)["oslo.message"]))
    return found


def test_events_reach_the_bus_in_order_also_those_of_an_outage() -> None:
    url, topic = lab.up("rabbitmq").url, f"test_{secrets.token_hex(6)}"
    config = lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"notifiers": "log, messaging", "transport_url": url, "default_publisher_id": "image.here"},
            "oslo_messaging_notifications": {"driver": "messagingv2", "topics": topic},
            "oslo_messaging_rabbit": {"rabbit_retry_interval": 1, "rabbit_interval_max": 1},
        },
    )
    with lab.service(config) as service:
        client, admin = Client(service.url), Client(service.url, "boss", "admin,member,reader")
        _everything(client, admin)
        told = _taken(topic, "metadef_namespace.delete")
        assert [x["event_type"] for x in told] == [
            "image.create",
            "image.prepare",
            "image.upload",
            "image.activate",
            "image.update",
            "image.send",
            "image.member.create",
            "image.member.update",
            "image.member.delete",
            "image.delete",
            "metadef_namespace.create",
            "metadef_tag.create",
            "metadef_namespace.delete",
        ]
        assert {x["publisher_id"] for x in told} == {"image.here"}
        assert {x["priority"] for x in told} == {"INFO"}
        _check_payloads(told)

        lab.down("rabbitmq")
        made = [client.create(name=f"outage {number}")["id"] for number in range(5)]
        assert client.upload(made[0], b"hello world").status_code == 204
        assert lab.up("rabbitmq").url == url
        assert client.delete(made[0]).status_code == 204
        told = _taken(topic, "image.delete")
        assert [(x["event_type"], x["payload"]["id"]) for x in told] == [
            *(("image.create", x) for x in made),
            *((f"image.{x}", made[0]) for x in ("prepare", "upload", "activate", "delete")),
        ]
        until(
            lambda: _counted(client) == ['glance_notifier_events_total{notifier="messaging",outcome="sent"} 22.0'],
            lambda: _counted(client),
        )

        last = [client.create(name=f"last {number}")["id"] for number in range(20)]
        service.stop()
        told = _taken(topic, "image.create")
        while len(told) < 20:
            told += _taken(topic, "image.create")
        assert [x["payload"]["id"] for x in told] == last, "what waited was sent before the worker ended"


def _counted(client: Client) -> list[str]:
    return [
        x for x in client.call("GET", "/metrics").text.splitlines() if x.startswith("glance_notifier_events_total{")
    ]


def _everything(client: Client, admin: Client) -> None:
    image = client.create(name="n", tags=["t"], color="red")["id"]
    assert client.upload(image, b"hello world").status_code == 204
    assert client.patch(image, {"op": "replace", "path": "/name", "value": "m"}).status_code == 200
    assert client.download(image).content == b"hello world"
    member, path = Client(client.url, "guest"), f"/v2/images/{image}/members"
    assert client.call("POST", path, {"member": "guest"}).status_code == 200
    assert member.call("PUT", f"{path}/guest", {"status": "accepted"}).status_code == 200
    assert client.call("DELETE", f"{path}/guest").status_code == 204
    assert client.delete(image).status_code == 204
    assert admin.call("POST", NAMESPACES, {"namespace": "ns"}).status_code == 201
    assert admin.call("POST", f"{NAMESPACES}/ns/tags/blue").status_code == 201
    assert admin.call("DELETE", f"{NAMESPACES}/ns").status_code == 204


def _check_payloads(told: list[dict[str, Any]]) -> None:
    payload = {x["event_type"]: x["payload"] for x in told}
    image = payload["image.activate"]
    assert image | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "name": "n",
        "status": "active",
        "created_at": "",
        "updated_at": "",
        "deleted": False,
        "deleted_at": None,
        "min_disk": 0,
        "min_ram": 0,
        "protected": False,
        "checksum": "5eb63bbbe01eeed093cb22bb8f5acdc3",
        "owner": "demo",
        "disk_format": "raw",
        "container_format": "bare",
        "size": 11,
        "virtual_size": 11,
        "is_public": False,
        "visibility": "shared",
        "properties": {"color": "red"},
        "tags": ["t"],
        "backend": "file",
    }
    assert (
        payload["image.create"]["status"],
        payload["image.prepare"]["status"],
        payload["image.upload"]["status"],
        payload["image.delete"]["status"],
    ) == ("queued", "saving", "active", "deleted")
    assert payload["image.prepare"]["backend"] == "file"
    assert payload["image.update"]["name"] == "m"
    assert payload["image.send"] == {
        "bytes_sent": 11,
        "image_id": image["id"],
        "owner_id": "demo",
        "receiver_tenant_id": "demo",
        "receiver_user_id": "user-demo",
        "destination_ip": "127.0.0.1",
    }
    assert (payload["image.member.update"]["member_id"], payload["image.member.update"]["status"]) == (
        "guest",
        "accepted",
    )
    assert payload["image.member.delete"]["deleted"]
    assert payload["metadef_tag.create"]["name"] == "blue"
    assert payload["metadef_namespace.delete"]["namespace"] == "ns"
