"""A login at a vCenter, kept alive: calls are made again once when the vCenter has ended the session meanwhile."""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import SoapStubAdapter

from glancecore.domain import errors
from glancecore.ports.options import Section

LOG = logging.getLogger(__name__)
T = TypeVar("T")
#: The API's version that is spoken: vSphere 6.0's, which every later one speaks, too.
VERSION = "vim.version.version10"
_IN_USE = (vim.fault.FileLocked, vim.fault.ResourceInUse, vim.fault.InvalidState)
_NO_ACCESS = (vim.fault.NoPermission, vim.fault.InvalidLogin, vim.fault.NotAuthenticated)
_FULL = (
    (vim.fault.NoDiskSpace, vim.fault.InsufficientStorageSpace)
    if hasattr(vim.fault, "InsufficientStorageSpace")
    else (vim.fault.NoDiskSpace,)
)


class Session:
    """Connects at the first use, and again after ``close``. Thread-safe."""

    def __init__(self, name: str, conf: Section) -> None:
        self._name = name
        self._conf = conf
        host, _, port = conf.vmware_server_host.rpartition(":")
        self.host, self.port = (host, int(port)) if host and port.isdecimal() else (conf.vmware_server_host, 443)
        self.tls = _tls(name, conf)
        self._lock = threading.Lock()
        self._instance: Any = None

    def content(self) -> Any:
        """The service's content, with a login."""
        return self._connected().content

    def cookie(self) -> str:
        """For the datastores' web access; the session is alive now, or a new one."""
        self.call(lambda content: content.sessionManager.currentSession.key)
        return str(self._connected()._stub.cookie).partition(";")[0]  # noqa: SLF001 (there is no public way to it)

    def call(self, ask: Callable[[Any], T]) -> T:
        """``ask`` is given the service's content. It is called again with a new login when the old one has ended."""
        with named_errors(self._name):
            instance = self._connected()
            try:
                return ask(instance.content)
            except (vim.fault.NotAuthenticated, AttributeError, http.client.HTTPException, ConnectionError) as exc:
                # without a session currentSession is unset; an idle connection may have been closed by the other side
                LOG.info("store %s: logging in again: %s", self._name, type(exc).__name__)
                self._forget(instance)
                return ask(self._connected().content)

    def task(self, begin: Callable[[Any], Any]) -> Any:
        """Run a task of the vCenter to its end; its result. Raises its fault."""

        def run(content: Any) -> Any:
            task = begin(content)
            end = time.monotonic() + self._conf.vmware_task_timeout
            while True:
                state = self._look_at(content, task)
                if state["info.state"] == vim.TaskInfo.State.success:
                    return state.get("info.result")
                if state["info.state"] == vim.TaskInfo.State.error:
                    raise state["info.error"]
                if time.monotonic() > end:
                    raise errors.StoreUnavailable(
                        f"store {self._name}: the vCenter has not ended a task in time", self._name
                    )
                time.sleep(self._conf.vmware_task_poll_interval)

        return self.call(run)

    def close(self) -> None:
        with self._lock:
            instance, self._instance = self._instance, None
        if instance is not None:
            with suppress(Exception):  # it may be gone already
                instance.content.sessionManager.Logout()
            instance._stub.DropConnections()  # noqa: SLF001

    # -- inside ------------------------------------------------------------------------------------
    def _connected(self) -> Any:
        with self._lock:
            if self._instance is None:
                self._instance = self._login()
            return self._instance

    def _login(self) -> Any:
        """With a fixed version: pyVim.connect asks for the newest one, without a timeout, and nothing newer is
        needed."""
        stub = SoapStubAdapter(
            host=self.host,
            port=self.port,
            version=VERSION,
            sslContext=self.tls,
            httpConnectionTimeout=self._conf.vmware_http_timeout,
        )
        try:
            instance: Any = vim.ServiceInstance("ServiceInstance", stub)
            instance.content.sessionManager.Login(self._conf.vmware_server_username, self._conf.vmware_server_password)
        except BaseException:
            stub.DropConnections()
            raise
        return instance

    def _forget(self, instance: Any) -> None:
        with self._lock:
            if self._instance is instance:
                self._instance = None
        instance._stub.DropConnections()  # noqa: SLF001

    def _look_at(self, content: Any, task: Any) -> dict[str, Any]:
        """By the property collector: reading the whole of ``task.info`` would fetch much more, each time."""
        query = vmodl.query.PropertyCollector
        wanted = query.FilterSpec(
            propSet=[query.PropertySpec(type=vim.Task, pathSet=["info.state", "info.error", "info.result"])],
            objectSet=[query.ObjectSpec(obj=task)],
        )
        found = content.propertyCollector.RetrievePropertiesEx([wanted], query.RetrieveOptions())
        return {x.name: x.val for x in found.objects[0].propSet}


@contextmanager
def named_errors(store: str) -> Iterator[None]:
    """What a vCenter raises, as the errors of the port. Its texts may name hosts, folders and users: they go to the log
    only."""
    try:
        yield
    except vim.fault.FileNotFound as exc:
        raise errors.BlobNotFound(f"store {store} does not have it", store) from exc
    except vim.fault.FileAlreadyExists as exc:
        raise errors.BlobExists(f"it is already in store {store}", store) from exc
    except _IN_USE as exc:
        raise errors.BlobInUse(f"store {store}: the file is in use", store) from exc
    except _FULL as exc:
        raise errors.StoreFull(f"store {store} is full", store) from exc
    except _NO_ACCESS as exc:
        raise errors.StoreForbidden(f"store {store}: the vCenter refuses access", store) from exc
    except (OSError, http.client.HTTPException, vmodl.RuntimeFault, vim.fault.HostConnectFault) as exc:
        raise errors.StoreUnavailable(f"store {store}: the vCenter does not answer", store) from exc


def _tls(name: str, conf: Section) -> ssl.SSLContext:
    """Raises ConfigError."""
    try:
        context = ssl.create_default_context(cafile=conf.vmware_ca_file or None)
    except (OSError, ssl.SSLError):
        raise errors.ConfigError(
            f"[{name}] vmware_ca_file = {conf.vmware_ca_file} can't be read: name a file of PEM certificates that the"
            " service may read"
        ) from None
    if conf.vmware_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
