"""Starts our commands, and the stock clients', from a process that has loaded their libraries already, which is most of
what a start costs.

``GLANCECORE_TEST_WARM=1`` switches it on, as ``tests/run.py`` does; without it every command is started as an operator
does. The nursery (this file, run as a program) imports libraries, and of our own code what is pure: what the rest reads
of the environment, it reads in the command's process, which is a fork of the nursery. Only the standard library is used
on the side of the tests."""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Not prometheus_client, which looks at the environment when it is loaded, nor what loads eventlet where that is
#: installed.
LIBRARIES = (
    "argparse",
    "ctypes",
    "email.parser",
    "logging.handlers",
    "multiprocessing.connection",
    "alembic.command",
    "cryptography.x509",
    "flask",
    "gunicorn.app.base",
    "gunicorn.arbiter",
    "gunicorn.workers.gthread",
    "jsonschema_rs",
    "keystonemiddleware.auth_token",
    "orjson",
    "oslo_config.cfg",
    "oslo_context.context",
    "oslo_log.log",
    "oslo_middleware",
    "oslo_middleware.cors",
    "oslo_policy.policy",
    "oslo_utils.strutils",
    "oslo_utils.timeutils",
    "psycopg",
    "pymysql",
    "requests",
    "sqlalchemy",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "stevedore.named",
    "tenacity",
    "urllib3",
    "yaml",
)
#: Of the stock clients, in an environment of theirs.
CLIENTS = (
    "barbicanclient.osc_plugin",
    "cliff.formatters.json_format",
    "cliff.formatters.table",
    "cliff.formatters.value",
    "cliff.formatters.yaml_format",
    "glanceclient.shell",
    "glanceclient.v2.client",
    "glanceclient.v2.shell",
    "keystoneauth1.identity.v3",
    "keystoneclient.v3.client",
    "openstack.connection",
    "openstack.image.v2._proxy",
    "openstackclient.compute.client",
    "openstackclient.identity.client",
    "openstackclient.image.client",
    "openstackclient.image.v2.image",
    "openstackclient.image.v2.metadef_namespaces",
    "openstackclient.network.client",
    "openstackclient.object.client",
    "openstackclient.shell",
    "openstackclient.volume.client",
)
#: Of our own, with all that is in them.
PURE = ("glancecore.domain", "glancecore.ports")
#: What looks at the environment when it is loaded, or must not be there at all.
NEVER = {"eventlet", "prometheus_client", "glancecore.sdk.checkpoints"}
VARIABLE = "GLANCECORE_TEST_WARM"


class Process:
    """What tests use of ``subprocess.Popen``."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        try:
            self._ended: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._ended = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if self._ended is not None and not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            while not self._status.exists():  # the nursery hears of it at the same time
                time.sleep(0.001)
            self.returncode = int(self._status.read_text())
            self._status.unlink()
            if self._ended is not None:
                os.close(self._ended)
                self._ended = None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()


class Nursery:
    """The tests' end. ``python``: of the environment whose commands it starts; ``libraries``: what it loads for
    them."""

    def __init__(self, python: Path, libraries: Sequence[str]) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours = python == Path(sys.executable)
            self._process = subprocess.Popen(
                [python, __file__, str(theirs.fileno()), str(self._folder), *libraries],
                pass_fds=[theirs.fileno()],
                env=None if ours else {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )
        atexit.register(self._close)

    def start(
        self, command: str, words: Sequence[str], cwd: Path | None, env: Mapping[str, str], streams: Sequence[int]
    ) -> Process:
        message = json.dumps(
            {"command": command, "words": list(words), "cwd": str(cwd or Path.cwd()), "env": dict(env)}
        ).encode()
        with self._lock:
            self._socket.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))])
            pid = int(self._socket.recv(100))
        return Process(pid, self._folder / str(pid))

    def _close(self) -> None:
        self._socket.close()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


#: By their environments' interpreters.
_NURSERIES: dict[Path, Nursery] = {}


def start(
    command: str, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdout: int, stderr: int
) -> Process:
    """Our command (``glance-api`` …) with no input, and these file descriptors."""
    with Path(os.devnull).open("rb") as nothing:
        return _nursery_of(Path(sys.executable), LIBRARIES).start(
            command, words, cwd, os.environ if env is None else env, [nothing.fileno(), stdout, stderr]
        )


def start_client(python: Path, command: str, *words: str, env: Mapping[str, str], streams: Sequence[int]) -> Process:
    """A stock client's (``openstack``, ``glance``) from the environment of that interpreter."""
    return _nursery_of(python, CLIENTS).start(command, words, None, env, streams)


def _nursery_of(python: Path, libraries: Sequence[str]) -> Nursery:
    if python not in _NURSERIES:
        _NURSERIES[python] = Nursery(python, libraries)
    return _NURSERIES[python]


# -- the nursery -----------------------------------------------------------------------------------
def _nursery(ours: socket.socket, folder: Path, libraries: Sequence[str]) -> None:
    for name in libraries:
        with contextlib.suppress(ImportError):  # a driver's tests run without the others' libraries
            importlib.import_module(name)
    for package in PURE if importlib.util.find_spec("glancecore") else ():
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    if found := NEVER & set(sys.modules):
        raise RuntimeError(f"{', '.join(found)} was loaded")
    gc.collect()
    gc.freeze()  # or else each command looks through all of it, and so copies it
    scripts = {x.name: x for x in importlib.metadata.entry_points(group="console_scripts")}
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(awake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the tests, too, which end us
    sources: list[int] = [awake, ours.fileno()]
    while True:
        ready = select.select(sources, [], [])[0]
        if awake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(awake, 1000)
            _reap(folder)
        if ours.fileno() in ready:
            message, rights, _, _ = ours.recvmsg(1 << 20, socket.CMSG_SPACE(3 * 4))
            if not message:
                return
            streams = array.array("i")
            for _, _, data in rights:
                streams.frombytes(data)
            wanted = json.loads(message)
            pid = os.fork()
            if not pid:
                os.close(awake)
                signal.set_wakeup_fd(-1)
                os.close(wake)
                ours.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                _become(wanted, streams, scripts[wanted["command"]])
            for stream in streams:
                os.close(stream)
            ours.send(b"%d" % pid)


def _reap(folder: Path) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        half = folder / f".{pid}"
        half.write_text(str(os.waitstatus_to_exitcode(status)))
        half.rename(folder / str(pid))


def _become(wanted: Mapping[str, object], streams: Sequence[int], script: importlib.metadata.EntryPoint) -> None:
    """The command, which ends as a command does."""
    for at, stream in enumerate(streams):
        os.dup2(stream, at)
    for stream in streams:
        os.close(stream)
    os.chdir(str(wanted["cwd"]))
    os.environ.clear()
    os.environ.update(wanted["env"])  # type: ignore[call-overload]
    sys.argv = [str(Path(sys.executable).parent / str(wanted["command"])), *wanted["words"]]  # type: ignore[misc]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115 (for as long as it lives)
    sys.path[0] = str(Path(sys.executable).parent)
    for path in reversed([x for x in os.environ.get("PYTHONPATH", "").split(os.pathsep) if x not in sys.path and x]):
        sys.path.insert(1, path)
    time.tzset()
    if os.environ.get("PYTHONPATH"):  # as Python does at its start
        sys.modules.pop("sitecustomize", None)
        with contextlib.suppress(ImportError):
            importlib.import_module("sitecustomize")
    main = script.load()
    sys.exit(main())


if __name__ == "__main__":
    _nursery(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:])
