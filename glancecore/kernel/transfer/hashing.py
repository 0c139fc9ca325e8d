"""Several digests in one pass, each in a thread of its own: hashlib releases the interpreter lock."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable

#: Pieces that may wait for a hash; bounds the memory of a transfer.
QUEUE = 8
#: Bodies up to this many bytes are hashed in the caller's thread: starting threads costs more than it saves.
SMALL = 1 << 20


class Hashes:
    """``update`` for each piece, then ``result``; ``close`` in any case."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._digests = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._queues: list[queue.Queue[bytes | None]] = []
        self._threads: list[threading.Thread] = []
        self._seen = 0

    def update(self, piece: bytes) -> None:
        self._seen += len(piece)
        if not self._threads and self._seen > SMALL:
            self._start()
        if self._threads:
            for waiting in self._queues:
                waiting.put(piece)
        else:
            for digest in self._digests.values():
                digest.update(piece)

    def result(self) -> dict[str, str]:
        """Hex digests by algorithm, of all pieces so far; nothing may be added afterwards."""
        self.close()
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def close(self) -> None:
        """End the threads; safe to call twice."""
        for waiting in self._queues:
            waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._queues, self._threads = [], []

    def _start(self) -> None:
        for name, digest in self._digests.items():
            waiting: queue.Queue[bytes | None] = queue.Queue(QUEUE)

            def work(waiting: queue.Queue[bytes | None] = waiting, digest: hashlib._Hash = digest) -> None:
                while (piece := waiting.get()) is not None:
                    digest.update(piece)

            thread = threading.Thread(target=work, name=f"hash-{name}", daemon=True)
            thread.start()
            self._queues.append(waiting)
            self._threads.append(thread)
