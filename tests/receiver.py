"""A receiver of webhooks: an HTTP server, as a process of its own, that writes down what it gets and behaves as told.

receiver.py PORT FOLDER     serves; in FOLDER: rules.json (how to behave), got.jsonl (what came), with cert.pem: HTTPS
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import lab


@dataclass
class Got:
    """One request, and the status that it was answered with."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    folder: Path
    port: int = field(default_factory=lab.free_port)
    tls: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/events"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(self.port), str(self.folder)], stdin=subprocess.DEVNULL
        )
        end = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, "the receiver did not start"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end, "the receiver does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def behave(self, *rules: dict[str, object]) -> None:
        """The first rule whose ``when`` is in the body says: ``status``, ``headers``, ``delay`` seconds, ``drip`` (a
        byte of the answer each so many seconds), ``die`` (in the middle of the answer). Without one: 204."""
        new = self.folder / "rules.new"
        new.write_text(json.dumps(rules))
        new.replace(self.folder / "rules.json")

    @property
    def got(self) -> list[Got]:
        path = self.folder / "got.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [Got(x["path"], x["headers"], base64.b64decode(x["body"]), x["status"]) for x in map(json.loads, lines)]

    @property
    def taken(self) -> list[dict[str, Any]]:
        """The events that it has said yes to."""
        return [x.event for x in self.got if x.status < 300]

    def wait(self, enough: Callable[[list[Got]], bool], seconds: float = 60) -> list[Got]:
        end = time.monotonic() + seconds
        while not enough(got := self.got):
            assert time.monotonic() < end, f"only this came: {[(x.status, x.body[:200]) for x in got]}"
            time.sleep(0.02)
        return got


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        rules = self.folder / "rules.json"
        rule: dict[str, Any] = next(
            (
                x
                for x in (json.loads(rules.read_text()) if rules.exists() else [])
                if str(x.get("when", "")).encode() in body
            ),
            {},
        )
        time.sleep(rule.get("delay", 0))
        status = rule.get("status", 204)
        line = json.dumps(
            {
                "path": self.path,
                "headers": {k.lower(): v for k, v in self.headers.items()},
                "body": base64.b64encode(body).decode(),
                "status": status,
            }
        )
        with (self.folder / "got.jsonl").open("ab") as out:
            out.write(f"{line}\n".encode())
        answer = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{k}: {v}\r\n" for k, v in rule.get("headers", {}).items())
        answer += "Content-Length: 0\r\n\r\n" if status != 204 else "\r\n"
        if rule.get("die"):
            self.connection.sendall(answer[:11].encode())  # in the middle of the status
            os._exit(1)
        for piece in answer if "drip" in rule else [answer]:
            self.connection.sendall(piece.encode())
            time.sleep(rule.get("drip", 0))

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    Handler.folder = Path(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    if (Handler.folder / "cert.pem").exists():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Handler.folder / "cert.pem", Handler.folder / "key.pem")
        if (Handler.folder / "clients.pem").exists():
            context.load_verify_locations(Handler.folder / "clients.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
