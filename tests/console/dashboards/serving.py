"""A program of a dashboard's, while a test needs it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import requests
from waiting import until


@contextlib.contextmanager
def served(words: Sequence[str | Path], folder: Path, env: Mapping[str, str], url: str) -> Iterator[None]:
    """From when ``url`` answers; what the program says is in ``folder``."""
    with (folder / f"{Path(words[0]).name}.log").open("ab") as log:
        process = subprocess.Popen(words, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: _answers(url))
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=30).ok
    except requests.ConnectionError:
        return False
