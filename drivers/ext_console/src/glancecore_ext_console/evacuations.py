"""Stores that an operator empties from the console: what each run has done so far, for every process to tell."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.errors import for_operators
from glancecore.domain.events import EventName, ExtensionEvent
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.record_repository import Record, RecordAdded, RecordChanged
from glancecore.ports.upkeep import MoveOutcome, MoveResult
from glancecore.sdk.workers import Workers

LOG = logging.getLogger(__name__)
EVACUATIONS = Collection("console.evacuations")
EVACUATED = EventName("console.evacuate")
#: How long what became of a run can be read, and of how many images it says why they stay.
_KEPT, _PROBLEMS = timedelta(days=7), 100
#: Stores that one process empties at once.
_AT_ONCE = 4
#: Seconds between two notes of a run's progress, and without one after which its process is taken for dead.
_PACE, DEAD = 2.0, 60.0


class Evacuations:
    """One of each store is known, the last one. It goes on in the process that was asked, as long as that lives;
    another run goes on from there."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.workers = Workers("console-evacuations", _AT_ONCE)
        self._lock = threading.Lock()
        self._here = 0

    def begin(self, ctx: Context, store: str, *, dry_run: bool) -> Mapping[str, object]:
        """It goes on after this returns. Raises NotFound, Conflict, ServerBusy."""
        run = _Run(self._kernel, store, self.workers.stopping)
        moves = self._kernel.upkeep.evacuate(store, dry_run=dry_run, alive=run.alive, stopping=self.workers.stopping)
        before = _get(self._kernel, store)
        if before is not None and _state(self._kernel, before) == "running":
            raise errors.Conflict(f"store {store} is emptied already, by {before.data['by']}; stop that first")
        with self._lock:
            if self._here >= _AT_ONCE:
                raise errors.ServerBusy(
                    f"this process empties {_AT_ONCE} stores already; try again when one of them is done"
                )
            self._here += 1
        try:
            at = _time(self._kernel.clock())
            data = {
                "run": run.id,
                "state": "running",
                "stopping": False,
                "dry_run": dry_run,
                "by": ctx.user,
                "started_at": at,
                "seen_at": at,
                "ended_at": None,
                "why": "",
                "images": self._kernel.upkeep.held(store),
                **run.told(),
            }
            record = Record(EVACUATIONS.name, store, data, expires_at=self._kernel.clock() + _KEPT)
            self._keep(
                before,
                record,
                ExtensionEvent(
                    EVACUATED, store, {"store": store, "dry_run": dry_run, "user": ctx.user, "project": ctx.project}
                ),
            )
            self.workers.submit(partial(self._run, run, moves))
        except BaseException:
            self._ended()
            raise
        return _shown(self._kernel, record)

    def stop(self, store: str) -> None:
        """It ends within seconds, in whatever process; one that has ended stays as it is."""
        while (record := _get(self._kernel, store)) is not None and _state(self._kernel, record) == "running":
            try:
                self._kernel.writer.save(
                    RecordChanged(
                        record, replace(record, data={**record.data, "stopping": True}, version=record.version + 1)
                    )
                )
            except (errors.ConcurrentChange, errors.RecordNotFound):
                continue
            return

    def of(self, store: str) -> Mapping[str, object] | None:
        record = _get(self._kernel, store)
        return None if record is None else _shown(self._kernel, record)

    # -- inside ------------------------------------------------------------------------------------
    def _keep(self, before: Record | None, record: Record, event: ExtensionEvent) -> None:
        change = (
            RecordAdded(record)
            if before is None
            else RecordChanged(before, replace(record, version=before.version + 1))
        )
        try:
            self._kernel.writer.save(change, events=[event])
        except (errors.RecordExists, errors.ConcurrentChange, errors.RecordNotFound) as exc:
            raise errors.Conflict(f"store {record.id} is emptied already, since just now") from exc

    def _run(self, run: _Run, moves: Iterator[MoveResult]) -> None:
        try:
            run.go(moves)
        finally:
            self._ended()

    def _ended(self) -> None:
        with self._lock:
            self._here -= 1


class _Run:
    """One run, in the thread that does it."""

    def __init__(self, kernel: Kernel, store: str, ending: threading.Event) -> None:
        self.id = secrets.token_hex(8)
        self._kernel = kernel
        self._store = store
        self._ending = ending
        self._counts = dict.fromkeys(MoveOutcome, 0)
        self._bytes = 0
        self._problems: list[Mapping[str, str]] = []
        self._noted = time.monotonic()

    def told(self) -> dict[str, object]:
        return {
            **{x.value: count for x, count in self._counts.items()},
            "bytes": self._bytes,
            "problems": list(self._problems),
        }

    def alive(self) -> None:
        """Raises JobStopped."""
        if self._ending.is_set():
            raise errors.JobStopped("the process that did it has ended")
        if time.monotonic() - self._noted >= _PACE:
            self._noted = time.monotonic()
            self._note({})

    def go(self, moves: Iterator[MoveResult]) -> None:
        state, why = "ended", ""
        try:
            for moved in moves:
                self._add(moved)
        except errors.JobStopped as exc:
            state, why = "stopped", str(exc)
        except errors.GlanceError as exc:
            state, why = "failed", for_operators(exc)
        except Exception:
            state, why = "failed", "an unexpected error, which is in the log of the process that did it"
            LOG.exception("store %s can't be emptied", self._store)
        self._note({"state": state, "why": why, "ended_at": _time(self._kernel.clock())})

    def _add(self, moved: MoveResult) -> None:
        self._counts[moved.outcome] += 1
        self._bytes += moved.bytes
        if moved.why and len(self._problems) < _PROBLEMS:
            self._problems.append({"image": moved.image, "outcome": moved.outcome.value, "why": moved.why[:500]})

    def _note(self, end: Mapping[str, object]) -> None:
        """What it has done so far, for others to see. Raises JobStopped when somebody has told it to stop, or begun
        another one."""
        while (record := _get(self._kernel, self._store)) is not None and record.data["run"] == self.id:
            if record.data["stopping"] and not end:
                raise errors.JobStopped("somebody has stopped it")
            data = {**record.data, **self.told(), "seen_at": _time(self._kernel.clock()), **end}
            try:
                self._kernel.writer.save(RecordChanged(record, replace(record, data=data, version=record.version + 1)))
            except (errors.ConcurrentChange, errors.RecordNotFound):
                continue
            return
        if not end:
            raise errors.JobStopped("another process has begun it anew")


def _get(kernel: Kernel, store: str) -> Record | None:
    try:
        return kernel.records.get(EVACUATIONS.name, store)
    except errors.RecordNotFound:
        return None


def _state(kernel: Kernel, record: Record) -> str:
    """One whose process has died does not run any more, whatever it has said last."""
    seen = datetime.fromisoformat(str(record.data["seen_at"]))
    dead = record.data["state"] == "running" and (kernel.clock() - seen).total_seconds() > DEAD
    return "cut off" if dead else str(record.data["state"])


def _shown(kernel: Kernel, record: Record) -> Mapping[str, object]:
    return {**{name: value for name, value in record.data.items() if name != "run"}, "state": _state(kernel, record)}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
