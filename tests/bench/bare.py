"""A bare receiver: what a server of this language can do at most with an upload. It receives, hashes twice, writes and
syncs, and does nothing else.

    bare.py FOLDER        prints its port; each PUT with a length becomes one file there, which the next one replaces

As the service: a ring of buffers, a thread for each hash, the write beside them.
"""

from __future__ import annotations

import hashlib
import os
import queue
import socket
import sys
import threading
from pathlib import Path

#: As the service's.
CHUNK, BUFFERS = 1 << 18, 16


class Hashing:
    """One digest in a thread of its own; ``done`` is called when a piece has been taken in."""

    def __init__(self, name: str) -> None:
        self.digest = hashlib.new(name, usedforsecurity=False)
        self._pieces: queue.SimpleQueue[tuple[memoryview, threading.Semaphore] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def add(self, piece: memoryview, done: threading.Semaphore) -> None:
        self._pieces.put((piece, done))

    def end(self) -> str:
        self._pieces.put(None)
        self._thread.join()
        return self.digest.hexdigest()

    def _run(self) -> None:
        while (found := self._pieces.get()) is not None:
            self.digest.update(found[0])
            found[1].release()


def receive(connection: socket.socket, folder: Path) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1 << 16)
    lines, rest = head.split(b"\r\n\r\n", 1)
    left = next(int(x.partition(b":")[2]) for x in lines.lower().split(b"\r\n") if x.startswith(b"content-length:"))
    ring = [(memoryview(bytearray(CHUNK)), threading.Semaphore(2)) for _ in range(BUFFERS)]
    hashes, turn = [Hashing("md5"), Hashing("sha512")], 0
    with Path(folder, "bare.part").open("wb", buffering=0) as out:
        while left:
            buffer, free = ring[turn % BUFFERS]
            turn += 1
            for _ in hashes:
                free.acquire()
            size, want = len(rest), min(left, CHUNK)
            buffer[:size], rest = rest, b""
            while size < want:
                if not (got := connection.recv_into(buffer[size:want])):
                    raise ConnectionError("the sender went away")
                size += got
            piece = buffer[:size]
            for each in hashes:
                each.add(piece, free)
            out.write(piece)
            left -= size
        said = " ".join(x.end() for x in hashes).encode()
        os.fsync(out.fileno())
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(said) + said)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                receive(connection, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
