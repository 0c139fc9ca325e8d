"""One run of a job: what it tells while it goes, and the report that people and programs read afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from glancecore.domain import errors
from glancecore.ports.job_repository import JobRecord, JobRepository
from glancecore.ports.periodic import Finding, Report

#: Findings and errors that a report keeps; the others are counted.
MOST = 1000
#: Of one kind, so that many of one do not hide the others.
MOST_OF_A_KIND = 200


class RunOutcome(StrEnum):
    DONE = "done"
    #: Cut off, because its process ended or no longer led.
    STOPPED = "stopped"
    #: It raised.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobResult:
    """One run that has ended. ``seconds`` is how long it took."""

    job: str
    dry_run: bool
    outcome: RunOutcome
    started_at: datetime
    seconds: float
    report: Report = field(default_factory=Report)

    def as_json(self) -> dict[str, object]:
        return {
            "job": self.job,
            "dry_run": self.dry_run,
            "outcome": self.outcome.value,
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "counts": dict(self.report.counts),
            "findings": [asdict(x) for x in self.report.findings],
            "errors": list(self.report.errors),
        }

    def text(self) -> str:
        """For people: a headline, what was counted, what was found, what went wrong."""
        dry = " (dry run: nothing was changed)" if self.dry_run else ""
        lines = [f"{self.job}: {self.outcome.value} in {self.seconds:.1f} s{dry}"]
        lines += [f"  {name}: {number}" for name, number in sorted(self.report.counts.items())]
        lines += [f"  [{x.kind}] {x.subject}: {x.text}" for x in self.report.findings]
        lines += [f"  error: {x}" for x in self.report.errors]
        return "\n".join(lines)


class JobRun:
    """A ``JobContext`` (``glancecore.ports.periodic``). ``alive`` raises JobStopped when the process may no longer work
    on the job."""

    def __init__(
        self,
        name: str,
        record: JobRecord,
        alive: Callable[[], None],
        stopping: threading.Event,
        *,
        dry_run: bool,
        jobs: JobRepository | None = None,
        holder: str = "",
    ) -> None:
        """``jobs`` and ``holder``: where to keep what is remembered; without them nothing is."""
        self.name = name
        self._record = record
        self._alive = alive
        self._stopping = stopping
        self._dry_run = dry_run
        self._jobs = jobs
        self._holder = holder
        self._counts: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._errors: list[str] = []

    @property
    def dry_run(self) -> bool:
        return self._dry_run

    @property
    def state(self) -> Mapping[str, object]:
        return self._record.state

    @property
    def record(self) -> JobRecord:
        return self._record

    def remember(self, state: Mapping[str, object]) -> None:
        if self._dry_run or self._jobs is None:
            return
        self.check()
        after = replace(self._record, state=dict(state))
        try:
            self._jobs.keep(self.name, self._holder, after)
        except errors.LeaseLost as exc:
            raise errors.JobStopped(f"another process has taken the job {self.name} over") from exc
        self._record = after

    def check(self) -> None:
        self._alive()

    def pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            self._stopping.wait(min(left, 1.0))
            self.check()

    def count(self, what: str, by: int = 1) -> None:
        self._counts[what] += by

    def find(self, kind: str, subject: str, text: str) -> None:
        self._counts[kind] += 1
        self._kinds[kind] += 1
        if len(self._findings) < MOST and self._kinds[kind] <= MOST_OF_A_KIND:
            self._findings.append(Finding(kind, subject, text))

    def fail(self, text: str) -> None:
        self._counts["errors"] += 1
        if len(self._errors) < MOST_OF_A_KIND:
            self._errors.append(text)

    def report(self) -> Report:
        return Report(dict(self._counts), tuple(self._findings), tuple(self._errors))


def from_json(value: Mapping[str, Any]) -> JobResult:
    """The run that ``as_json`` told of."""
    report = Report(value["counts"], tuple(Finding(**x) for x in value["findings"]), tuple(value["errors"]))
    return JobResult(
        value["job"],
        value["dry_run"],
        RunOutcome(value["outcome"]),
        datetime.fromisoformat(value["started_at"]),
        value["seconds"],
        report,
    )
