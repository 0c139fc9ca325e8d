"""Plugins of strangers: installed for a while, for this process and those that it starts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from stevedore import ExtensionManager

from glancecore import plugins


@contextlib.contextmanager
def plugin(folder: Path, group: str, classes: Mapping[str, str], source: str) -> Iterator[None]:
    """A distribution in ``folder``, whose one module has ``source``, with the entry points ``classes`` (name -> class)."""
    module = f"stranger_{group.replace('.', '_')}"
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n" + "".join(f"{name} = {module}:{cls}\n" for name, cls in classes.items()))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}:{before}" if before else str(folder)
    sys.path.insert(0, str(folder))
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(module, None)
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        _forget()


def _forget() -> None:
    """What was installed is looked for once a process."""
    plugins._entry_points.cache_clear()
    ExtensionManager.ENTRY_POINT_CACHE.clear()
