"""The HTTP server: gunicorn's threaded worker, set from our own configuration.

Why gunicorn: it hands local files to the kernel (sendfile), and raises when a chunked body breaks off, so a truncated
upload can't look complete (design section 4).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import ipaddress
import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.workers.gthread import ThreadWorker
from oslo_config import cfg

from glancecore.domain.errors import ConfigError
from glancecore.server_body import LARGE, LengthBody
from glancecore.server_deadline import HeaderDeadlines
from glancecore.server_files import hold_back, sending_files

#: Of malloc.h.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
#: Blocks of this many bytes, or more, go back to the system when they are freed.
LARGE_BLOCK = 512 << 10
#: Seconds that a client may be silent, and that a header may take; set before the workers fork.
_client_timeout = _header_timeout = 60.0


class Worker(ThreadWorker):  # type: ignore[misc]
    """gthread, with limits on how long a client may be silent and how long its header may take."""

    def init_process(self) -> None:
        self._deadlines = HeaderDeadlines(_header_timeout)  # its thread would not survive the fork
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """The kernel ends a read or write in which nothing has moved for ``client_timeout`` seconds."""
        if not conn.initialized:
            spell = struct.pack("ll", int(_client_timeout), int(_client_timeout % 1 * 1_000_000))
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, spell)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, spell)
        self._deadlines.begin(conn)
        try:
            return super().handle(conn)
        finally:
            self._deadlines.end(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """The header has come. Large bodies of a known length are read our own way."""
        self._deadlines.end(conn)
        reader = getattr(req.body, "reader", None)
        if isinstance(reader, LengthReader) and reader.length >= LARGE:
            req.body = LengthBody(reader.unreader, conn.sock, reader.length)
        try:
            return super().handle_request(req, conn)
        finally:
            with contextlib.suppress(OSError):  # it is closed
                hold_back(conn.sock, False)


class Server(BaseApplication):  # type: ignore[misc]
    """``make_app`` is called in each worker after the fork; it returns the WSGI application."""

    def __init__(self, conf: cfg.ConfigOpts, make_app: Callable[[], Any], name: str) -> None:
        self._conf = conf
        self._make_app = make_app
        self._name = name
        super().__init__()

    def load_config(self) -> None:
        for name, value in settings(self._conf, self._name).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return sending_files(closing_what_is_unread(self._make_app()))


def closing_what_is_unread(app: Any) -> Any:
    """An answer that is given before the body was read says ``Connection: close``.

    gunicorn closes such a connection behind an answer that promised to keep it, when more than a little is unread: the
    client's next request would be lost."""
    def run(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            if _unread(environ["wsgi.input"]):
                start_response.__self__.force_close()
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return run


def _unread(body: Any) -> bool:
    if isinstance(body, LengthBody):
        return body.left > 0
    reader = getattr(body, "reader", None)
    if isinstance(reader, LengthReader):
        return bool(reader.length)
    return isinstance(reader, ChunkedReader) and reader.parser is not None


def settings(conf: cfg.ConfigOpts, name: str = "glance-api") -> dict[str, Any]:
    """Our options as gunicorn's; ``name`` is how the process is called."""
    server = conf.server
    bind = conf.bind_host if conf.bind_host.startswith("unix:") else f"{_bracketed(conf.bind_host)}:{conf.bind_port}"
    found: dict[str, Any] = {
        "bind": bind, "workers": conf.workers, "threads": server.threads, "worker_class": "glancecore.server.Worker",
        "worker_connections": max(server.worker_connections, server.threads + 1), "backlog": conf.backlog,
        "keepalive": int(server.keepalive), "graceful_timeout": server.graceful_timeout, "timeout": 120,
        "limit_request_line": server.limit_request_line, "limit_request_fields": server.limit_request_fields,
        "limit_request_field_size": server.limit_request_field_size,
        "sendfile": None if server.sendfile else False,  # gunicorn takes anything that is set, True as well, for a no
        "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112
        "control_socket_disable": True, "proc_name": name, "logger_class": "glancecore.server_log.Logger",
        "child_exit": _worker_gone,
        "accesslog": "-" if server.access_log else None,
    }
    if conf.cert_file or conf.key_file:
        if not (conf.cert_file and conf.key_file):
            raise ConfigError("[DEFAULT] cert_file and key_file: set both for HTTPS, or none")
        found |= {"certfile": conf.cert_file, "keyfile": conf.key_file}
        if conf.ca_file:
            import ssl

            found |= {"ca_certs": conf.ca_file, "cert_reqs": ssl.CERT_REQUIRED}
    return found


def refuse_open_access(conf: cfg.ConfigOpts, *, open_to_all: bool) -> None:
    """Raises ConfigError when everybody on the network would be an admin."""
    if open_to_all and not conf.allow_open_access and beyond_this_machine(conf):
        raise ConfigError(f"[DEFAULT] auth_strategy = none with bind_host = {conf.bind_host} would let everybody on the network "
                          "do everything; choose another auth_strategy, bind to 127.0.0.1, or set allow_open_access = true")


def beyond_this_machine(conf: cfg.ConfigOpts) -> bool:
    """Whether others than this machine's processes can connect. Raises ConfigError for an address that can't be."""
    if conf.bind_host.startswith("unix:"):
        return False
    try:
        addresses = {x[4][0] for x in socket.getaddrinfo(conf.bind_host, None)}
    except OSError as exc:
        raise ConfigError(f"[DEFAULT] bind_host = {conf.bind_host}: {exc.strerror}; give an address of this machine") from exc
    return not all(ipaddress.ip_address(x).is_loopback for x in addresses)


def serve(conf: cfg.ConfigOpts, make_app: Callable[[], Any], name: str = "glance-api") -> None:
    """Serve until told to stop. SIGTERM drains, SIGHUP reloads the workers with the files as they are then."""
    global _client_timeout, _header_timeout
    _client_timeout, _header_timeout = conf.server.client_timeout, conf.server.header_timeout
    Server(conf, make_app, name).run()


@contextlib.contextmanager
def shared_metrics() -> Iterator[None]:
    """A folder in which the workers add up their metrics; must be there before prometheus_client is first imported."""
    folder = tempfile.mkdtemp(prefix="glance-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    parent = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == parent:
            shutil.rmtree(folder, ignore_errors=True)


def keep_memory_small() -> None:
    """Keep glibc from holding what is not used any more: memory of its own for each thread, which libraries with many threads
    (Ceph's) fill, and holes where large buffers were.

    Python's threads allocate one at a time, so two arenas are as fast. Other C libraries don't know the call."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)  # glibc raises it by itself to the size of whatever was freed, unless it is set


def freeze_memory() -> None:
    """What is loaded by now stays until the end: no collection looks at it again, and children share it."""
    gc.collect()
    gc.freeze()


def check_port(conf: cfg.ConfigOpts) -> None:
    """Say at once, in one line, when the address can't be had."""
    if conf.bind_host.startswith("unix:"):
        return
    try:
        family, kind, proto, _, address = socket.getaddrinfo(conf.bind_host, conf.bind_port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as exc:
        raise ConfigError(f"[DEFAULT] bind_host = {conf.bind_host}, bind_port = {conf.bind_port}: {exc.strerror}; choose "
                          "another address or stop what is using it") from exc


def _worker_gone(_server: object, worker: Any) -> None:
    from glancecore.services import metrics

    metrics.process_gone(worker.pid)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
