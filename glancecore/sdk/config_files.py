"""Which files a configuration was read from, for those who have to read them again by another reader."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from oslo_config import cfg

_FILE, _FOLDER = "--config-file", "--config-dir"


def config_words(conf: cfg.ConfigOpts) -> list[str]:
    """A command line that reads the same files in the same order."""
    return [x for pair in _read(conf) for x in pair]


def files_of(conf: cfg.ConfigOpts) -> list[str]:
    """All that ``conf`` was read from, later ones win."""
    found: list[str] = []
    for option, path in _read(conf):
        found += [path] if option == _FILE else [str(x) for x in sorted(Path(os.path.expanduser(path)).glob("*.conf"))]  # noqa: PTH111 (it says so of ~user, too)
    return found


def _read(conf: cfg.ConfigOpts) -> list[tuple[str, str]]:
    """In oslo.config's order: default files, default folders, each unless the command line names others, and then what
    that names."""
    named = list(_named(conf._args or ()))  # noqa: SLF001 (``config_dir`` has the last folder only, and nothing tells the order)
    options = {option for option, _ in named}
    files = () if _FILE in options else conf.default_config_files
    folders = () if _FOLDER in options else conf.default_config_dirs
    return [*((_FILE, str(x)) for x in files), *((_FOLDER, str(x)) for x in folders), *named]


def _named(words: list[str] | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        option, equals, path = word.partition("=")
        if option in (_FILE, _FOLDER):
            yield option, path if equals else next(rest)
