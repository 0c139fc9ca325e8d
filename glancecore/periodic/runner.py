"""Runs the jobs: by their intervals while this process leads, or one of them once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from glancecore.domain import errors
from glancecore.kernel import metrics
from glancecore.kernel.quiet_imports import without_eventlet
from glancecore.periodic.job_run import JobResult, JobRun, RunOutcome
from glancecore.periodic.leadership import LEADER
from glancecore.periodic.machine_lock import MachineLock
from glancecore.periodic.run_requests import RunRequests
from glancecore.ports.job_repository import JobRecord, JobRepository
from glancecore.ports.periodic import PeriodicJob
from glancecore.sdk import tracing

if TYPE_CHECKING:
    from futurist.periodics import PeriodicWorker

LOG = logging.getLogger(__name__)
#: A run that failed or was cut off is tried again after so many seconds, or its interval when that is shorter.
RETRY_AFTER = 300.0
#: Seconds that jobs have to notice that their process ends.
STOP_TIMEOUT = 5.0
#: Most seconds between two looks whether a job is due.
POLL_INTERVAL = 5.0
#: Seconds between two tries of a wanted run.
BUSY_RETRY = 0.5
#: Alarms and errors of a run that its line in the log has; the report has them all.
_TOLD = 5
#: In the JobRepository, beside the leader's name.
PREFIX = "job:"


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A job as the operator wants it. ``interval`` in seconds; ``machine``: the one whose own the job is."""

    name: str
    job: PeriodicJob
    interval: float
    dry_run: bool = False
    machine: str | None = None

    @property
    def row(self) -> str:
        """Where its runs are kept in the JobRepository."""
        return row(self.name, self.machine)


class Leader(Protocol):
    """See ``leadership.Leadership``."""

    @property
    def leads(self) -> bool: ...

    def beat(self) -> bool: ...

    def note(self) -> None: ...

    def close(self) -> None: ...


class PeriodicRunner:
    """``start`` and ``stop`` for a process that may lead; ``run`` for one run now, ``now`` for one in the background.

    Whoever leads, a job is held in the database while it runs, so that a run that an operator asks for and the leader's
    own never meet. ``make_leadership`` is called when it is first needed."""

    def __init__(
        self,
        jobs: JobRepository,
        scheduled: Mapping[str, Scheduled],
        holder: str,
        ttl: float,
        candidate: MachineLock,
        make_leadership: Callable[[], Leader],
    ) -> None:
        self._jobs = jobs
        self._scheduled = scheduled
        self._holder = holder
        self._ttl = ttl
        self._candidate = candidate
        self._make_leadership = make_leadership
        self._leadership: Leader | None = None
        self._started = False
        self._stopping = threading.Event()
        self._worker: PeriodicWorker | None = None
        self._due: dict[str, float] = {}
        self._holds: dict[str, float] = {}
        self._holding = threading.Lock()
        self._wanted = RunRequests()

    @property
    def scheduled(self) -> list[Scheduled]:
        return list(self._scheduled.values())

    # -- the leader --------------------------------------------------------------------------------
    def start(self) -> None:
        """Lead when nobody does, and run what is due, in threads; at once."""
        self._started = True
        if self._scheduled:
            threading.Thread(target=self._work, name="periodic", daemon=True).start()

    def now(self, name: str) -> None:
        """Run the job soon, whoever leads: in this process, and after a run that goes on elsewhere. Nothing when the
        operator has switched it off, or it runs in other processes only."""
        scheduled = self._scheduled.get(name)
        if scheduled is not None and self._started and self._wanted.add(name):
            threading.Thread(target=self._run_wanted, args=(scheduled,), name="periodic-now", daemon=True).start()

    def stop(self) -> None:
        """End at the next unit of work; another process leads at once."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()
        end = time.monotonic() + STOP_TIMEOUT
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
            if self._stopping.wait(min(POLL_INTERVAL, self._ttl / 3)):
                return
        self._leadership = self._make_leadership()
        with without_eventlet():
            from futurist.periodics import PeriodicWorker

        self._beat()
        calls: list[tuple[Callable[..., Any], tuple[Any, ...] | None, dict[str, Any] | None]] = [
            (_every(self._ttl / 3, self._beat), None, None)
        ]
        calls += [(_every(min(x.interval, POLL_INTERVAL), self._look), (x,), None) for x in self._scheduled.values()]
        self._worker = PeriodicWorker(calls, executor_factory=_Threads, schedule_strategy="last_finished", log=LOG)
        if not self._stopping.is_set():
            self._worker.start()

    def _beat(self) -> None:
        """Say that we live: as the leader, and as who runs what runs here."""
        led = self._leadership is not None and self._leadership.leads
        leads = self._leadership is not None and self._leadership.beat()
        if leads and not led:
            self._due.clear()  # others may have run them meanwhile
        self._extend()

    def _extend(self) -> None:
        for held in list(self._holds):
            began = time.monotonic()
            try:
                if self._jobs.hold(held, self._holder, self._ttl) and held in self._holds:
                    self._holds[held] = began + self._ttl
            except errors.DatabaseUnavailable as exc:
                LOG.warning("periodic jobs: the lease of %s can't be extended now: %s", held, exc)

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

    def _run_wanted(self, scheduled: Scheduled) -> None:
        more = True
        while more and not self._stopping.is_set():
            self._wanted.begin(scheduled.name)
            try:
                self.run(scheduled, dry_run=scheduled.dry_run)
            except errors.ImageBusy:
                self._stopping.wait(BUSY_RETRY)
                continue
            except errors.GlanceError as exc:
                LOG.warning("periodic job %s: %s", scheduled.name, exc)
            except Exception:
                LOG.exception("periodic job %s could not be run", scheduled.name)
            more = self._wanted.more(scheduled.name)

    def _seconds_left(self, scheduled: Scheduled) -> float:
        record = self._jobs.record(scheduled.row)
        if record.started_at is None:
            return 0.0
        if record.ended_at is None:  # cut off
            return 0.0
        failed = (record.report or {}).get("outcome") != RunOutcome.DONE.value
        spell = min(scheduled.interval, RETRY_AFTER) if failed else scheduled.interval
        return (record.started_at + timedelta(seconds=spell) - datetime.now(UTC)).total_seconds()

    def _leads(self) -> bool:
        return self._leadership is not None and self._leadership.leads

    # -- one run -----------------------------------------------------------------------------------
    def run(self, scheduled: Scheduled, *, dry_run: bool) -> JobResult:
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

    def _run(self, scheduled: Scheduled, *, dry_run: bool, leading: bool) -> JobResult:
        """A dry run is neither held nor recorded when an operator asks for it; one that the configuration makes dry
        is."""
        name, held, quiet = scheduled.name, scheduled.row, dry_run and not leading
        began = time.monotonic()
        if not quiet:
            self._hold(scheduled)
        try:
            record, started = self._jobs.record(held), datetime.now(UTC)
            if not quiet:
                record = replace(record, started_at=started, ended_at=None)
                self._jobs.keep(held, self._holder, record)
            turn = JobRun(
                held,
                record,
                self._alive(None if quiet else held, leading=leading),
                self._stopping,
                dry_run=dry_run,
                jobs=None if quiet else self._jobs,
                holder=self._holder,
            )
            outcome = self._guarded(scheduled, turn)
            run = JobResult(name, dry_run, outcome, started, time.monotonic() - began, turn.report())
            if not quiet:
                self._keep(held, run, turn)
        finally:
            if not quiet:
                self._holds.pop(held, None)
                try:
                    self._jobs.let_go(held, self._holder)
                except errors.DatabaseUnavailable as exc:
                    LOG.warning("periodic job %s: %s", name, exc)
        self._tell(run, scheduled.job.alarms, counted=not quiet)
        return run

    def _hold(self, scheduled: Scheduled) -> None:
        """Raises ImageBusy. The database tells processes apart, not the threads of one."""
        held = scheduled.row
        with self._holding:
            if held in self._holds:
                raise errors.ImageBusy(f"the job {scheduled.name} is running in this process")
            self._holds[held] = time.monotonic() + self._ttl
        try:
            if not self._jobs.hold(held, self._holder, self._ttl):
                raise errors.ImageBusy(f"the job {scheduled.name} is running elsewhere: {self._jobs.holder(held)}")
        except BaseException:
            self._holds.pop(held, None)
            raise

    def _guarded(self, scheduled: Scheduled, turn: JobRun) -> RunOutcome:
        try:
            with tracing.span(
                f"job {scheduled.name}", parent={}, current=False
            ):  # what it does for a million images is told by its report
                scheduled.job.run(turn)
        except errors.JobStopped as exc:
            LOG.info("periodic job %s: cut off: %s", scheduled.name, exc)
            return RunOutcome.STOPPED
        except errors.GlanceError as exc:
            LOG.error("periodic job %s failed: %s", scheduled.name, exc)
            turn.fail(str(exc))
            return RunOutcome.FAILED
        except Exception as exc:
            LOG.exception("periodic job %s failed", scheduled.name)
            turn.fail(f"it failed ({type(exc).__name__}); the log of {self._holder} says why")
            return RunOutcome.FAILED
        return RunOutcome.DONE

    def _keep(self, held: str, run: JobResult, turn: JobRun) -> None:
        """A run that was cut off stays one that has not ended: whoever leads next goes on at once."""
        record: JobRecord = replace(
            turn.record, report=run.as_json(), ended_at=None if run.outcome is RunOutcome.STOPPED else datetime.now(UTC)
        )
        try:
            self._jobs.keep(held, self._holder, record)
        except errors.LeaseLost as exc:
            LOG.warning("periodic job %s: its report was not kept: %s", run.job, exc)

    def _alive(self, held: str | None, *, leading: bool) -> Callable[[], None]:
        """What ``Turn.check`` does; cheap enough for every piece of data."""

        def check() -> None:
            if self._stopping.is_set():
                raise errors.JobStopped("the process is stopping")
            if leading and not self._leads():
                raise errors.JobStopped("this process no longer leads")
            if held and time.monotonic() >= self._holds.get(held, 0.0):
                raise errors.JobStopped("this process could not say in time that it lives")

        return check

    def _tell(self, run: JobResult, alarms: frozenset[str], *, counted: bool) -> None:
        """``counted``: in the metrics, which tell when a job has last done something."""
        alarming = [x for x in run.report.findings if x.kind in alarms]
        level = (
            logging.ERROR
            if alarming or run.outcome is RunOutcome.FAILED
            else logging.WARNING
            if run.report.errors
            else logging.INFO
        )
        words = [*(f"{x.kind}: {x.subject}" for x in alarming), *run.report.errors][:_TOLD]
        LOG.log(
            level,
            "periodic job %s: %s in %.1f s%s: %s%s",
            run.job,
            run.outcome.value,
            run.seconds,
            " (dry run)" if run.dry_run else "",
            ", ".join(f"{name} {number}" for name, number in sorted(run.report.counts.items())) or "nothing to do",
            "".join(f"; {x}" for x in words),
        )
        if not counted:
            return
        metrics.PERIODIC_RUNS.labels(run.job, run.outcome.value).inc()
        metrics.PERIODIC_LAST_RUN.labels(run.job).set(time.time())
        metrics.PERIODIC_SECONDS.labels(run.job).set(run.seconds)
        for name, number in run.report.counts.items():
            metrics.PERIODIC_COUNTS.labels(run.job, name).inc(number)


def leader(jobs: JobRepository) -> str | None:
    """Which process leads, as the database tells."""
    return jobs.holder(LEADER)


def row(name: str, machine: str | None = None) -> str:
    return f"{PREFIX}{name}" + (f"@{machine}" if machine else "")


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
    """A daemon thread for each call: a pool's threads would keep the process from ending until the longest job is
    done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        future: futures.Future[Any] = futures.Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as exc:  # noqa: BLE001 (the future's reader sees it)
                future.set_exception(exc)

        threading.Thread(target=run, name="periodic-job", daemon=True).start()
        return future
