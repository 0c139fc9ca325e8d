"""A worker that is replaced while it has no application yet."""

from __future__ import annotations

from types import SimpleNamespace

from glancecore.server.stopping import StoppingWorker


def test_a_worker_that_waits_to_begin_is_replaced() -> None:
    """What a signal's handler raises would end the whole service."""
    worker = object.__new__(StoppingWorker)
    worker.alive, worker._limits, woken = True, SimpleNamespace(reload_timeout=10), []  # type: ignore[assignment]
    worker._wake = lambda: woken.append(True)  # type: ignore[method-assign]
    assert not hasattr(worker, "wsgi")
    worker._handle_replaced(0, None)
    assert (worker.alive, woken) == (False, [True])
