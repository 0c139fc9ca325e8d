"""The job of docs/periodic.md, as it is written there."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from oslo_config import cfg

from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.kernel.transfer.stores import Stores
from glancecore.periodic.job_run import JobRun
from glancecore.ports.job_repository import JobRecord
from glancecore.ports.options import section
from glancecore.ports.periodic import PeriodicJob, job_options
from glancecore.ports.store import Cap
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store

GUIDE = Path(__file__).parents[2] / "docs" / "periodic.md"


def test_the_example_counts_blobs() -> None:
    [text] = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"PeriodicJob": PeriodicJob, "Cap": Cap}
    exec(text, names)
    census = names["Census"]
    conf = cfg.ConfigOpts()
    conf([])
    options = section(conf, "periodic_census", job_options(census.interval, census.options))
    store = make_store(MemoryStore)
    for n in range(3):
        store.put(f"key-{n}", [b"data"])
    tools = SimpleNamespace(stores=Stores([StoreFacade(StoreSettings("fast", "memory"), store)], "fast"))
    turn = JobRun("census", JobRecord(), lambda: None, threading.Event(), dry_run=True)
    census(options, tools).run(turn)
    assert turn.report().counts == {"fast": 3}
    assert options.interval == 3600.0
