"""An import as a TaskFlow flow, kept in a logbook so that another process can go on with it.

The atoms are named by what they do and take plain values; what they work with is found by the token of its lease, in
the process that runs them. An atom whose process dies runs again from its beginning: each finds what it has done
already in the tables. Three endings of an atom: it returns; it raises, which fails the import; or it is stopped
(``_Stopped``), which leaves the logbook as a death of the process would."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from taskflow import engines, task
from taskflow import exceptions as flow_errors
from taskflow.flow import Flow
from taskflow.patterns import linear_flow, unordered_flow
from taskflow.persistence import models

from glancecore.domain import errors
from glancecore.features.imports.failure import record_failure
from glancecore.features.imports.flow.document_logbook import DocumentBackend
from glancecore.features.imports.flow.logbook import Logbooks
from glancecore.features.imports.run import ImportRun
from glancecore.features.imports.stages import fetching, writing
from glancecore.features.imports.stages.verification import Expected
from glancecore.features.imports.stages.watch import Watch
from glancecore.features.imports.stages.work import StepWork
from glancecore.features.imports.staging import enforce
from glancecore.kernel.quiet_imports import without_eventlet
from glancecore.sdk import log_lines, tracing
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)

#: What stops an atom without failing the import: somebody else has it, this process ends, or the database is away.
_STOPS = (errors.LeaseLost, errors.ImportSuspended, errors.DatabaseUnavailable)
#: It can't be written, or somebody who has lost the image wrote into it at this moment.
_LOGBOOK_FAILURES = (flow_errors.StorageFailure, errors.DatabaseUnavailable, errors.ConcurrentChange)
#: Token of its lease -> the run in this process. Not by task: a process may take an import over while its own thread
#: that has lost it still ends.
_RUNS: dict[str, tuple[ImportRun, Expected]] = {}


class _Stopped(BaseException):
    """Not an Exception: TaskFlow must neither record nor revert anything."""


class _Atom(task.Task):  # type: ignore[misc]
    """``stage`` is also the atom's name. Idempotent."""

    def __init__(self, stage: str) -> None:
        super().__init__(name=stage)
        self.stage = stage

    def execute(self, token: str) -> None:
        run, expected = _RUNS[token]
        try:
            run.check_alive()
            with tracing.span(f"import {self.stage}"):
                self.work(run, expected)
        except _STOPS as exc:
            raise _Stopped from exc
        except (Exception, SystemExit) as exc:  # a plugin may call sys.exit
            if run.task.finished:
                raise
            cause = self._cause(run, exc)
            try:
                record_failure(
                    run, cause
                )  # before TaskFlow writes it down: what is in its logbook has no code, and no lease guards it
            except _STOPS as stop:
                raise _Stopped from stop
            if cause is exc:
                raise
            raise cause from exc

    def _cause(self, run: ImportRun, exc: Exception | SystemExit) -> errors.GlanceError:
        if isinstance(exc, errors.GlanceError):
            return exc
        LOG.error("image %s: import failed in %s", run.image_id, self.stage, exc_info=exc)
        return errors.ImportFailed(f"{self.stage.partition(':')[2] or self.stage} failed; the operator's log says why")

    def work(self, run: ImportRun, expected: Expected) -> None:
        raise NotImplementedError


class Fetch(_Atom):
    def work(self, run: ImportRun, expected: Expected) -> None:
        run.save(task=lambda x: x.at("fetch"))
        fetching.fetch(run, expected)


class Verify(_Atom):
    def work(self, run: ImportRun, expected: Expected) -> None:
        expected.verify(run)


class Step(_Atom):
    """``undo`` raises nothing: TaskFlow would leave out the remaining reverts and hide the first error."""

    @property
    def step_name(self) -> str:
        return self.stage.partition(":")[2]

    def work(self, run: ImportRun, expected: Expected) -> None:  # noqa: ARG002 (one signature for all)
        step = run.steps[self.step_name]
        staged = run.image().staged
        if staged is not None and staged.worked is not None and self.step_name in staged.worked.steps:
            return  # an earlier import got further
        run.save(task=lambda x: x.at(self.stage))
        checkpoint("step.begun")
        if not step.takes_anything and staged is not None:
            enforce(staged)
        work = StepWork(run, self.step_name)
        try:
            with Watch(run) as watch:  # a cancelled import ends at the step's next look
                watch.over(lambda: step.run(work))
            work.finish()
        finally:
            work.close()
        if work.replaced:  # the steps before it have seen the data that is gone
            names = list(run.steps)
            run.save(image=lambda x: x.with_checkpoint(*names[: names.index(self.step_name) + 1]))
        checkpoint("step.done")

    def revert(self, token: str, **_: Any) -> None:
        run, _expected = _RUNS[token]
        try:
            undo(run, self.step_name)
        except _STOPS as exc:
            raise _Stopped from exc


class Check(_Atom):
    """Nothing goes to a store before it was found safe and what it is said to be."""

    def work(self, run: ImportRun, expected: Expected) -> None:  # noqa: ARG002
        staged = run.image().staged
        if staged is not None:
            enforce(staged)


class Write(_Atom):
    def work(self, run: ImportRun, expected: Expected) -> None:  # noqa: ARG002
        writing.write(run, self.stage.partition(":")[2])


class Finish(_Atom):
    def work(self, run: ImportRun, expected: Expected) -> None:  # noqa: ARG002
        writing.finish(run)


def undo(run: ImportRun, name: str) -> None:
    """Once for a run, at most; what the step raises is logged, unless it was only stopped."""
    if name in run.undone or name not in run.steps:
        return
    run.undone.add(name)
    work = StepWork(run, name)
    try:
        run.steps[name].undo(work)
    except errors.LeaseLost:
        LOG.info("image %s: %s is not undone: the image is not ours any more", run.image_id, name)
    except (errors.ImportSuspended, errors.DatabaseUnavailable):
        run.undone.discard(name)
        raise
    except (Exception, SystemExit):  # whatever a plugin raises
        LOG.exception("image %s: step %s could not be undone", run.image_id, name)
    finally:
        work.close()
    checkpoint("fail.undone")


def make_flow(steps: Sequence[str], stores: Sequence[str], parallel: int) -> Flow:
    """The factory that the logbook names. All arguments are plain values; the atoms' names are stable."""
    flow = linear_flow.Flow("import")
    flow.add(Fetch("fetch"), Verify("verify"), *(Step(f"step:{name}") for name in steps), Check("check"))
    writes = unordered_flow.Flow("write") if parallel > 1 and len(stores) > 1 else linear_flow.Flow("write")
    writes.add(*(Write(f"write:{store}") for store in stores))
    flow.add(writes, Finish("finish"))
    return flow


class Pipeline:
    """Runs flows."""

    def __init__(self, logbooks: Logbooks) -> None:
        self._logbooks = logbooks

    def run(self, run: ImportRun, parallel: int) -> None:
        """ImportRun the flow of a task, or go on with it where it was left. Raises something when it has failed, which
        the task then says unless it was no part of it; LeaseLost, ImportSuspended, DatabaseUnavailable when it was only
        stopped."""
        token = run.lease.token
        _RUNS[token] = run, Expected()
        try:
            # not TaskFlow's own: the end of its threads takes a second
            with self._writers(parallel) as writers:
                self._engine_for(run, parallel, writers).run()
        except _Stopped as exc:
            if isinstance(exc.__cause__, Exception):
                raise exc.__cause__ from None
            raise
        except _LOGBOOK_FAILURES as exc:
            raise errors.DatabaseUnavailable("the logbook of imports can't be used at the moment") from exc
        except flow_errors.WrappedFailure as exc:  # several at once
            if exc.check(*_LOGBOOK_FAILURES):
                raise errors.DatabaseUnavailable("the logbook of imports can't be used at the moment") from exc
            raise
        finally:
            del _RUNS[token]

    @staticmethod
    def _writers(parallel: int) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(parallel, f"{threading.current_thread().name}-write", initializer=log_lines.carry())

    def _engine_for(self, run: ImportRun, parallel: int, writers: ThreadPoolExecutor) -> Any:
        """From the logbook when the task has been begun before; the task's id names book and flow."""
        backend = DocumentBackend(self._logbooks, run.task.id)
        connection = backend.get_connection()
        try:
            detail = connection.get_logbook(run.task.id).find(run.task.id)
        except flow_errors.NotFound:
            detail = None
        if detail is not None and detail.meta:
            try:
                return self._load(run, detail, backend, parallel, writers)
            except _LOGBOOK_FAILURES:
                raise
            except Exception as exc:  # noqa: BLE001 (whatever TaskFlow makes of what it can't read)
                LOG.warning(
                    "image %s: the logbook of its import can't be used (%s: %s); it begins anew, with what it has done"
                    " so far",
                    run.image_id,
                    type(exc).__name__,
                    exc,
                )
                self._logbooks.forget(run.task.id)
                backend = DocumentBackend(self._logbooks, run.task.id)
                connection = backend.get_connection()
                detail = None
        if detail is None:
            book, detail = models.LogBook("import", uuid=run.task.id), models.FlowDetail("import", uuid=run.task.id)
            book.add(detail)
            connection.save_logbook(book)
        engines.save_factory_details(
            detail, make_flow, [list(run.steps), list(run.task.stores), parallel], {}, backend=backend
        )
        return self._load(run, detail, backend, parallel, writers)

    @staticmethod
    def _load(run: ImportRun, detail: Any, backend: Any, parallel: int, writers: ThreadPoolExecutor) -> Any:
        how: dict[str, Any] = {"backend": backend, "engine": "serial"}
        if parallel > 1 and len(run.task.stores) > 1:
            how |= {"engine": "parallel", "executor": writers}
        with without_eventlet():  # it loads the engine's module
            engine = engines.load_from_detail(detail, **how)
        # not its `store`: TaskFlow saves that in two steps, and can't load what a death between them leaves
        engine.storage.inject({"token": run.lease.token}, transient=True)
        return engine

    def undo(self, run: ImportRun) -> None:
        """All steps that have begun, the last one first; those that TaskFlow has reverted in this process are done."""
        names, stage = list(run.steps), run.task.progress.stage
        if stage in ("waiting", "fetch"):
            return
        if stage.startswith("step:"):
            names = names[: names.index(stage.partition(":")[2]) + 1]
        for name in reversed(names):
            undo(run, name)
