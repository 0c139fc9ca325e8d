"""TaskFlow's job boards: an import is posted as a job that holds its task's id, and a conductor of any process takes
it.

The board dispatches and nothing more. Who may work on an image is told by its lease in the database; a job that is lost
is posted again by whoever finds the expired lease, and one that comes twice finds its task ended. With ``pipeline`` the
only file that imports taskflow."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from taskflow import exceptions as flow_errors
from taskflow.conductors.backends.impl_nonblocking import NonBlockingConductor

from glancecore.domain.errors import ConfigError, StoreUnavailable
from glancecore.features.imports.dispatch.fair_queue import FairQueue
from glancecore.features.imports.dispatch.runner import ImportRunner, JobOutcome

LOG = logging.getLogger(__name__)


class Board:
    """One board; connects at the first use. ``claim_ttl``: seconds after which the claim of a dead conductor is free
    again."""

    def __init__(self, url: str, name: str, claim_ttl: float) -> None:
        self._make, self._expires = _parsed(url, name, claim_ttl)
        self._name = name
        self._ttl = claim_ttl
        self._lock = threading.Lock()
        self._connected: Any = None
        self._conductor: Any = None
        self._done = threading.Event()

    def post(self, task_id: str, project: str) -> None:
        """Make sure that there is a job for the task, which is ``project``'s. Raises StoreUnavailable when the board is
        not there."""
        try:
            board = self._board()
            if all(x.name != task_id for x in board.iterjobs(ensure_fresh=True)):
                board.post(task_id, details={"task_id": task_id, "project": project})
        except Exception as exc:
            LOG.warning("the job board does not take task %s: %s", task_id, exc)
            self._forget_connection()
            raise StoreUnavailable("the job board is not available") from exc

    def ping(self) -> None:
        """Raises ConfigError when the board can't be reached."""
        try:
            list(self._board().iterjobs(ensure_fresh=True))
        except ConfigError:
            raise
        except Exception as exc:
            raise ConfigError(
                f"[jobboard] url: the board can't be reached: {type(exc).__name__}; start it, or correct the address"
            ) from exc

    def conduct(self, runner: ImportRunner, workers: int, share: int, who: str) -> None:
        """Work on jobs until ``stop``; ``workers`` at once, ``share`` of one project."""
        shares: FairQueue[str] = FairQueue(share)
        threading.Thread(target=self._extend, name="claims", daemon=True).start()
        while not self._done.is_set():
            try:
                board = self._board()
                _guard(board, runner, shares, self._ttl if self._expires else None)
                self._conductor = _Conductor(who, board, runner, shares, workers)
                if not self._done.is_set():
                    self._conductor.run()
            except Exception as exc:  # noqa: BLE001 (each board has its own errors; it may come back)
                LOG.warning("the job board is not available: %s: %s; trying again", type(exc).__name__, exc)
                self._forget_connection()
                self._done.wait(1)

    def stop(self) -> None:
        """Take no more jobs; ``conduct`` returns when those that run have ended or were stopped."""
        self._done.set()
        if self._conductor is not None:
            self._conductor.stop()

    def close(self) -> None:
        self._done.set()
        self._forget_connection()

    # -- inside ------------------------------------------------------------------------------------
    def _board(self) -> Any:
        with self._lock:
            if self._connected is None:
                board = self._make()
                board.connect()
                self._connected = board
            return self._connected

    def _forget_connection(self) -> None:
        with self._lock:
            board, self._connected = self._connected, None
        if board is not None:
            try:
                board.close()
            except Exception:  # it is being thrown away
                LOG.debug("closing the job board failed", exc_info=True)

    def _extend(self) -> None:
        """Claims that expire are extended while their jobs run: those of redis never expire by themselves, and then
        never at all."""
        while self._expires and not self._done.wait(self._ttl / 3):
            for job in list(self._conductor.running if self._conductor is not None else ()):
                try:
                    job.extend_expiry(self._ttl)
                except Exception as exc:  # noqa: BLE001 (the lease in the database decides who works)
                    LOG.warning("the claim of task %s could not be extended: %s", job.name, exc)


class _Conductor(NonBlockingConductor):  # type: ignore[misc]
    """Claims, bounds and consumes as TaskFlow does it; what is dispatched is the import of the task that a job
    names."""

    def __init__(self, who: str, board: Any, runner: ImportRunner, shares: FairQueue[str], workers: int) -> None:
        super().__init__(who, board, max_simultaneous_jobs=workers)
        self._runner = runner
        self._shares = shares
        self.running: set[Any] = set()

    def _dispatch_job(self, job: Any) -> bool:
        """Whether the job is to be consumed. Raises nothing: TaskFlow would throw the job away."""
        self.running.add(job)
        try:
            return self._runner.take(str(job.details["task_id"])) is JobOutcome.ENDED
        except Exception:
            LOG.exception("job %s failed; it stays on the board", job.name)
            return False
        finally:
            self.running.discard(job)
            self._shares.done(_project(job))


def _project(job: Any) -> str:
    return str(job.details.get("project") or "")


def _guard(board: Any, runner: ImportRunner, shares: FairQueue[str], ttl: float | None) -> None:
    """A job is claimed only when its image is free and its project has not its share, and for a limited time where the
    board lets us say so."""
    claim = board.claim

    def careful(job: Any, who: str) -> None:
        try:
            free = runner.may_take(str(job.details["task_id"]))
        except Exception as exc:
            raise flow_errors.UnclaimableJob(f"job {job.name} can't be looked at now") from exc
        if not free:
            raise flow_errors.UnclaimableJob(f"somebody works on {job.name}")
        if not shares.takes(_project(job)):
            raise flow_errors.UnclaimableJob(f"the project of {job.name} has its share of workers")
        try:
            claimed(job, who)
        except BaseException:
            shares.done(_project(job))
            raise

    def claimed(job: Any, who: str) -> None:
        try:
            if ttl is None:
                claim(job, who)
            else:
                claim(job, who, expiry=max(1, int(ttl)))  # etcd counts whole seconds
        except flow_errors.TaskFlowException:
            raise
        except Exception as exc:  # of the board's client; a conductor knows how to wait after a JobFailure
            raise flow_errors.JobFailure(f"job {job.name} could not be claimed: {exc}") from exc

    board.claim = careful


def _parsed(url: str, name: str, ttl: float) -> tuple[Callable[[], Any], bool]:
    """How to make the board, and whether its claims need extending. Raises ConfigError."""
    parts = urlsplit(url)
    try:
        port = None if parts.scheme == "zookeeper" else parts.port
    except ValueError:
        port = -1
    if port == -1 or not parts.netloc or parts.scheme not in _KINDS:
        raise ConfigError(
            f"[jobboard] url: give redis://host:port, etcd://host:port or zookeeper://host:port, not {parts.scheme or 'nothing'}://…"
        )
    try:
        return _KINDS[parts.scheme](parts, port, name, ttl)
    except ImportError as exc:
        extra = {"rediss": "redis", "etcds": "etcd"}.get(parts.scheme, parts.scheme)
        raise ConfigError(f"[jobboard] url: {exc}; install taskflow[{extra}]") from exc


def _redis(parts: Any, port: int | None, name: str, _ttl: float) -> tuple[Callable[[], Any], bool]:
    from taskflow.jobs.backends.impl_redis import RedisJobBoard

    conf: dict[str, Any] = {
        "host": parts.hostname,
        "port": port or 6379,
        "namespace": name,
        "db": int(parts.path.strip("/") or 0),
        "ssl": parts.scheme == "rediss",
        "socket_connect_timeout": 5.0,
        "socket_timeout": 30.0,
    }
    if parts.username:
        conf["username"] = unquote(parts.username)
    if parts.password:
        conf["password"] = unquote(parts.password)
    return lambda: RedisJobBoard(name, conf), True


def _etcd(parts: Any, port: int | None, name: str, ttl: float) -> tuple[Callable[[], Any], bool]:
    from taskflow.jobs.backends.impl_etcd import EtcdJobBoard

    conf = {
        "host": parts.hostname,
        "port": port or 2379,
        "path": name,
        "ttl": int(ttl),
        "protocol": "https" if parts.scheme == "etcds" else "http",
    }
    return lambda: EtcdJobBoard(name, conf), True


def _zookeeper(parts: Any, _port: int | None, name: str, _ttl: float) -> tuple[Callable[[], Any], bool]:
    """A claim goes with the session of its conductor."""
    from taskflow.jobs.backends.impl_zookeeper import ZookeeperJobBoard

    conf = {"hosts": parts.netloc, "path": f"/taskflow/{name}"}
    return lambda: ZookeeperJobBoard(name, conf), False


_KINDS = {"redis": _redis, "rediss": _redis, "etcd": _etcd, "etcds": _etcd, "zookeeper": _zookeeper}
