"""One leader of all processes: who has tooz's lock, and the row of the database that all of them share.

The lock tells soon when its holder's process has died. What tells that there is never a second leader is the row: it is
extended by the database's clock while the lock is held, and a leader whose last extension is too old no longer acts as
one, whatever its lock says (a file lock reaches one machine only, an etcd lock that has expired is not noticed)."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from glancecore.domain import errors
from glancecore.kernel import metrics
from glancecore.kernel.quiet_imports import without_eventlet
from glancecore.ports.job_repository import JobRepository

if TYPE_CHECKING:
    from tooz.coordination import CoordinationDriver
    from tooz.locking import Lock

LOG = logging.getLogger(__name__)
#: Name of the lock, and of the row.
LEADER = "glance-periodic"
#: Scheme of a URL -> the extra of tooz that brings its client.
_EXTRAS = {
    "file": "file",
    "redis": "redis",
    "etcd3+http": "etcd3gw",
    "etcd3+https": "etcd3gw",
    "zookeeper": "zookeeper",
    "mysql": "mysql",
    "postgresql": "postgresql",
}
#: Share of its time after which a leader that could not extend it stops acting as one.
_SURE = 0.8


def check_url(url: str, option: str) -> None:
    """Raises ConfigError when tooz can't use such a URL; nothing is connected to."""
    scheme = url.partition(":")[0]
    if scheme == "file" and urlsplit(url).netloc:
        raise errors.ConfigError(
            f"{option}: in file://name/folder, name is a host, which nothing asks; write file:///folder, with three"
            " slashes"
        )
    try:
        with without_eventlet():
            from tooz import coordination

            coordination.get_coordinator(url, b"check")
    except ImportError as exc:
        raise errors.ConfigError(
            f"{option}: {scheme} needs a module that is not installed ({exc.name}); pip install"
            f" 'tooz[{_EXTRAS.get(scheme, scheme)}]'"
        ) from exc
    except Exception as exc:
        raise errors.ConfigError(
            f"{option}: tooz knows no such URL ({scheme}:…, {type(exc).__name__}); use one of {', '.join(_EXTRAS)}"
        ) from exc


class Leadership:
    """``beat`` every third of ``ttl`` seconds; ``leads`` in between. ``url`` is tooz's."""

    def __init__(self, jobs: JobRepository, holder: str, url: str, ttl: float) -> None:
        self.holder = holder
        self._jobs = jobs
        self._url = url
        self._ttl = ttl
        self._coordinator: CoordinationDriver | None = None
        self._lock: Lock | None = None
        self._until = 0.0
        self._told = False
        self._closed = False
        self._beating = threading.Lock()
        self._noting = threading.Lock()

    @property
    def leads(self) -> bool:
        return time.monotonic() < self._until

    def beat(self) -> bool:
        """Go on leading, or try to; whether we lead. Never raises because of a backend."""
        with self._beating:
            if self._closed:
                return False
            began = time.monotonic()
            try:
                if not self._locked():
                    self._until = 0.0
                elif self._jobs.hold(LEADER, self.holder, self._ttl):
                    self._until = began + self._ttl * _SURE
                elif self.leads:
                    LOG.warning("another process leads the periodic jobs now")
                    self._until = 0.0
            except errors.DatabaseUnavailable as exc:
                LOG.warning("periodic jobs: %s", exc)
            except Exception as exc:  # noqa: BLE001 (what the clients of seven servers raise)
                LOG.warning("periodic jobs: the coordinator can't be used (%s: %s)", type(exc).__name__, exc)
                self._give_up()
            self.note()
            metrics.PERIODIC_LEADER.set(self.leads)
            return self.leads

    def note(self) -> None:
        """Log when we have begun or ceased to lead; also while a beat hangs."""
        with self._noting:
            if self.leads is not self._told:
                self._told = self.leads
                LOG.info("%s the periodic jobs as %s", "leading" if self._told else "no longer leading", self.holder)

    def close(self) -> None:
        """Another process may lead at once; this one won't again."""
        with self._beating:
            self._closed = True
            self._give_up()
            self.note()

    # -- inside ------------------------------------------------------------------------------------
    def _locked(self) -> bool:
        """Take the lock, or see that it is still ours. Raises what tooz raises."""
        if self._coordinator is None:
            with without_eventlet():
                self._coordinator = self._connect()
        if self._lock is None:
            lock = self._coordinator.get_lock(LEADER.encode())
            if not lock.acquire(blocking=False):
                return False
            self._lock = lock
            return True
        self._coordinator.heartbeat()
        import tooz

        try:
            ours = self._lock.is_still_owner()
        except tooz.NotImplemented:  # etcd, MySQL, PostgreSQL: while it is ours, nobody can have it, not even we
            second = self._coordinator.get_lock(LEADER.encode())
            ours = not second.acquire(blocking=False)
            if not ours:
                second.release()
        if not ours:
            LOG.warning("the lock of the periodic jobs was lost")
            self._give_up()
        return ours

    def _connect(self) -> CoordinationDriver:
        from tooz import coordination

        lasts = max(2, int(self._ttl))
        made = coordination.get_coordinator(self._url, self.holder.encode(), timeout=lasts, lock_timeout=lasts)
        made.start()
        return made

    def _give_up(self) -> None:
        """No longer the leader, and from the beginning at the next beat."""
        led, self._until = self.leads, 0.0
        if led:
            with contextlib.suppress(errors.DatabaseUnavailable):
                self._jobs.let_go(LEADER, self.holder)
        lock, coordinator, self._lock, self._coordinator = self._lock, self._coordinator, None, None
        for end in (lock.release if lock else None, coordinator.stop if coordinator else None):
            if end is not None:
                try:
                    end()
                except Exception as exc:  # noqa: BLE001 (it is being given up because it does not answer)
                    LOG.debug("coordinator: %s", exc)
