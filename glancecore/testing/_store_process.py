"""Store operations in a process of their own: what a dead writer leaves, what others see, how much memory it takes.

``run`` starts this file with the same driver and the same settings, sends one order as JSON and returns the answer.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oslo_config import cfg

from glancecore.ports.store import CHUNK, Store

#: Time that the orders of another process have, which are many operations.
PATIENCES = 5


def build(cls: type[Store], name: str, options: dict[str, Any]) -> Store:
    """A store on a section of its own that knows the declared options only."""
    conf = cfg.ConfigOpts()
    conf.register_opts(list(cls.options), group=name)
    conf([], project="glancecore-kit", default_config_files=[], default_config_dirs=[])
    for option, value in options.items():
        conf.set_override(option, value, group=name)
    return cls(name, conf[name])


def run(store: Store, order: str, patience: float, **arguments: Any) -> dict[str, Any] | None:
    """Let another process do ``order`` on an equal store; None when it was killed, as the orders "die", "put and die"
    and "part and die" want.

    It fails when it takes longer than ``PATIENCES`` times ``patience`` seconds."""
    cls = type(store)
    task = {
        "module": cls.__module__,
        "class": cls.__qualname__,
        "file": inspect.getfile(cls),
        "name": store.name,
        "options": {opt.dest: store.conf[opt.dest] for opt in cls.options},
        "order": order,
        **arguments,
    }
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-P", "-W", "ignore", __file__],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCES * patience,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired:
        raise AssertionError(
            f"{order} in another process did not return within {PATIENCES * patience:g} s: it hangs"
        ) from None
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, f"the other process failed: {done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _peak() -> int:
    """The process's highest resident memory since ``_reset_peak``, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel tells no VmHWM")


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


@functools.cache
def sample(size: int, seed: int = 0) -> bytes:
    """Bytes without a pattern, the same ones in every run and process."""
    return random.Random(seed).randbytes(size)  # noqa: S311


def _pieces(size: int) -> Iterator[bytes]:
    piece = os.urandom(CHUNK)
    for _ in range(size // CHUNK):
        yield piece


def _dying(size: int) -> Iterator[bytes]:
    yield from _pieces(size)
    os.kill(os.getpid(), signal.SIGKILL)


def _obey(store: Store, task: dict[str, Any]) -> dict[str, Any]:
    match task["order"]:
        case "die":
            store.put(task["key"], _dying(task["size"]))
            return {}
        case "put and die":
            store.put(task["key"], iter([sample(task["size"])]), task["size"])
            os.kill(os.getpid(), signal.SIGKILL)
            return {}
        case "part and die":
            store.put_part(task["key"], task["handle"], task["number"], task["offset"], iter([sample(task["size"])]))
            os.kill(os.getpid(), signal.SIGKILL)
            return {}
        case "read":
            digest = hashlib.sha256()
            for piece in store.open(task["url"]):
                digest.update(piece)
            return {"sha256": digest.hexdigest()}
        case "memory":
            url = store.put(task["key"], _pieces(CHUNK))  # what is loaded on first use does not count
            sum(map(len, store.open(url)))
            store.delete(url)
            before = _reset_peak()
            url = store.put(task["key"], _pieces(task["size"]))
            written = _peak() - before
            before = _reset_peak()
            size = sum(map(len, store.open(url)))
            read = _peak() - before
            store.delete(url)
            return {"put": written, "open": read, "size": size}
    raise AssertionError(task["order"])


def _load(task: dict[str, Any]) -> type[Store]:
    try:
        module = importlib.import_module(task["module"])
    except ModuleNotFoundError:  # a test file, which is not on the path
        spec = importlib.util.spec_from_file_location(task["module"], task["file"])
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[task["module"]] = module
        spec.loader.exec_module(module)
    cls: type[Store] = getattr(module, task["class"])
    return cls


def main() -> None:
    task = json.load(sys.stdin)
    store = build(_load(task), task["name"], task["options"])
    store.start()  # the place is there
    answer = _obey(store, task)
    store.close()
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
