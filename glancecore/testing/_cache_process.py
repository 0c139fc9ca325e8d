"""A cache in a process of its own: what others see, and what a dead filler leaves.

``Other`` starts this file with the same driver and the same settings; it obeys orders that come as lines of JSON.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from oslo_config import cfg

from glancecore.ports.cache import Cache, CacheSettings, Fill, Seal, Tail


def build(cls: type[Cache], options: dict[str, Any], settings: CacheSettings) -> Cache:
    """A cache on a section of its own that knows the declared options only."""
    conf = cfg.ConfigOpts()
    conf.register_group(cfg.OptGroup("kit"))
    conf.register_opts(list(cls.options), group="kit")
    conf([], project="glancecore-kit", default_config_files=[], default_config_dirs=[])
    for option, value in options.items():
        conf.set_override(option, value, group="kit")
    return cls(conf["kit"], settings)


class Other:
    """Another process with an equal cache. It lives until the ``with`` ends, or ``kill``."""

    def __init__(self, cache: Cache) -> None:
        cls = type(cache)
        task = {
            "module": cls.__module__,
            "class": cls.__qualname__,
            "file": inspect.getfile(cls),
            "options": {opt.dest: cache.conf[opt.dest] for opt in cls.options},
            "max_size": cache.settings.max_size,
            "folder": str(cache.settings.folder) if cache.settings.folder else None,
        }
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-W", "ignore", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._send(task)

    def ask(self, order: str, **arguments: Any) -> Any:
        return self._send({"order": order, **arguments})

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Other:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def _send(self, task: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the other process has ended"
        return json.loads(line)


class _Obedience:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._made: Fill | Tail | None = None

    def claim(self, image_id: str, seal: list[Any]) -> str:
        self._made = self._cache.claim(image_id, Seal(*seal))
        return "fill" if isinstance(self._made, Fill) else "tail" if isinstance(self._made, Tail) else "none"

    def write(self, data: str) -> None:
        assert isinstance(self._made, Fill)
        self._made.write(bytes.fromhex(data))

    def publish(self) -> None:
        assert isinstance(self._made, Fill)
        self._made.publish()

    def read(self, offset: int, length: int) -> str:
        assert isinstance(self._made, Tail)
        return self._made.read(offset, length, 10).hex()

    def entry(self, image_id: str, seal: list[Any]) -> str | None:
        file = self._cache.open(image_id, Seal(*seal))
        if file is None:
            return None
        with file:
            return file.read().hex()

    def queued(self) -> list[str]:
        return list(self._cache.queued())


def _load(task: dict[str, Any]) -> type[Cache]:
    try:
        module = importlib.import_module(task["module"])
    except ModuleNotFoundError:  # a test file, which is not on the path
        spec = importlib.util.spec_from_file_location(task["module"], task["file"])
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[task["module"]] = module
        spec.loader.exec_module(module)
    cls: type[Cache] = getattr(module, task["class"])
    return cls


def main() -> None:
    task = json.loads(sys.stdin.readline())
    folder = Path(task["folder"]) if task["folder"] else None
    cache = build(_load(task), task["options"], CacheSettings(task["max_size"], folder))
    cache.start()
    obedience = _Obedience(cache)
    answer: Any = "started"
    while True:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            break
        arguments = json.loads(line)
        answer = getattr(obedience, arguments.pop("order"))(**arguments)


if __name__ == "__main__":
    main()
