"""How fast against the `swift` command, with how much of the processor, and in how much memory? Not a test: prints a table.

    python speed.py [MIB]      (default 1024) on the Swift of tests/backends/swift-up.sh; PYTHONPATH=tests

Each transfer is a process of its own, start and login included, on both sides. The best of three.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import lab
from glancecore_store_swift.driver import SwiftStore

from glancecore.testing.settings import make_section

CONTAINER = "speed"
SEGMENT = 200


def driver(order: str, file: str, mib: int, segmented: str) -> None:
    """What the measured process does."""
    swift = lab.backend("swift")
    store = SwiftStore("speed", make_section(
        SwiftStore.options, swift_store_auth_version="1", swift_store_auth_address=swift.url, swift_store_user=swift.settings["SWIFT_USER"],
                       swift_store_key=swift.settings["SWIFT_KEY"], swift_store_container=CONTAINER, swift_store_create_container_on_put=True,
                       swift_store_large_object_chunk_size=SEGMENT, swift_store_large_object_size=SEGMENT if segmented == "segments" else 5120))
    store.start()
    if order == "put":
        with Path(file).open("rb", buffering=0) as source:
            store.put("image", iter(lambda: source.read(1 << 20), b""), mib << 20)
    elif order == "open":
        assert sum(map(len, store.open(f"swift+config://speed/{CONTAINER}/image"))) == mib << 20
    elif order == "discard":
        store.discard("image")
    store.close()


@dataclass
class Took:
    """``memory``: the highest that was resident, in MiB."""

    seconds: float
    cpu: float
    memory: float


def run(*command: str) -> Took:
    began = time.monotonic()
    process = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(process, 0)
    assert status == 0, command
    return Took(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main(mib: int) -> None:
    swift = lab.backend("swift")
    with tempfile.NamedTemporaryFile(dir=lab.LAB) as file:
        piece = os.urandom(1 << 20)
        for _ in range(mib):
            file.write(piece)
        file.flush()
        me = [sys.executable, __file__]
        client = [str(lab.BIN / "swift"), "-A", swift.url, "-U", swift.settings["SWIFT_USER"], "-K", swift.settings["SWIFT_KEY"]]
        print(f"nothing special: {run(*me, 'start', file.name, str(mib), 'whole').memory:.0f} MiB")
        print(f"{mib} MiB        swift command      driver             ratio   driver's memory")
        for how, upload in (("whole", ()), ("segments", ("--use-slo", "-S", str(SEGMENT << 20)))):
            theirs, ours = defaultdict(list), defaultdict(list)
            for _ in range(3):
                theirs["put"].append(run(*client, "upload", *upload, "--object-name", "image", CONTAINER, file.name))
                theirs["open"].append(run(*client, "download", "-o", "/dev/null", CONTAINER, "image"))
                run(*client, "delete", CONTAINER, "image")
                for order in ("put", "open"):
                    ours[order].append(run(*me, order, file.name, str(mib), how))
                run(*me, "discard", file.name, str(mib), how)
            for order in ("put", "open"):
                a, b = (min(each[order], key=lambda took: took.seconds) for each in (theirs, ours))
                print(f"{order:5} {how:9} {mib / a.seconds:6.0f} MiB/s {a.cpu:4.1f} s   {mib / b.seconds:6.0f} MiB/s {b.cpu:4.1f} s   "
                      f"{a.seconds / b.seconds:5.2f}   {max(took.memory for took in ours[order]):.0f} MiB")


if __name__ == "__main__":
    if sys.argv[1:2] and not sys.argv[1].isdecimal():
        driver(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
