"""Imports that are killed at each step, and how they end."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import lab

from glancecore.sdk.checkpoints import IMPORT_STEPS

PLAIN = tuple(x for x in IMPORT_STEPS if not x.startswith("step."))


def until_settled(service: lab.Service, *more: str) -> None:
    end = time.monotonic() + 90
    questions = (
        "select image_id, operation from leases",
        "select id from images where status in ('saving', 'deleting', 'importing')",
        "select id from tasks where status in ('pending', 'processing')",
        "select id from records where collection = 'the service.import_logbooks'",
        *more,
    )
    while left := [x for x in questions if rows(service, x)]:
        assert time.monotonic() < end, [(x, rows(service, x)) for x in left]
        time.sleep(0.05)


def rows(service: lab.Service, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(service.folder / "glance.sqlite", timeout=30) as connection:
        return connection.execute(statement).fetchall()


def files(service: lab.Service) -> list[str]:
    """Everything in stores and staging."""
    found = [x for name in ("fast", "slow") for x in (service.folder / name).rglob("*")]
    return sorted(
        str(x.relative_to(service.folder))
        for x in found
        if x.name not in (".staging", ".work", ".glance-store") and ".locks" not in x.parts
    )
