"""A whole service tells real receivers what happens: none is lost by a receiver that is away, or by kill -9 of the
service."""

from __future__ import annotations

import base64
import contextlib
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import lab
import pytest
import requests
from client import BROKEN_OFF, HEADERS_AUTH, Client
from receiver import Got, Receiver
from standardwebhooks.webhooks import Webhook
from waiting import until

from glancecore.sdk.checkpoints import VARIABLE

NAMESPACES = "/v2/metadefs/namespaces"
SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
PREFIX = "org.openstack.glance."


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path / "receiver")
    made.start()
    yield made
    made.stop()


def _config(*receivers: Receiver, **options: object) -> lab.Config:
    names = [f"r{n}" for n in range(len(receivers))]
    endpoints = {
        f"webhook_{name}": {"url": x.url, "secrets": SECRET, "timeout": 1, **options}
        for name, x in zip(names, receivers, strict=True)
    }
    return lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"notifiers": "log, webhook"},
            "notify_webhook": {"endpoints": names},
            "outbox": {"first_pause": 0.1, "longest_pause": 0.3, "claim_seconds": 3, "interval": 0.1},
            "lease": {"ttl": 2, "reap_interval": 0.2},
        },
        endpoints,
    )


def _types(got: list[Got]) -> list[str]:
    return [x.event["type"].removeprefix(PREFIX) for x in got]


def _everything(client: Client, admin: Client) -> str:
    image = str(client.create(name="n", tags=["t"], color="red")["id"])
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
    return image


def _waiting(service: lab.Service) -> int:
    with closing(sqlite3.connect(service.folder / "glance.sqlite")) as connection:
        return int(connection.execute("select count(*) from outbox").fetchone()[0])


def test_every_event_arrives_signed_and_in_order(receiver: Receiver) -> None:
    with lab.service(_config(receiver)) as service:
        image = _everything(Client(service.url), Client(service.url, "boss", "admin,member,reader"))
        got = receiver.wait(lambda x: len(x) >= 13)
        of_image = [x for x in got if x.event["subject"] == image]
        assert _types(of_image) == [
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
        ]
        assert _types([x for x in got if x not in of_image]) == [
            "metadef_namespace.create",
            "metadef_tag.create",
            "metadef_namespace.delete",
        ]
        for x in got:
            Webhook(SECRET).verify(x.body, x.headers)
        data = {name: x.event["data"] for name, x in zip(_types(got), got, strict=True)}
        assert data["image.activate"] | {"created_at": "", "updated_at": ""} == {
            "id": image,
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
        assert (data["image.delete"]["status"], data["image.delete"]["deleted"]) == ("deleted", True)
        assert data["image.send"]["bytes_sent"] == 11
        until(lambda: _waiting(service) == 0)
        assert len(receiver.got) == 13, "nothing came twice"


def test_an_import_tells_of_its_task(receiver: Receiver) -> None:
    with lab.service(_config(receiver)) as service:
        client = Client(service.url)
        good, bad = (str(client.create(name=name)["id"]) for name in ("good", "bad"))
        for image, expected in ((good, {}), (bad, {"md5": "0" * 32})):
            stage = client.call(
                "PUT", f"/v2/images/{image}/stage", headers={"Content-Type": "application/octet-stream"}, data=b"data"
            )
            assert stage.status_code == 204
            wanted = {"method": {"name": "glance-direct", "expected": expected}}
            assert client.call("POST", f"/v2/images/{image}/import", wanted).status_code == 202
        got = receiver.wait(lambda x: {"task.success", "task.failure"} <= set(_types(x)), 90)
        assert _types([x for x in got if x.event["subject"] == good]) == [
            "image.create",
            "image.update",
            "task.create",
            "task.run",
            "task.processing",
            "image.upload",
            "image.activate",
            "task.success",
        ]
        assert _types([x for x in got if x.event["subject"] == bad]) == [
            "image.create",
            "image.update",
            "task.create",
            "task.run",
            "task.processing",
            "task.failure",
        ]
        failed = next(x.event["data"] for x in got if x.event["type"] == f"{PREFIX}task.failure")
        assert (failed["status"], failed["image_id"], failed["owner"], failed["type"]) == (
            "failure",
            bad,
            "demo",
            "api_image_import",
        )
        assert failed["message"]
        assert "input" not in failed


def test_a_receiver_that_is_away_holds_up_nobody_and_gets_all_when_it_is_back(
    receiver: Receiver, tmp_path: Path
) -> None:
    other = Receiver(tmp_path / "other")
    other.start()
    try:
        with lab.service(_config(receiver, other)) as service:
            client = Client(service.url)
            receiver.stop()
            made = [str(client.create(name=str(n))["id"]) for n in range(20)]
            for image in made[:10]:
                assert client.upload(image, b"x").status_code == 204
                assert client.delete(image).status_code == 204
            other.wait(lambda x: len(x) == 60)
            assert receiver.got == []
            metrics = client.call("GET", "/metrics").text
            assert 'glance_outbox_deliveries_total{destination="webhook:r1",outcome="sent"} 60.0' in metrics
            assert 'glance_outbox_deliveries_total{destination="webhook:r0",outcome="failed"}' in metrics
            service.stop()
            service.start()
            assert receiver.got == []
            receiver.start()
            receiver.wait(lambda x: len(x) >= 60)
            until(lambda: _waiting(service) == 0)
            _check_orders(receiver.got, made)
            assert Counter(x.event["id"] for x in receiver.got) == Counter(x.event["id"] for x in other.got), (
                "the same events, with the same ids"
            )
    finally:
        other.stop()


def _check_orders(got: list[Got], images: list[str]) -> None:
    for n, image in enumerate(images):
        expected = ["image.create"] + (
            ["image.prepare", "image.upload", "image.activate", "image.delete"] if n < 10 else []
        )
        assert _types([x for x in got if x.event["subject"] == image]) == expected


def test_a_request_never_waits_for_a_slow_receiver(receiver: Receiver) -> None:
    receiver.behave({"delay": 600})
    with lab.service(lab.merged(_config(receiver, timeout=20), {"outbox": {"claim_seconds": 60}})) as service:
        client = Client(service.url)
        ids = [client.create(name=str(n))["id"] for n in range(30)]
        assert len(set(ids)) == 30
        assert receiver.got == [], "the first one is still being answered"
        assert _waiting(service) == 30
        service.stop(signal.SIGKILL)


def test_a_service_that_is_told_to_end_ends_what_it_sends(receiver: Receiver) -> None:
    receiver.behave({"delay": 0.7})
    with lab.service(_config(receiver, timeout=1.5)) as service:
        made = [str(Client(service.url).create(name=str(n))["id"]) for n in range(3)]
        time.sleep(0.3)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
        sent = len(receiver.got)
        assert sent < 3
        assert _waiting(service) == 3 - sent, "what was sent is settled"
        receiver.behave()
        service.start()
        receiver.wait(lambda x: len(x) >= 3)
        until(lambda: _waiting(service) == 0)
        assert Counter(x["subject"] for x in receiver.taken) == Counter(made), "each once"


def test_one_refused_event_holds_back_its_own_image_only(receiver: Receiver) -> None:
    with lab.service(_config(receiver)) as service:
        client = Client(service.url)
        receiver.behave({"when": '"name": "poison"', "status": 500})
        bad = str(client.create(name="poison")["id"])
        assert client.patch(bad, {"op": "replace", "path": "/name", "value": "cured"}).status_code == 200
        made = [str(client.create(name=f"good {n}")["id"]) for n in range(10)]
        receiver.wait(lambda x: {y.event["subject"] for y in x if y.status < 300} >= set(made))
        receiver.wait(lambda x: sum(y.status == 500 for y in x) >= 3)
        assert {x.event["subject"] for x in receiver.got if x.status < 300} == set(made)
        receiver.behave()
        receiver.wait(lambda x: sum(y.status < 300 for y in x) == 12)
        assert [x["type"] for x in receiver.taken if x["subject"] == bad] == [
            f"{PREFIX}image.create",
            f"{PREFIX}image.update",
        ]


@pytest.mark.parametrize("step", ["create.after_commit", "events.recorded", "outbox.claimed", "outbox.sent"])
def test_killed_between_the_commit_and_the_receiver(
    receiver: Receiver, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a worker that the master starts anew would deliver what the killed one has recorded, before the master is killed
    # as well
    delivers = {"outbox": {"deliver": step.startswith("outbox.")}}
    with lab.service(lab.merged(_config(receiver), delivers), start=False) as service:
        monkeypatch.setenv(VARIABLE, step)
        service.start()
        with contextlib.suppress(*BROKEN_OFF):  # the sender's thread takes the process along a moment later
            Client(service.url).create(name="killed")
        until(lambda: "SIGKILL" in service.log.read_text())
        service.stop(signal.SIGKILL)
        before = receiver.got
        assert bool(before) == (step == "outbox.sent")
        service.config_file.write_text(lab.config_text(lab.merged(service.config, {"outbox": {"deliver": True}})))
        monkeypatch.delenv(VARIABLE)
        service.start()
        (image,) = Client(service.url).call("GET", "/v2/images").json()["images"]
        receiver.wait(lambda x: len(x) > len(before))
        until(lambda: _waiting(service) == 0)
        got = receiver.got
        assert {(x.event["type"], x.event["subject"]) for x in got} == {(f"{PREFIX}image.create", image["id"])}
        assert len({x.event["id"] for x in got}) == 1, "at least once, with the same id"
        assert before or len(got) == 1


def test_killed_before_the_commit_nothing_is_told(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with lab.service(_config(receiver), start=False) as service:
        monkeypatch.setenv(VARIABLE, "create.before_commit")
        service.start()
        with pytest.raises(requests.ConnectionError):
            Client(service.url).create(name="killed")
        service.stop(signal.SIGKILL)
        monkeypatch.delenv(VARIABLE)
        service.start()
        client = Client(service.url)
        last = client.create(name="last")["id"]
        receiver.wait(bool)
        assert [x["subject"] for x in receiver.taken] == [last]


def test_a_deletion_that_the_reaper_finishes_is_told(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with lab.service(_config(receiver), start=False) as service:
        monkeypatch.setenv(VARIABLE, "delete.after_bytes")
        service.start()
        client = Client(service.url)
        image = client.create(name="n")["id"]
        assert client.upload(image, b"x").status_code == 204
        receiver.wait(lambda x: len(x) >= 4)
        with pytest.raises(requests.ConnectionError):
            client.delete(image)
        service.stop(signal.SIGKILL)
        monkeypatch.delenv(VARIABLE)
        assert f"{PREFIX}image.delete" not in [x["type"] for x in receiver.taken]
        service.start()
        receiver.wait(lambda x: "image.delete" in _types(x))


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_two_nodes_send_each_event_once_and_in_order(receiver: Receiver, kind: str) -> None:
    with lab.new_database(kind) as url:
        config = lab.merged(_config(receiver), {"DEFAULT": {"workers": 2}})
        with lab.service(config, database=url) as one, lab.service(config, database=url) as two:
            clients = [Client(one.url), Client(two.url)]
            receiver.stop()
            images = [str(clients[n % 2].create(name=f"{n}")["id"]) for n in range(10)]
            for turn in range(4):
                for n, image in enumerate(images):
                    patch = {"op": "replace", "path": "/name", "value": f"{n} {turn}"}
                    assert clients[(n + turn) % 2].patch(image, patch).status_code == 200
            receiver.start()
            receiver.wait(lambda x: len(x) >= 50)
            time.sleep(1)
            for n, image in enumerate(images):
                assert [x["data"]["name"] for x in receiver.taken if x["subject"] == image] == [
                    f"{n}",
                    *(f"{n} {turn}" for turn in range(4)),
                ]


def test_a_mistake_in_the_configuration_stops_the_start(receiver: Receiver) -> None:
    for options, told in (({"url": "ftp://x"}, "[webhook_r0] url"), ({"timeout": 100}, "[outbox] claim_seconds")):
        with lab.service(_config(receiver, **options), start=False) as service:
            with pytest.raises(RuntimeError):
                service.start()
            assert told in service.tail()
