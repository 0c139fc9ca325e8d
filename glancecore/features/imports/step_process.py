"""An import step in a process of its own: one that hangs is ended, and one that ends its process ends no other import.

The process is ``glancecore.cmd.import_step``. Messages are JSON over a socket pair: the step asks for what
``ImportWork`` offers and is answered; the last message says how the step ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.import_method import MethodRequest
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore.sdk import log_lines
from glancecore.sdk.registry import codec as wire

LOG = logging.getLogger(__name__)
T = TypeVar("T")
#: Seconds between two looks whether the import is still wanted.
POLL_INTERVAL = 0.5
#: Most bytes of a message of a step.
LARGEST_MESSAGE = 4 << 20
#: Seconds that the process has until the step begins, and at least step_timeout.
START_TIMEOUT = 120.0
#: Seconds that a message may take from its first byte to its last.
MESSAGE_TIMEOUT = 60
#: Seconds that the process has to end after its last word.
STOP_TIMEOUT = 5.0

_SEND: Mapping[type, Callable[[Any], Any] | None] = {x: wire.encoder(x) for x in (Image, MethodRequest)}
_READ: Mapping[type, Callable[[Any], Any] | None] = {x: wire.decoder(x) for x in (Image, MethodRequest)}

Call = Literal["run", "undo"]
#: Answers after which a step must end.
_STOPS = (errors.ImportCancelled, errors.LeaseLost, errors.ImportSuspended)


class IsolatedStep(ImportStep):
    """Stands for ``step`` in this process, and runs it in others: ``command`` is told our process id and a file
    descriptor. A step that has not asked for anything for ``timeout`` seconds is ended."""

    def __init__(self, name: str, step: ImportStep, command: Sequence[str], timeout: float) -> None:
        super().__init__(step.conf, step.config)
        self.changes_data = step.changes_data
        self.takes_anything = step.takes_anything
        self.checks_signatures = step.checks_signatures
        self._name = name
        self._command = [*command]
        self._timeout = timeout

    def run(self, work: ImportWork) -> None:
        self._call("run", work, work.check_alive)

    def undo(self, work: ImportWork) -> None:
        def check_alive() -> None:
            with contextlib.suppress(errors.ImportCancelled):  # why it is undone
                work.check_alive()

        self._call("undo", work, check_alive)

    def _call(self, call: Call, work: ImportWork, check_alive: Callable[[], None]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            with ours:
                for direction in (
                    socket.SO_RCVTIMEO,
                    socket.SO_SNDTIMEO,
                ):  # half a message of a process that is stopped
                    ours.setsockopt(socket.SOL_SOCKET, direction, struct.pack("ll", MESSAGE_TIMEOUT, 0))
                channel = Connection(ours.detach())
            try:
                process = subprocess.Popen(  # noqa: S603 (our own)
                    [*self._command, "--parent", str(os.getpid()), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as exc:
                channel.close()
                LOG.error("import step %s can't be started: %s", self._name, exc)
                raise errors.ImportFailed(f"step {self._name} can't be started; the operator's log says why") from exc
        try:
            with channel:
                channel.send_bytes(wire.dumps({"call": call, "about": log_lines.portable()}))
                self._serve(channel, process, work, check_alive)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_TIMEOUT)
        finally:
            _end(process)

    def _serve(
        self, channel: Connection, process: subprocess.Popen[bytes], work: ImportWork, check_alive: Callable[[], None]
    ) -> None:
        """Answer the step until it has ended. Raises what it raised, what ``check_alive`` raises, and ImportFailed when
        it ended in another way: then the data is not to blame for certain, and is kept."""
        heard, patience = time.monotonic(), max(START_TIMEOUT, self._timeout)
        stopped: errors.GlanceError | None = None
        while True:
            if not channel.poll(POLL_INTERVAL):
                check_alive()
                if (
                    process.poll() is not None and not channel.poll()
                ):  # something that it has started may still hold the channel
                    raise self._ended(process)
                if time.monotonic() - heard > patience:
                    LOG.error("import step %s did nothing for %g seconds and is ended", self._name, patience)
                    raise errors.ImportFailed(f"step {self._name} did nothing for {patience:g} seconds and was ended")
                continue
            try:
                message = wire.loads(channel.recv_bytes(LARGEST_MESSAGE))
            except (EOFError, OSError) as exc:  # what Connection makes of too long a message, and of a part of one
                check_alive()  # what ends us may have ended the step first
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_INTERVAL)
                if process.poll() is None and not isinstance(exc, (EOFError, ConnectionError)):
                    LOG.error("import step %s sent what is no message: %s", self._name, exc)
                    raise errors.ImportFailed(f"step {self._name} failed; the operator's log says why") from exc
                raise self._ended(process) from exc
            heard, patience = time.monotonic(), self._timeout
            if "begun" in message:
                continue
            if "ask" in message:
                if stopped is not None:  # it was told so, and goes on
                    raise stopped
                stopped = self._answer(channel, work, message["ask"], message["values"])
                heard = time.monotonic()  # what we took for the answer is not the step's
            elif message["failed"] is not None:
                raise wire.error_of(message["failed"])
            else:
                return

    def _answer(
        self, channel: Connection, work: ImportWork, name: str, values: Mapping[str, Any]
    ) -> errors.GlanceError | None:
        """What ends the import, when that was the answer."""
        error: errors.GlanceError | None = None
        try:
            answer: dict[str, object] = {"value": _QUESTIONS[name](work, values)}
        except errors.GlanceError as exc:
            error, answer = exc, {"error": wire.error_value(exc)}
        with contextlib.suppress(OSError):  # the next look finds it gone
            channel.send_bytes(wire.dumps(answer))
        return error if isinstance(error, _STOPS) else None

    def _ended(self, process: subprocess.Popen[bytes]) -> errors.ImportFailed:
        """It went without a word."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
        code = process.poll()
        how = (
            "closed its connection" if code is None else signal.Signals(-code).name if code < 0 else f"exit code {code}"
        )
        LOG.error("import step %s ended its process: %s", self._name, how)
        return errors.ImportFailed(f"step {self._name} ended its process; the operator's log says how")


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:  # it waits for a file system that does not answer
        LOG.warning("process %d of an import step does not end", process.pid)
        threading.Thread(target=process.wait, name="step-end", daemon=True).start()


def _sent(value: object) -> object:
    convert = _SEND[type(value)]
    return convert(value) if convert else value


#: What a step may ask, by the names of ``ImportWork``.
_QUESTIONS: Mapping[str, Callable[[ImportWork, Mapping[str, Any]], object]] = {
    "image": lambda work, _: _sent(work.image),
    "request": lambda work, _: _sent(work.request),
    "staged": lambda work, _: str(work.staged),
    "scratch": lambda work, _: str(work.scratch),
    "check_alive": lambda work, _: work.check_alive(),
    "progress": lambda work, values: work.progress(values["bytes"], values["total"]),
    "reserve": lambda work, values: work.reserve(values["size"]),
    "replace": lambda work, values: work.replace(Path(values["path"])),
    "set_formats": lambda work, values: work.set_formats(values["disk_format"], values["container_format"]),
    "set_properties": lambda work, values: work.set_properties(**values["properties"]),
    "remove_properties": lambda work, values: work.remove_properties(*values["names"]),
}


class RemoteWork:
    """``ImportWork`` at the step's end of the socket. Thread-safe: one question at a time."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def _ask(self, name: str, **values: object) -> Any:
        with self._lock:
            self._channel.send_bytes(wire.dumps({"ask": name, "values": values}))
            answer = wire.loads(self._channel.recv_bytes())
        if "error" in answer:
            raise wire.error_of(answer["error"])
        return answer["value"]

    @property
    def image(self) -> Image:
        return _read(Image, self._ask("image"))

    @property
    def request(self) -> MethodRequest:
        return _read(MethodRequest, self._ask("request"))

    @property
    def staged(self) -> Path:
        return Path(self._ask("staged"))

    @property
    def scratch(self) -> Path:
        return Path(self._ask("scratch"))

    def check_alive(self) -> None:
        self._ask("check_alive")

    def progress(self, bytes: int, total: int | None = None) -> None:  # noqa: A002 (the port's name)
        self._ask("progress", bytes=bytes, total=total)

    def reserve(self, size: int) -> None:
        self._ask("reserve", size=size)

    def replace(self, path: Path) -> None:
        self._ask("replace", path=str(path))

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        self._ask("set_formats", disk_format=disk_format, container_format=container_format)

    def set_properties(self, **properties: str) -> None:
        self._ask("set_properties", properties=properties)

    def remove_properties(self, *names: str) -> None:
        self._ask("remove_properties", names=names)


def _read(kind: type[T], value: Any) -> T:
    convert = _READ[kind]
    return cast("T", convert(value) if convert else value)


def serve_step(step: ImportStep, channel: Connection) -> None:
    """In the step's process: do the one thing that is asked, and say how it ended."""
    asked = wire.loads(channel.recv_bytes())
    with log_lines.work(**asked["about"]) if asked["about"] else contextlib.nullcontext():
        _serve(step, asked["call"], channel)


def _serve(step: ImportStep, call: Call, channel: Connection) -> None:
    channel.send_bytes(wire.dumps({"begun": call}))
    work = RemoteWork(channel)
    failed: errors.GlanceError | None = None
    try:
        step.undo(work) if call == "undo" else step.run(work)
    except errors.GlanceError as exc:
        failed = exc
    except Exception as exc:  # whatever a plugin raises
        LOG.exception("import step %s failed", type(step).__name__)
        failed = errors.ImportFailed(f"{type(step).__name__} failed; the operator's log says why")
        failed.__cause__ = exc
    channel.send_bytes(wire.dumps({"failed": None if failed is None else wire.error_value(failed)}))
