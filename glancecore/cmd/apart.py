"""Runs what may end, hang or litter its process in a child: an import of somebody's plugin."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

T = TypeVar("T")
_CONTEXT = multiprocessing.get_context("fork")


class ChildDied(Exception):
    """It ended without a result, or was ended because there was none in time. The text continues "it …"."""


def apart(work: Callable[[], T], seconds: float | None) -> T:
    """``work()``, done in a child that is ended after ``seconds`` (None: never). The result must be picklable; what the
    child prints goes to standard error. Raises ChildDied."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # the child has a copy of what waits
    process = _CONTEXT.Process(target=_child, args=(work, theirs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child does not need
        process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise ChildDied(f"does not end: there was no result within {seconds:g} seconds")
        found: T = ours.recv()
    except EOFError as exc:
        process.join()
        code = process.exitcode or 0
        raise ChildDied(
            f"ends the process ({f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'})"
        ) from exc
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
    return found


def _child(work: Callable[[], T], result: Connection) -> None:
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    result.send(work())
