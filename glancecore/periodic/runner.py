"""Runs the jobs: by their intervals while this process leads, or one of them once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from glancecore.domain import errors
from glancecore.periodic.candidate import Candidate
from glancecore.periodic.leadership import LEADER, Leadership
from glancecore.periodic.loading import without_eventlet
from glancecore.periodic.runs import Outcome, Run, RunningTurn
from glancecore.ports.job_repository import JobRecord, JobRepository
from glancecore.ports.periodic import PeriodicJob
from glancecore.services import metrics

if TYPE_CHECKING:
    from futurist.periodics import PeriodicWorker

LOG = logging.getLogger(__name__)
#: A run that failed or was cut off is tried again after so many seconds, or its interval when that is shorter.
AGAIN = 300.0
#: Seconds that jobs have to notice that their process ends.
PATIENCE = 5.0
#: Most seconds between two looks whether a job is due.
LOOK = 5.0
#: In the JobRepository, beside the leader's name.
PREFIX = "job:"


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A job as the operator wants it. ``interval`` in seconds."""

    name: str
    job: PeriodicJob
    interval: float
    dry_run: bool = False


class PeriodicRunner:
    """``start`` and ``stop`` for a process that may lead; ``run`` for one run now.

    Whoever leads, a job is held in the database while it runs, so that a run that an operator asks for and the leader's own never
    meet. ``make_leadership`` is called when it is first needed."""

    def __init__(self, jobs: JobRepository, scheduled: Mapping[str, Scheduled], holder: str, ttl: float,
                 candidate: Candidate, make_leadership: Callable[[], Leadership]) -> None:
        self._jobs = jobs
        self._scheduled = scheduled
        self._holder = holder
        self._ttl = ttl
        self._candidate = candidate
        self._make_leadership = make_leadership
        self._leadership: Leadership | None = None
        self._stopping = threading.Event()
        self._worker: PeriodicWorker | None = None
        self._due: dict[str, float] = {}
        self._holds: dict[str, float] = {}

    # -- the leader --------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Lead when nobody does, and run what is due, in threads; at once."""
        if self._scheduled:
            threading.Thread(target=self._work, name="periodic", daemon=True).start()

    def stop(self) -> None:
        """End at the next unit of work; another process leads at once."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()
        end = time.monotonic() + PATIENCE
        while self._holds and time.monotonic() < end:
            time.sleep(0.02)
        if self._leadership is not None:
            self._leadership.close()
        self._candidate.let_go()

    def wait(self) -> None:
        """Until ``stop`` is called, by a signal's handler or another thread."""
        while not self._stopping.wait(1.0):
            pass

    def _work(self) -> None:
        while not self._candidate.take():
            if self._stopping.wait(min(LOOK, self._ttl / 3)):
                return
        self._leadership = self._make_leadership()
        with without_eventlet():
            from futurist.periodics import PeriodicWorker

        self._beat()
        calls: list[tuple[Callable[..., Any], tuple[Any, ...] | None, dict[str, Any] | None]] = [
            (_every(self._ttl / 3, self._beat), None, None)]
        calls += [(_every(min(x.interval, LOOK), self._look), (x,), None) for x in self._scheduled.values()]
        self._worker = PeriodicWorker(calls, executor_factory=_Threads, schedule_strategy="last_finished", log=LOG)
        if not self._stopping.is_set():
            self._worker.start()

    def _beat(self) -> None:
        """Say that we live: as the leader, and as who runs what runs here."""
        led = self._leadership is not None and self._leadership.leads
        leads = self._leadership is not None and self._leadership.beat()
        if leads and not led:
            self._due.clear()  # others may have run them meanwhile
        metrics.PERIODIC_LEADER.set(leads)
        self._extend()

    def _extend(self) -> None:
        for name in list(self._holds):
            began = time.monotonic()
            try:
                if self._jobs.hold(PREFIX + name, self._holder, self._ttl) and name in self._holds:
                    self._holds[name] = began + self._ttl
            except errors.DatabaseUnavailable as exc:
                LOG.warning("periodic job %s: %s", name, exc)

    def _look(self, scheduled: Scheduled) -> None:
        """Run it when it is due and we lead."""
        if self._leadership is not None:
            self._leadership.note()
        if self._stopping.is_set() or not self._leads() or time.monotonic() < self._due.get(scheduled.name, 0.0):
            return
        try:
            wait = self._seconds_left(scheduled)
            if wait <= 0:
                self._run(scheduled, dry_run=scheduled.dry_run, leading=True)
                wait = self._seconds_left(scheduled)
            self._due[scheduled.name] = time.monotonic() + max(wait, 0.0)
        except errors.ImageBusy:
            LOG.info("periodic job %s is running elsewhere", scheduled.name)
        except errors.GlanceError as exc:
            LOG.warning("periodic job %s: %s", scheduled.name, exc)

    def _seconds_left(self, scheduled: Scheduled) -> float:
        record = self._jobs.record(PREFIX + scheduled.name)
        if record.started_at is None:
            return 0.0
        if record.ended_at is None:  # cut off
            return 0.0
        failed = (record.report or {}).get("outcome") != Outcome.DONE.value
        spell = min(scheduled.interval, AGAIN) if failed else scheduled.interval
        return (record.started_at + timedelta(seconds=spell) - datetime.now(UTC)).total_seconds()

    def _leads(self) -> bool:
        return self._leadership is not None and self._leadership.leads

    # -- one run -----------------------------------------------------------------------------------------------------
    def run(self, scheduled: Scheduled, *, dry_run: bool) -> Run:
        """Now, whoever leads. Raises ImageBusy when it runs elsewhere; a dry run may go beside it."""
        beating = threading.Event()

        def beat() -> None:
            while not beating.wait(self._ttl / 3):
                self._extend()

        threading.Thread(target=beat, name="periodic-beat", daemon=True).start()
        try:
            return self._run(scheduled, dry_run=dry_run, leading=False)
        finally:
            beating.set()

    def _run(self, scheduled: Scheduled, *, dry_run: bool, leading: bool) -> Run:
        """A dry run is neither held nor recorded when an operator asks for it; one that the configuration makes dry is."""
        name, quiet = scheduled.name, dry_run and not leading
        began = time.monotonic()
        if not quiet:
            if not self._jobs.hold(PREFIX + name, self._holder, self._ttl):
                raise errors.ImageBusy(f"the job {name} is running elsewhere: {self._jobs.holder(PREFIX + name)}")
            self._holds[name] = began + self._ttl
        try:
            record, started = self._jobs.record(PREFIX + name), datetime.now(UTC)
            if not quiet:
                record = replace(record, started_at=started, ended_at=None)
                self._jobs.keep(PREFIX + name, self._holder, record)
            turn = RunningTurn(PREFIX + name, record, self._alive(name, leading=leading, held=not quiet), self._stopping, dry_run=dry_run,
                               jobs=None if quiet else self._jobs, holder=self._holder)
            outcome = self._guarded(scheduled, turn)
            run = Run(name, dry_run, outcome, started, time.monotonic() - began, turn.report())
            if not quiet:
                self._keep(run, turn)
        finally:
            if not quiet:
                self._holds.pop(name, None)
                try:
                    self._jobs.let_go(PREFIX + name, self._holder)
                except errors.DatabaseUnavailable as exc:
                    LOG.warning("periodic job %s: %s", name, exc)
        self._tell(run)
        return run

    def _guarded(self, scheduled: Scheduled, turn: RunningTurn) -> Outcome:
        try:
            scheduled.job.run(turn)
        except errors.JobStopped as exc:
            LOG.info("periodic job %s: cut off: %s", scheduled.name, exc)
            return Outcome.STOPPED
        except errors.GlanceError as exc:
            LOG.warning("periodic job %s failed: %s", scheduled.name, exc)
            turn.fail(str(exc))
            return Outcome.FAILED
        except Exception as exc:
            LOG.exception("periodic job %s failed", scheduled.name)
            turn.fail(f"it failed ({type(exc).__name__}); the log of {self._holder} says why")
            return Outcome.FAILED
        return Outcome.DONE

    def _keep(self, run: Run, turn: RunningTurn) -> None:
        """A run that was cut off stays one that has not ended: whoever leads next goes on at once."""
        record: JobRecord = replace(turn.record, report=run.as_json(),
                                    ended_at=None if run.outcome is Outcome.STOPPED else datetime.now(UTC))
        try:
            self._jobs.keep(PREFIX + run.job, self._holder, record)
        except errors.LeaseLost as exc:
            LOG.warning("periodic job %s: its report was not kept: %s", run.job, exc)

    def _alive(self, name: str, *, leading: bool, held: bool) -> Callable[[], None]:
        """What ``Turn.check`` does; cheap enough for every piece of data."""
        def check() -> None:
            if self._stopping.is_set():
                raise errors.JobStopped("the process is stopping")
            if leading and not self._leads():
                raise errors.JobStopped("this process no longer leads")
            if held and time.monotonic() >= self._holds.get(name, 0.0):
                raise errors.JobStopped("this process could not say in time that it lives")

        return check

    def _tell(self, run: Run) -> None:
        LOG.info("periodic job %s: %s in %.1f s%s: %s", run.job, run.outcome.value, run.seconds, " (dry run)" if run.dry_run else "",
                 ", ".join(f"{name} {number}" for name, number in sorted(run.report.counts.items())) or "nothing to do")
        metrics.PERIODIC_RUNS.labels(run.job, run.outcome.value).inc()
        metrics.PERIODIC_LAST_RUN.labels(run.job).set(time.time())
        metrics.PERIODIC_SECONDS.labels(run.job).set(run.seconds)
        for name, number in run.report.counts.items():
            metrics.PERIODIC_COUNTS.labels(run.job, name).inc(number)


def leader(jobs: JobRepository) -> str | None:
    """Which process leads, as the database tells."""
    return jobs.holder(LEADER)


def record_of(jobs: JobRepository, name: str) -> JobRecord:
    return jobs.record(PREFIX + name)


def _every(seconds: float, call: Callable[..., Any]) -> Callable[..., Any]:
    from futurist.periodics import periodic

    def run(*args: Any) -> None:
        try:
            call(*args)
        except Exception:
            LOG.exception("periodic jobs: a look failed; they go on")

    found: Callable[..., Any] = periodic(spacing=seconds, run_immediately=True)(run)
    return found


class _Threads(futures.Executor):
    """A daemon thread for each call: a pool's threads would keep the process from ending until the longest job is done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        future: futures.Future[Any] = futures.Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as exc:  # noqa: BLE001 (the future's reader sees it)
                future.set_exception(exc)

        threading.Thread(target=run, name="periodic-job", daemon=True).start()
        return future
