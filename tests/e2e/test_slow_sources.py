"""Imports from web servers that trickle: others' imports go on, and whoever cancels or deletes has his worker back."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client
from waiting import until

DATA = os.urandom(1 << 20)


class Server:
    """Sends what is asked for below /fast at once, else a byte of a gigabyte now and then."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.open = 0
        self.served = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            if b" /fast" in head:
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(DATA) + DATA
                )
                return
            with self._lock:
                self.open += 1
                self.served += 1
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
                connection.settimeout(0.1)
                for _ in range(6000):
                    connection.sendall(b"x")
                    with contextlib.suppress(TimeoutError):
                        if not connection.recv(1):
                            break
            finally:
                with self._lock:
                    self.open -= 1


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def config(server: Server, **imports: object) -> dict[str, dict[str, object]]:
    return lab.merged(
        HEADERS_AUTH,
        {
            "imports": imports,
            "import_filtering_opts": {"allowed_ports": f"[{server.port}]", "trusted_networks": "[127.0.0.1]"},
        },
    )


def begin(client: Client, server: Server, path: str) -> str:
    image_id = str(client.create()["id"])
    answer = client.call(
        "POST",
        f"/v2/images/{image_id}/import",
        {"method": {"name": "web-download", "uri": f"http://127.0.0.1:{server.port}/{path}"}},
    )
    assert answer.status_code == 202, answer.text
    return image_id


def task(client: Client, image_id: str) -> dict[str, Any]:
    return dict(client.call("GET", f"/v2/images/{image_id}/tasks").json()["tasks"][0])


@pytest.mark.parametrize("own_process", [True, False], ids=["process", "threads"])
def test_trickling_imports_of_one_project_stop_nobody_elses(server: Server, own_process: bool) -> None:
    with lab.service(config(server, workers=4, own_process=own_process)) as service:
        hostile, other = Client(service.url, "hostile"), Client(service.url, "other")
        slow = [begin(hostile, server, f"slow-{x}") for x in range(8)]
        until(lambda: server.open == 2)
        fast = begin(other, server, "fast")
        until(lambda: other.show(fast)["status"] == "active")
        assert other.download(fast).content == DATA
        assert server.served == 2, "of eight, the share of a project"
        # cancelled, deleted: the worker is free at once, and takes the next one
        running = [x for x in slow if task(hostile, x)["status"] == "processing"]
        assert len(running) == 2
        found = task(hostile, running[0])
        assert hostile.call("POST", f"/v2/images/{running[0]}/tasks/{found['id']}/actions/cancel").status_code == 202
        until(lambda: server.served == 3)
        until(lambda: task(hostile, running[0])["status"] == "failure")
        assert hostile.delete(running[1]).status_code == 204
        until(lambda: server.served == 4)
        until(lambda: server.open == 2)
        for image_id in slow:
            if image_id != running[1]:
                assert hostile.delete(image_id).status_code == 204
        until(lambda: server.open == 0)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"min_fetch_rate": 1000, "fetch_rate_window": 2}, "1000 bytes a second"),
        ({"fetch_timeout": 2}, "fetch_timeout"),
    ],
)
def test_a_source_below_the_least_rate_fails_the_import(server: Server, limits: dict[str, object], words: str) -> None:
    with lab.service(config(server, attempts=5, **limits)) as service:
        client = Client(service.url)
        image_id = begin(client, server, "slow")
        until(lambda: task(client, image_id)["status"] == "failure")
        assert words in task(client, image_id)["message"]
        assert server.served == 1, "it is not asked again"
        assert client.show(image_id)["status"] == "queued"
