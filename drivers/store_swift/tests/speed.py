"""How fast against the `swift` command, with how much of the processor, and in how much memory? Not a test: prints a
table.

    python speed.py [MIB]      (default 1024) on the Swift of tests/backends/swift-up.sh; PYTHONPATH=tests

Each transfer is a process of its own, which measures the transfer alone, without start and login. The best of three,
taken in turns."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import lab
from glancecore_store_swift.driver import SwiftStore
from swiftclient.service import SwiftService, SwiftUploadObject

from glancecore.testing.settings import make_section

CONTAINER = "speed"
SEGMENT = 200


def driver(order: str, file: str, mib: int, how: str) -> None:
    swift = lab.backend("swift")
    store = SwiftStore(
        "speed",
        make_section(
            SwiftStore.options,
            swift_store_auth_version="1",
            swift_store_auth_address=swift.url,
            swift_store_user=swift.settings["SWIFT_USER"],
            swift_store_key=swift.settings["SWIFT_KEY"],
            swift_store_container=CONTAINER,
            swift_store_create_container_on_put=True,
            swift_store_large_object_chunk_size=SEGMENT,
            swift_store_large_object_size=SEGMENT if how == "segments" else 5120,
        ),
    )
    store.start()
    began, cpu = time.monotonic(), time.process_time()
    if order == "put":
        with Path(file).open("rb", buffering=0) as source:
            store.put("image", iter(lambda: source.read(1 << 20), b""), mib << 20)
    elif order == "open":
        assert sum(map(len, store.open(f"swift+config://speed/{CONTAINER}/image"))) == mib << 20
    told(began, cpu)
    if order == "open":
        store.discard("image")
    store.close()


def command(order: str, file: str, mib: int, how: str) -> None:
    """What the command does, in its own library."""
    swift = lab.backend("swift")
    login = {
        "auth_version": "1",
        "auth": swift.url,
        "user": swift.settings["SWIFT_USER"],
        "key": swift.settings["SWIFT_KEY"],
    }
    with SwiftService(options=login) as service:
        service.stat()
        options = {"segment_size": SEGMENT << 20, "use_slo": True} if how == "segments" else {}
        began, cpu = time.monotonic(), time.process_time()
        if order == "put":
            assert all(
                done["success"]
                for done in service.upload(CONTAINER, [SwiftUploadObject(file, object_name="image")], options=options)
            )
        elif order == "open":
            [done] = service.download(CONTAINER, ["image"], options={"out_file": "/dev/null"})
            assert done["success"], done
            assert done["read_length"] == mib << 20
        told(began, cpu)
        if order == "open":
            assert all(done["success"] for done in service.delete(CONTAINER, ["image"]))


def told(began: float, cpu: float) -> None:
    memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(time.monotonic() - began, time.process_time() - cpu, int(memory.split()[1]) / 1024)


def run(*arguments: str) -> tuple[float, ...]:
    """Seconds, seconds of the processor, the highest resident memory in MiB."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return tuple(map(float, done.stdout.split()[-3:]))


def main(mib: int) -> None:
    with tempfile.NamedTemporaryFile(dir=lab.LAB) as file:
        piece = bytes(range(256)) * 4096
        for _ in range(mib):
            file.write(piece)
        file.flush()
        print(f"nothing special: {run('driver', 'start', file.name, str(mib), 'whole')[2]:.0f} MiB")
        print(f"{mib} MiB        swift command      driver             ratio   memory: command's, driver's")
        for how in ("whole", "segments"):
            took = defaultdict(list)
            for _ in range(3):
                for who in ("command", "driver"):
                    for order in ("put", "open"):
                        took[who, order].append(run(who, order, file.name, str(mib), how))
            for order in ("put", "open"):
                (a, cpu_a, memory_a), (b, cpu_b, memory_b) = (
                    map(min, zip(*took[who, order], strict=True)) for who in ("command", "driver")
                )
                print(
                    f"{order:5} {how:9} {mib / a:6.0f} MiB/s {cpu_a:4.1f} s   {mib / b:6.0f} MiB/s {cpu_b:4.1f} s  "
                    f" {a / b:5.2f}   {memory_a:5.0f} MiB {memory_b:5.0f} MiB"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["driver"]:
        driver(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    elif sys.argv[1:2] == ["command"]:
        command(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
