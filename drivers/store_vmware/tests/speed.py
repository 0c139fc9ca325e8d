"""How fast against a plain HTTP client, and in how much memory? Not a test: prints a table.

    python speed.py [MIB] [TIMES]      (default 1024, 5) on the simulator of tests/backends/vcsim-up.sh;
    PYTHONPATH=tests

The client is curl with the cookie of a session: PUT and GET of the file, and nothing else. Each transfer is a process
of its own; the driver's checks and its renaming of the finished file are measured, its login is not. Both go in turns,
so that what else the machine does meets both: the ratio is the median of those of each turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import lab
from glancecore_store_vmware.driver import VmwareStore

from glancecore.testing.settings import make_section

NAME = "speed"


def made() -> VmwareStore:
    vcenter = lab.backend("vcsim")
    store = VmwareStore(
        "speed",
        make_section(
            VmwareStore.options,
            vmware_server_host=vcenter.url.removeprefix("https://").removesuffix("/sdk"),
            vmware_server_username=vcenter.settings["VCSIM_USER"],
            vmware_server_password=vcenter.settings["VCSIM_PASSWORD"],
            vmware_ca_file=vcenter.settings["VCSIM_CA"],
            vmware_datastores=["DC0:LocalDS_0"],
            vmware_task_poll_interval=0.01,
        ),
    )
    store.start()
    return store


def driver(order: str, file: str, mib: int) -> None:
    store = made()
    began = time.monotonic()
    if order == "put":
        with Path(file).open("rb", buffering=0) as source:
            store.put(NAME, iter(lambda: source.read(1 << 20), b""), mib << 20)
    else:
        assert sum(map(len, store.open(url(store)))) == mib << 20
    took = time.monotonic() - began
    if order == "open":
        store.discard(NAME)
    store.close()
    memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(took, int(memory.split()[1]) / 1024)


def url(store: VmwareStore) -> str:
    return store._url(store._datastores[0], NAME)


def command(order: str, file: str) -> float:
    vcenter, store = lab.backend("vcsim"), made()
    words = ["--upload-file", file] if order == "put" else ["--output", "/dev/null"]
    began = time.monotonic()
    subprocess.run(
        [
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--cacert",
            vcenter.settings["VCSIM_CA"],
            "--cookie",
            store._session.cookie(),
            *words,
            url(store).replace("vsphere://", "https://"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took = time.monotonic() - began
    if order == "open":
        store.discard(NAME)
    store.close()
    return took


def run(order: str, file: str, mib: int) -> tuple[float, float]:
    """Seconds, and the highest resident memory in MiB."""
    done = subprocess.run(
        [sys.executable, __file__, "driver", order, file, str(mib)], check=True, capture_output=True, text=True
    )
    seconds, memory = map(float, done.stdout.split()[-2:])
    return seconds, memory


def main(mib: int, times: int) -> None:
    with tempfile.NamedTemporaryFile(dir=lab.LAB) as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
        file.flush()
        ours, theirs, memory = defaultdict(list), defaultdict(list), defaultdict(list)
        for _ in range(times):
            for order in ("put", "open"):
                theirs[order].append(command(order, file.name))
            for order in ("put", "open"):
                seconds, most = run(order, file.name, mib)
                ours[order].append(seconds)
                memory[order].append(most)
    print(f"{mib} MiB   curl             driver       ratio (of each turn)   driver's memory")
    for order in ("put", "open"):
        ratios = [a / b for a, b in zip(theirs[order], ours[order], strict=True)]
        print(
            f"{order:5}   {mib / statistics.median(theirs[order]):6.0f} MiB/s  "
            f" {mib / statistics.median(ours[order]):6.0f} MiB/s   {statistics.median(ratios):5.2f}"
            f" ({', '.join(f'{x:.2f}' for x in sorted(ratios))})   {max(memory[order]):4.0f} MiB"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["driver"]:
        driver(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        numbers = [*map(int, sys.argv[1:3])]
        main(*numbers, *(1024, 5)[len(numbers) :])
