"""How fast against the `rbd` command, and in how much memory? Not a test: prints a table.

    python speed.py [MIB] [TIMES]      (default 1024, 5) on the cluster of tests/backends/ceph-up.sh; PYTHONPATH=tests

The command makes what the driver makes: `rbd import`, and the protected snapshot, for which the monitors take up to a
second, whatever the size (`import` alone is shown, too); it reads with `rbd export`. Each transfer is a process of its
own; connecting to the cluster is measured on both sides. Driver and command go in turns, so that what else the machine
does meets both: the ratio is the median of those of each turn."""

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

CEPH = lab.backend("ceph").settings
NAME = "speed"
IMAGE = f"{CEPH['CEPH_POOL']}/{NAME}"


def driver(order: str, file: str, mib: int) -> None:
    lab.ceph_bindings()
    from glancecore_store_rbd.driver import RbdStore  # it needs the bindings

    from glancecore.testing.settings import make_section

    store = RbdStore(
        "speed",
        make_section(
            RbdStore.options,
            rbd_store_ceph_conf=CEPH["CEPH_CONF"],
            rbd_store_user=CEPH["CEPH_USER"],
            rbd_store_pool=CEPH["CEPH_POOL"],
        ),
    )
    began = time.monotonic()
    store.start()
    if order == "put":
        with Path(file).open("rb", buffering=0) as source:
            store.put(NAME, iter(lambda: source.read(1 << 20), b""), mib << 20)
    elif order == "open":
        assert sum(map(len, store.open(store._url(NAME)))) == mib << 20
    took = time.monotonic() - began
    if order == "open":
        store.discard(NAME)
    store.close()
    memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(took, int(memory.split()[1]) / 1024)


def command(order: str, file: str) -> tuple[float, float]:
    """Seconds; those of the snapshot apart."""
    began = time.monotonic()
    if order == "put":
        rbd("import", "--no-progress", file, IMAGE)
    else:
        rbd("export", "--no-progress", f"{IMAGE}@snap", "-")
    took, began = time.monotonic() - began, time.monotonic()
    if order == "put":
        rbd("snap", "create", "--no-progress", f"{IMAGE}@snap")
        rbd("snap", "protect", f"{IMAGE}@snap")
        return took, time.monotonic() - began
    rbd("snap", "unprotect", f"{IMAGE}@snap")
    rbd("snap", "purge", "--no-progress", IMAGE)
    rbd("rm", "--no-progress", IMAGE)
    return took, 0.0


def rbd(*words: str) -> None:
    subprocess.run(
        ["rbd", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CEPH_CONF": CEPH["CEPH_CONF"]},
    )


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
        ours, theirs, memory, bare = defaultdict(list), defaultdict(list), defaultdict(list), []
        for _ in range(times):
            for order in ("put", "open"):
                moved, snapped = command(order, file.name)
                theirs[order].append(moved + snapped)
                if order == "put":
                    bare.append(moved)
            for order in ("put", "open"):
                seconds, most = run(order, file.name, mib)
                ours[order].append(seconds)
                memory[order].append(most)
    print(f"{mib} MiB   rbd command      driver       ratio (of each turn)   driver's memory")
    for order in ("put", "open"):
        ratios = [a / b for a, b in zip(theirs[order], ours[order], strict=True)]
        print(
            f"{order:5}   {mib / statistics.median(theirs[order]):6.0f} MiB/s  "
            f" {mib / statistics.median(ours[order]):6.0f} MiB/s   {statistics.median(ratios):5.2f}"
            f" ({', '.join(f'{x:.2f}' for x in sorted(ratios))})   {max(memory[order]):4.0f} MiB"
        )
    print(
        f"import alone, which leaves nothing to clone from: {mib / statistics.median(bare):.0f} MiB/s, ratio "
        f"{statistics.median(a / b for a, b in zip(bare, ours['put'], strict=True)):.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["driver"]:
        driver(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        numbers = [*map(int, sys.argv[1:3])]
        main(*numbers, *(1024, 5)[len(numbers) :])
