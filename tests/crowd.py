"""Many slow clients of an image service, in one process: connections without a header, uploads and downloads at a given
rate.

    crowd.py URL OPTIONS.json      prints what became of them, as JSON

``waiting``: connections that send one byte and no more. ``uploads``: [[headers, image id, chunked], …]; ``downloads``:
[[headers, image id], …]. ``rounds``: seconds, at each of which an upload sends ``up`` bytes and a download takes
``down``; afterwards the rest moves as fast as it can. A line ``ready`` is printed once all are connected and have
begun."""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
import socket
import sys
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

#: Bytes of an upload with a length that come at once, so that it has a thread.
AT_ONCE = 300_000


class Crowd:
    def __init__(self, url: str, options: dict[str, Any]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._options = options
        self._go = asyncio.Event()
        self._begun = 0
        self.answers: Counter[str] = Counter()
        self.downloaded: list[list[str]] = []
        self.uploaded: list[list[str]] = []

    async def run(self) -> None:
        options = self._options
        work = [
            *(self._wait() for _ in range(options.get("waiting", 0))),
            *(self._upload(*x) for x in options.get("uploads", ())),
            *(self._download(*x) for x in options.get("downloads", ())),
        ]
        tasks = [asyncio.create_task(x) for x in work]
        while self._begun < len(tasks) and not all(x.done() for x in tasks):
            await asyncio.sleep(0.1)
        print("ready", flush=True)
        self._go.set()
        await asyncio.gather(*tasks)

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        made.setblocking(False)
        await loop.sock_connect(made, self._address)
        return made

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        with await self._connect() as made:
            await loop.sock_sendall(made, b"G")
            self._begun += 1
            await self._go.wait()
            for _ in range(self._options["rounds"]):
                await asyncio.sleep(1)
        self.answers["waited"] += 1

    async def _upload(self, headers: str, image_id: str, chunked: bool) -> None:
        loop = asyncio.get_running_loop()
        piece = bytes(self._options["up"])
        rounds = self._options["rounds"]
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {AT_ONCE + rounds * len(piece)}"
        with await self._connect() as made:
            await loop.sock_sendall(
                made,
                f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nContent-Type:"
                f" application/octet-stream\r\n{headers}{framing}\r\n\r\n".encode(),
            )
            digest = hashlib.sha512()
            if not chunked:
                digest.update(bytes(AT_ONCE))
                await loop.sock_sendall(made, bytes(AT_ONCE))
            self._begun += 1
            await self._go.wait()
            try:
                for _ in range(rounds):
                    digest.update(piece)
                    await loop.sock_sendall(made, b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                    await asyncio.sleep(1)
                if chunked:
                    await loop.sock_sendall(made, b"0\r\n\r\n")
                answer = (await loop.sock_recv(made, 4096)).split(b"\r\n")[0].decode()
            except ConnectionError as exc:
                answer = repr(exc)
        self.answers[f"upload {answer}"] += 1
        if " 204 " in answer:
            self.uploaded.append([image_id, digest.hexdigest()])

    async def _download(self, headers: str, image_id: str) -> None:
        loop = asyncio.get_running_loop()
        down, got, head, digest = self._options["down"], 0, b"", hashlib.sha512()
        size = None
        with await self._connect() as made:
            await loop.sock_sendall(
                made, f"GET /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()
            )
            self._begun += 1
            await self._go.wait()
            rounds = 0
            try:
                while size is None or got < size:
                    data = await loop.sock_recv(made, down if rounds < self._options["rounds"] else 1 << 16)
                    if not data:
                        break
                    if size is None:
                        head += data
                        if b"\r\n\r\n" not in head:
                            continue
                        head, _, data = head.partition(b"\r\n\r\n")
                        if b" 200 " not in head.split(b"\r\n")[0]:
                            break
                        size = int(
                            next(x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")).split(b":")[
                                1
                            ]
                        )
                    digest.update(data)
                    got += len(data)
                    if rounds < self._options["rounds"]:
                        await asyncio.sleep(1)
                    rounds += 1
            except ConnectionError as exc:
                self.answers[f"download {exc!r}"] += 1
        whole = size is not None and got == size
        self.answers["download whole" if whole else f"download {head.partition(b' ')[2][:3].decode()}, not whole"] += 1
        if whole:
            self.downloaded.append([image_id, digest.hexdigest()])


async def _main(url: str, options: dict[str, Any]) -> None:
    crowd = Crowd(url, options)
    await crowd.run()
    print(
        json.dumps({"answers": crowd.answers, "uploaded": crowd.uploaded, "downloaded": crowd.downloaded}), flush=True
    )


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with open(sys.argv[2]) as file:  # noqa: PTH123
        given = json.load(file)
    asyncio.run(_main(sys.argv[1], given))
