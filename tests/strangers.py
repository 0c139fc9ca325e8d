"""Plugins of strangers: installed for a while, for this process and those that it starts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stevedore import ExtensionManager

from glancecore.assembly import loader


def distribution(folder: Path, name: str, group: str, targets: Mapping[str, str], requires: Sequence[str] = ()) -> None:
    """Write what says that a distribution ``name`` 1.0 is in ``folder``, with the entry points ``targets`` (name ->
    module:class). ``requires``: what it says that it needs."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + "".join(f"Requires-Dist: {x}\n" for x in requires)
    )
    (info / "entry_points.txt").write_text(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in targets.items())
    )


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[None]:
    """All distributions in ``folder``."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}:{before}" if before else str(folder)
    sys.path.insert(0, str(folder))
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for module in [x for x, y in sys.modules.items() if str(getattr(y, "__file__", None)).startswith(f"{folder}/")]:
            del sys.modules[module]
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        _forget()


@contextlib.contextmanager
def plugin(folder: Path, group: str, classes: Mapping[str, str], source: str) -> Iterator[None]:
    """A distribution in ``folder``, whose one module has ``source``, with the entry points ``classes`` (name ->
    class)."""
    module = f"stranger_{group.replace('.', '_')}"
    (folder / f"{module}.py").write_text(source)
    distribution(folder, module.replace("_", "-"), group, {name: f"{module}:{cls}" for name, cls in classes.items()})
    with installed(folder):
        yield


def _forget() -> None:
    """What was installed is looked for once a process."""
    loader._catalog.cache_clear()
    ExtensionManager.ENTRY_POINT_CACHE.clear()
