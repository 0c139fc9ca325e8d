"""A TCP relay that cuts the connection at a chosen message, as a failing network or a dying server would, or listens
and forges."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Relay:
    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: The next message to the server that matches is the last; ``deliver``: the server still gets it.
        self.word: re.Pattern[bytes] | None = None
        self.deliver = False
        self.cuts = 0
        #: Messages to the server.
        self.heard: list[bytes] = []
        #: What becomes of a message from the server.
        self.rewrite: Callable[[bytes], bytes] = bytes
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._to)
            self._open += [client, server]
            down = threading.Thread(target=self._down, args=(client, server), daemon=True)
            up = threading.Thread(target=self._up, args=(client, server, down), daemon=True)
            self._threads += [down, up]
            down.start()
            up.start()

    def _up(self, client: socket.socket, server: socket.socket, down: threading.Thread) -> None:
        while data := _read(client):
            if self.word is not None and self.word.search(data):
                self.word = None
                self.cuts += 1
                _close(client)  # first: the answer must not get through
                if self.deliver:
                    server.sendall(data)
                    server.settimeout(5)
                    _read(server)
                break
            self.heard.append(data)
            server.sendall(data)
        _close(client)
        _close(server)
        down.join()
        client.close()
        server.close()

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        while data := _read(server):
            try:
                client.sendall(self.rewrite(data))
            except OSError:
                break
        _close(client)

    def close(self) -> None:
        for each in (self._listener, *self._open):
            _close(each)
            each.close()
        for thread in self._threads:
            thread.join(5)


def _read(source: socket.socket) -> bytes:
    try:
        return source.recv(1 << 16)
    except OSError:
        return b""


def _close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


@contextmanager
def relay(host: str, port: int) -> Iterator[Relay]:
    made = Relay(host, port)
    try:
        yield made
    finally:
        made.close()
