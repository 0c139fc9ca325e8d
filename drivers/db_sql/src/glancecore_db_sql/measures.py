"""How many connections there are, for Prometheus."""

from __future__ import annotations

from sqlalchemy import Engine, event

from glancecore.sdk import measures


def watch(engine: Engine, limit: int) -> None:
    """Counts the engine's connections from now on. ``limit``: as many as it may open. After the listeners of
    ``connect`` that may refuse a connection: one that they have refused is never closed by the pool."""
    opened, busy = measures.DATABASE_CONNECTIONS.labels("open"), measures.DATABASE_CONNECTIONS.labels("busy")
    event.listen(engine, "connect", lambda *_: opened.inc())
    event.listen(engine, "close", lambda *_: opened.dec())
    event.listen(engine, "checkout", lambda *_: busy.inc())
    event.listen(engine, "checkin", lambda *_: busy.dec())
    measures.DATABASE_CONNECTIONS_LIMIT.inc(limit)
    event.listen(engine, "engine_disposed", lambda *_: measures.DATABASE_CONNECTIONS_LIMIT.dec(limit))
