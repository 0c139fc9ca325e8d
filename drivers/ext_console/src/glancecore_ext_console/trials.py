"""Dry runs of periodic jobs that an operator asks for: what a job would do now."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.record_repository import Record
from glancecore.sdk.records import saving
from glancecore.sdk.workers import Workers

LOG = logging.getLogger(__name__)
TRIALS = Collection("console.trials")
#: How long a report can be read, and what of it is kept.
_KEPT, _FINDINGS = timedelta(hours=24), 200


class Trials:
    """One of each job is known, the last one, to every process. One that a process has died in runs for ever, until
    somebody asks for another."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.workers = Workers("console-trials", 1)
        self._lock = threading.Lock()
        self._here: set[str] = set()

    def begin(self, ctx: Context, job: str) -> Mapping[str, object]:
        """It goes on after this returns. Raises NotFound, Conflict, ServerBusy."""
        if job not in {x.name for x in self._kernel.overview.jobs()}:
            raise errors.NotFound(f"no periodic job {job[:80]} is enabled")
        begun = {
            "trial": secrets.token_hex(8),
            "state": "running",
            "by": ctx.user,
            "started_at": _time(self._kernel),
            "ended_at": None,
            "report": None,
        }
        with self._lock:
            if job in self._here:
                raise errors.Conflict(f"{job} is tried already; its report comes by itself")
            self.workers.submit(partial(self._try, job, begun))
            self._here.add(job)
        return {name: value for name, value in begun.items() if name != "trial"}

    def of(self, job: str) -> Mapping[str, object] | None:
        try:
            data = self._kernel.records.get(TRIALS.name, job).data
        except errors.RecordNotFound:
            return None
        return {name: value for name, value in data.items() if name != "trial"}

    def _try(self, job: str, begun: Mapping[str, object]) -> None:
        try:
            self._run(job, begun)
        finally:
            with self._lock:
                self._here.discard(job)

    def _run(self, job: str, begun: Mapping[str, object]) -> None:
        self._keep(job, begun)
        try:
            report = dict(self._kernel.overview.dry_run(job))
            findings = report["findings"]
            report["findings"] = findings[:_FINDINGS] if isinstance(findings, list) else []
        except errors.GlanceError as exc:
            report = {
                "job": job,
                "dry_run": True,
                "outcome": "failed",
                "seconds": 0,
                "counts": {},
                "findings": [],
                "errors": [str(exc)],
            }
        try:
            if (
                self._kernel.records.get(TRIALS.name, job).data["trial"] == begun["trial"]
            ):  # else a newer one has begun elsewhere
                self._keep(job, {**begun, "state": "ended", "ended_at": _time(self._kernel), "report": report})
        except errors.RecordNotFound:
            LOG.info("the report of the dry run of %s came too late", job)

    def _keep(self, job: str, data: Mapping[str, object]) -> None:
        record = Record(TRIALS.name, job, data, expires_at=self._kernel.clock() + _KEPT)
        try:
            self._kernel.writer.save(saving(self._kernel.records, record))
        except (errors.RecordExists, errors.ConcurrentChange, errors.RecordNotFound):
            LOG.info("another dry run of %s has begun elsewhere", job)


def _time(kernel: Kernel) -> str:
    return kernel.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
