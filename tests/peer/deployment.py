"""A deployment of the real Glance 33 as years leave it: images in every status, lost and damaged copies, members,
definitions."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lab
import sqlalchemy
from e2e.client import Client
from waiting import until

#: Names of images, and statuses that no call leaves behind.
BY_HAND = {"killed": "killed", "importing": "importing", "queued with data": "queued", "of no status": "lost"}
NAMESPACE = {
    "namespace": "Adopt::Me",
    "display_name": "Adopted",
    "description": "é",
    "visibility": "public",
    "protected": True,
    "properties": {"size_class": {"title": "Size", "type": "string", "enum": ["s", "m"], "operators": ["<or>"]}},
    "objects": [
        {
            "name": "both",
            "description": "two",
            "required": ["q", "r"],
            "properties": {
                "q": {"title": "Q", "type": "integer", "minimum": 1},
                "r": {"title": "R", "type": "boolean"},
            },
        }
    ],
    "tags": [{"name": "one"}, {"name": "two"}],
    "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}, {"name": "OS::Nova::Flavor"}],
}


@dataclass
class Peer:
    """What was made there, and what the peer itself said of it before it was stopped."""

    url: str
    database: str
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)
    data: dict[str, bytes] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    members: Any = None
    namespace: Any = None


@contextlib.contextmanager
def dead(database: str) -> Iterator[Peer]:
    """Filled, and killed in the middle of an upload."""
    lab.down("peer")
    up = lab.up("peer", "headers", database, FRESH="1", DELAYED="1")
    made = Peer(up.url, up.settings["PEER_DATABASE"], lab.LAB / "peer")
    try:
        _fill(made)
        _kill(int(up.settings["PEER_PID"]))
        _age(made)
        yield made
    finally:
        lab.down("peer")


def _client(peer: Peer, *who: str) -> Client:
    """Its server ends a connection that was idle for two seconds, which a slow machine takes between two calls."""
    client = Client(peer.url, *who)
    client.session.headers["Connection"] = "close"
    return client


def _fill(peer: Peer) -> None:
    client, admin = _client(peer), _client(peer, "admin", "admin,member,reader")

    def image(name: str, **fields: object) -> str:
        peer.ids[name] = client.create(name=name, **fields)["id"]
        return peer.ids[name]

    def active(name: str, **fields: object) -> str:
        peer.data[name] = os.urandom(3000 + len(name))
        assert client.upload(image(name, **fields), peer.data[name]).status_code == 204
        return peer.ids[name]

    active("active é", tags=["t", "ü"], colour="red", empty="", min_ram=64, min_disk=2, protected=True)
    active("hidden", os_hidden=True)
    active("community", visibility="community")
    shared = active("shared", visibility="shared")
    for member, status in (("friend", "accepted"), ("stranger", None)):
        assert client.call("POST", f"/v2/images/{shared}/members", {"member": member}).status_code == 200
        if status:
            answer = _client(peer, member).call("PUT", f"/v2/images/{shared}/members/{member}", {"status": status})
            assert answer.status_code == 200
    assert admin.call("POST", f"/v2/images/{active('deactivated')}/actions/deactivate").status_code == 204
    copied = active("in two stores")
    assert (
        admin.call(
            "POST", f"/v2/images/{copied}/import", {"method": {"name": "copy-image"}, "stores": ["slow"]}
        ).status_code
        == 202
    )
    until(lambda: client.show(copied)["stores"] == "fast,slow")
    for name in ("its file is lost", "its file is longer", "its file has other bytes", *BY_HAND):
        active(name)
    image("queued")
    staged = client.session.put(
        f"{peer.url}/v2/images/{image('uploading')}/stage",
        data=b"staged",
        headers={"Content-Type": "application/octet-stream"},
    )
    assert staged.status_code == 204
    assert client.delete(active("pending_delete", tags=["still"], colour="blue")).status_code == 204
    assert admin.call("POST", "/v2/metadefs/namespaces", NAMESPACE).status_code == 201
    peer.namespace = admin.call("GET", "/v2/metadefs/namespaces/Adopt::Me").json()
    peer.members = client.call("GET", f"/v2/images/{shared}/members").json()["members"]
    _begin_upload(peer, image("saving"))
    until(lambda: client.show(peer.ids["saving"])["status"] == "saving")
    for name in set(peer.ids) - {"pending_delete"}:
        peer.shown[name] = client.show(peer.ids[name])
    peer.listed = [x["id"] for x in client.call("GET", "/v2/images?limit=100&sort=name:asc").json()["images"]]


def _begin_upload(peer: Peer, image_id: str) -> None:
    """Half of an upload, which the service's death ends."""
    client = _client(peer)
    headers = "".join(
        f"{name}: {client.session.headers[name]!s}\r\n"
        for name in ("X-Identity-Status", "X-User-Id", "X-Project-Id", "X-Roles")
    )
    sock = socket.create_connection(("127.0.0.1", int(peer.url.rpartition(":")[2])))
    sock.sendall(
        f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: 2000000\r\n{headers}\r\n".encode()
        + os.urandom(1_000_000)
    )
    peer.data["saving"] = b""
    _open.append(sock)


#: Connections that must stay open until the service dies.
_open: list[socket.socket] = []


def _kill(pid: int) -> None:
    """The master first: it would start another worker."""
    workers = [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for each in (pid, *workers):
        os.kill(each, signal.SIGKILL)
    while _open:
        _open.pop().close()


def _age(peer: Peer) -> None:
    """What years bring: copies that are lost or damaged, and statuses that no call leaves behind."""
    fast = peer.folder / "fast"
    (fast / peer.ids["its file is lost"]).unlink()
    with (fast / peer.ids["its file is longer"]).open("ab") as file:
        file.write(b"x")
    with (fast / peer.ids["its file has other bytes"]).open("r+b") as file:
        file.write(bytes(10))
    for name, status in BY_HAND.items():
        sql(peer, "UPDATE images SET status = :status WHERE id = :id", status=status, id=peer.ids[name])


def sql(peer: Peer, text: str, **values: str) -> None:
    engine = sqlalchemy.create_engine(peer.database)
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(text), values)
    finally:
        engine.dispose()
