"""Whether the parts that a request needs answer: database and stores."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate

from glancecore.domain.errors import GlanceError
from glancecore.kernel import metrics
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.repository import Database
from glancecore.sdk import log_lines

LOG = logging.getLogger(__name__)
#: Seconds that a part has to answer.
PROBE_TIMEOUT = 5.0


class Health:
    def __init__(self, database: Database, stores: Stores) -> None:
        self._database = database
        self._stores = stores

    def report(self) -> dict[str, str]:
        """Part to "ok" or the reason why not. A hanging backend counts as down, and is asked again next time."""
        asked = {"database": self._database.ping, **{f"store {x.id}": x.ping for x in self._stores}}
        pool = ThreadPoolExecutor(len(asked), thread_name_prefix="health", initializer=log_lines.carry())
        try:
            waiting = {part: pool.submit(ping) for part, ping in asked.items()}
            found = {}
            for part, future in waiting.items():
                try:
                    future.result(PROBE_TIMEOUT)
                    found[part] = "ok"
                except TooLate:
                    found[part] = "no answer"
                except GlanceError as exc:
                    found[part] = str(exc)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for store in self._stores:
            up = found[f"store {store.id}"] == "ok"
            metrics.STORE_UP.labels(store.id).set(up)
            if found["database"] == "ok":  # it says which stores drain, and must not be waited for
                metrics.STORE_WRITABLE.labels(store.id).set(up and store.takes_data)
                metrics.STORE_DRAINING.labels(store.id).set(store.draining)
        found["default store"] = found[f"store {self._stores.default_id}"]
        return found
