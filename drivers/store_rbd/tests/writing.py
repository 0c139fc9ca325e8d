"""A process that writes a part, or an image in one go, and says "writing" when it is in the middle; in the end what
came of it. Its arguments are JSON.

python writing.py '{"options": {…}, "key": …, "handle": …, "number": 1, "offset": 0, "size": …}'
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MIB = 1 << 20


def pieces(size: int) -> Iterator[bytes]:
    """The middle is told while the pieces before are on their way, and those behind come without a pause."""
    for number in range(size // MIB):
        if number == size // MIB // 2:
            print("writing", flush=True)
        yield b"%d" % (number % 10) * MIB


def main(task: dict[str, Any]) -> None:
    import lab

    lab.ceph_bindings()
    from glancecore_store_rbd.driver import RbdStore  # it needs the bindings

    from glancecore.domain import errors
    from glancecore.testing.store import make_store

    store = make_store(RbdStore, **task["options"])
    try:
        store.put_part(task["key"], task["handle"], task["number"], task["offset"], pieces(task["size"]))
    except errors.StoreError as exc:
        print(type(exc).__name__, flush=True)
    else:
        print("written", flush=True)
    store.close()


@contextmanager
def written(**task: Any) -> Iterator[subprocess.Popen[str]]:
    """The process, in the middle of its part."""
    with subprocess.Popen([sys.executable, __file__, json.dumps(task)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
