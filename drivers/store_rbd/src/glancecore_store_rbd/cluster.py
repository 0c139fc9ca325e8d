"""One connection to a Ceph cluster, and what its errors mean. The only file that imports Ceph's bindings."""

from __future__ import annotations

import errno
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glancecore.domain import errors
from glancecore.ports.options import Section

try:
    import rados
    import rbd
except ImportError as exc:
    raise ImportError(
        "Ceph's Python bindings can't be imported: install the packages python3-rados and python3-rbd of your"
        " distribution, and let this environment see them (README of store_rbd)"
    ) from exc

__all__ = ["Cluster", "Connection", "named_errors", "rados", "rbd", "succeed"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SILENT = frozenset(
    {errno.ETIMEDOUT, errno.ESHUTDOWN, errno.ENOTCONN, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.EIO}
)
_DENIED = frozenset({errno.EACCES, errno.EPERM})


#: Connections that are somebody's own at once, each with some ten threads of Ceph's library, and the seconds that one
#: more waits for a place.
APART, PATIENCE = 128, 10.0
#: Seconds that a client stays shut out: longer than a machine stands still that goes on afterwards.
SHUT_OUT = 86_400.0


class Connection:
    """What the cluster sees as one client."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @property
    def address(self) -> str:
        """By which the cluster knows it."""
        text = str(self._handle.get_addrs())
        found = re.search(r"v\d:([^,]+/\d+)", text)
        return found[1] if found else text

    def shut_out(self, address: str) -> None:
        """The cluster refuses all that still comes from the client with this ``address``, for a day. What comes by this
        connection from now on comes behind what was not refused."""
        succeed(self._blocklist(address), "osd blocklist")
        succeed(int(self._handle.wait_for_latest_osdmap()), "osd map")

    def may_shut_out(self) -> bool:
        """Asked with an address that is none: nothing is changed by that."""
        result = self._blocklist("nobody/1")
        if result != -errno.EINVAL and -result not in _DENIED:
            succeed(result, "osd blocklist")
        return -result not in _DENIED

    def _blocklist(self, address: str) -> int:
        return int(
            self._handle.mon_command(
                json.dumps({"prefix": "osd blocklist", "blocklistop": "add", "addr": address, "expire": SHUT_OUT}), b""
            )[0]
        )


class Cluster:
    """Connects at the first use, and again after ``close``. Thread-safe."""

    def __init__(self, name: str, conf: Section) -> None:
        self._name = name
        self._conf = conf
        self._lock = threading.Lock()
        self._handle: Any = None
        self._apart = threading.BoundedSemaphore(APART)

    def start(self) -> None:
        """Raises ConfigError for a missing file or pool, StoreForbidden, StoreUnavailable."""
        file = self._conf.rbd_store_ceph_conf
        if not Path(file).is_file():
            raise errors.ConfigError(
                f"[{self._name}] rbd_store_ceph_conf = {file}: no such file; name the configuration of your Ceph"
                " cluster"
            )
        user, pool = self._conf.rbd_store_user, self._conf.rbd_store_pool
        try:
            self.handle()
        except (rados.ObjectNotFound, rados.PermissionDeniedError) as exc:
            raise errors.StoreForbidden(
                f"[{self._name}] rbd_store_user = {user}: the cluster does not let this user in; check the name, and"
                " that the keyring that the configuration of Ceph names for it is there and can be read",
                self._name,
            ) from exc
        try:
            with self.pool():
                pass
        except rados.ObjectNotFound as exc:
            raise errors.ConfigError(
                f"[{self._name}] rbd_store_pool = {pool}: the cluster has no such pool; make it with `ceph osd pool"
                f" create {pool}` and `rbd pool init {pool}`"
            ) from exc

    @property
    def fsid(self) -> str:
        return str(self.handle().get_fsid())

    def free(self) -> int:
        return int(self.handle().get_cluster_stats()["kb_avail"]) << 10

    def answer(self) -> None:
        """Ask the pool for an object: unlike the monitors' answers, this one comes from where the data is."""
        with self.pool() as pool, suppress(rados.ObjectNotFound):  # a pool without images has no directory of them yet
            pool.stat("rbd_directory")

    def handle(self) -> Any:
        with self._lock:
            if self._handle is None:
                self._handle = self._connected()
            return self._handle

    @property
    def connection(self) -> Connection:
        """That of ``pool``."""
        return Connection(self.handle())

    @contextmanager
    def pool(self) -> Iterator[Any]:
        """The pool's I/O context."""
        with self._context(self.handle()) as context:
            yield context

    @contextmanager
    def apart(self) -> Iterator[tuple[Connection, Any]]:
        """A connection that nobody else has, and the pool's I/O context over it: who shuts it out does no harm to
        others. Raises StoreUnavailable when there are as many as may be."""
        if not self._apart.acquire(timeout=PATIENCE):
            raise errors.StoreUnavailable(
                f"store {self._name}: {APART} parts are written at once already; try again", self._name
            )
        try:
            handle = self._connected()
            try:
                with self._context(handle) as context:
                    yield Connection(handle), context
            finally:
                handle.shutdown()
        finally:
            self._apart.release()

    @contextmanager
    def _context(self, handle: Any) -> Iterator[Any]:
        context = handle.open_ioctx(self._conf.rbd_store_pool)
        try:
            yield context
        finally:
            context.close()

    def close(self) -> None:
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.shutdown()

    def _connected(self) -> Any:
        conf = self._conf
        slow = str(conf.rados_operation_timeout)
        settings = {
            "rados_osd_op_timeout": slow,
            "rados_mon_op_timeout": slow,
            "client_mount_timeout": str(conf.rados_connect_timeout),
            "rbd_cache": "false",
        }  # what was written is in the cluster, not in our memory
        handle = rados.Rados(conffile=conf.rbd_store_ceph_conf, rados_id=conf.rbd_store_user, conf=settings)
        try:
            handle.connect(timeout=conf.rados_connect_timeout)
        except BaseException:
            handle.shutdown()
            raise
        return handle


@contextmanager
def named_errors(store: str) -> Iterator[None]:
    """What Ceph raises, as the errors of the port; others pass. Texts of Ceph may name pools and users: they go to the
    log only."""
    try:
        yield
    except (rbd.ImageNotFound, rados.ObjectNotFound) as exc:
        raise errors.BlobNotFound(f"store {store} does not have it", store) from exc
    except (rbd.ImageBusy, rbd.ImageHasSnapshots) as exc:
        raise errors.BlobInUse(f"store {store}: clones or snapshots depend on it", store) from exc
    except (rbd.Error, rados.Error) as exc:
        number = abs(getattr(exc, "errno", None) or 0)
        if number in _FULL:
            raise errors.StoreFull(f"store {store} is full", store) from exc
        if number in _DENIED or isinstance(exc, (rbd.PermissionError, rados.PermissionDeniedError)):
            raise errors.StoreForbidden(f"store {store}: the cluster refuses access", store) from exc
        if number in _SILENT or isinstance(exc, (rados.TimedOut, rados.RadosStateError, rbd.ConnectionShutdown)):
            raise errors.StoreUnavailable(f"store {store}: the cluster does not answer", store) from exc
        raise


def succeed(result: int, operation: str) -> None:
    """Raises what a completion's return value means."""
    if result < 0:
        raise (
            rbd.OSError(f"{operation} failed", errno=-result)
            if result != -errno.ENOENT
            else rbd.ImageNotFound(operation, errno=errno.ENOENT)
        )
