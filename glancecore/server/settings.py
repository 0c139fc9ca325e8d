"""Our options as gunicorn's, and the server that is made of them.

Why gunicorn: its parser raises when a chunked body breaks off, so a truncated upload can't look complete, and its
arbiter keeps the workers alive. The worker is ours (``worker``), and so is what SIGHUP does (``arbiter``)."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from oslo_config import cfg

from glancecore.conf import logs
from glancecore.ports.http import Lane
from glancecore.server import tls
from glancecore.server.arbiter import Arbiter
from glancecore.server.judgement import Judgement
from glancecore.server.limits import limits, open_more_files

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


LOG = logging.getLogger(__name__)
#: Options that SIGHUP does not change: the sockets are bound once.
AT_START_ONLY = ("bind_host", "bind_port", "backlog")


class Application:
    """What is served: ``lane`` tells from a request's method and path which threads it gets. ``replaced`` is called, in
    a thread, when other workers serve in this one's place: what need not go on beside its last requests ends. ``close``
    is called when nothing is served any more: it ends all that goes on, threads of plugins' libraries too, for which
    Python would wait."""

    def __init__(
        self,
        app: WSGIApplication,
        lane: Callable[[str, str], Lane],
        close: Callable[[], None],
        replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self.lane = lane
        self.close = close
        self.replaced = replaced

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)


@dataclass(frozen=True, slots=True)
class Program:
    """What serves. ``name``: how the process is called; ``read``: the configuration, as it is now; ``judge`` begins to
    judge that, and is told which one serves; ``make_app`` is called in each worker after the fork."""

    name: str
    read: Callable[[], cfg.ConfigOpts]
    judge: Callable[[cfg.ConfigOpts], Judgement]
    make_app: Callable[[cfg.ConfigOpts], Application]


class Server(BaseApplication):  # type: ignore[misc]
    """All that workers begin with is held in memory, the certificate too: files that have become wrong since do no
    harm."""

    def __init__(self, conf: cfg.ConfigOpts, program: Program) -> None:
        self.cfg: Any = None
        self._program = program
        #: Whose failing ends the service: later ones are tried again.
        self.first_workers: int = conf.workers
        self._use(conf)
        super().__init__()
        _metrics().CONFIGURATION_VALID.set(1)

    def _use(self, conf: cfg.ConfigOpts) -> None:
        """Raises ConfigError."""
        tls.check(conf)
        self.tls = tls.context(conf)
        self._expires = tls.expires(conf.cert_file) if conf.cert_file else None
        self.limits = limits(conf)
        self._conf = conf

    def load_config(self) -> None:
        for name, value in settings(self._conf, self._program.name).items():
            self.cfg.set(name, value)

    def judge(self) -> Judgement | None:
        """Begin to judge the configuration as it is now."""
        LOG.info("the configuration is read again")
        try:
            return self._program.judge(self._conf)
        except OSError as exc:
            self.read_again(f"no process to judge the configuration can be started: {exc}")
            return None

    def read_again(self, refusal: str | None) -> bool:
        """Take the configuration and all files that it names as they are now, or, when a start would refuse them, keep
        everything and say so."""
        refusal = refusal or self._taken()
        _metrics().CONFIGURATION_VALID.set(0 if refusal else 1)
        if refusal:
            LOG.error("SIGHUP changes nothing: %s; everything stays as it was", refusal)
        return refusal is None

    def _taken(self) -> str | None:
        """Why not: it may have changed since it was judged."""
        before = self._conf, self.limits, self.tls, self._expires, self.cfg
        try:
            conf = self._program.read()
            for option in AT_START_ONLY:
                if conf[option] != self._conf[option]:
                    LOG.error(
                        "[DEFAULT] %s = %s: it is read at the start only, and stays %s; restart the service for it",
                        option,
                        conf[option],
                        self._conf[option],
                    )
                    conf.set_override(option, self._conf[option])
            self._use(conf)
            self.load_default_config()
            self.load_config()
            self.cfg.validate()
        except (Exception, SystemExit) as exc:  # noqa: BLE001 (whatever it is, what serves goes on)
            self._conf, self.limits, self.tls, self._expires, self.cfg = before
            logs.setup(self._conf)
            return str(exc)
        return None

    def run(self) -> None:
        Arbiter(self).run()

    def load(self) -> Application:
        if self._expires:
            _metrics().TLS_EXPIRES.set(self._expires)
        return self._program.make_app(self._conf)


def serve(conf: cfg.ConfigOpts, program: Program) -> None:
    """Serve until told to stop. SIGTERM drains; SIGHUP reads everything again."""
    open_more_files()
    Server(conf, program).run()


def _metrics() -> ModuleType:
    from glancecore.kernel import metrics  # late: its folder was made after this module

    return metrics


def settings(conf: cfg.ConfigOpts, name: str = "glance-api") -> dict[str, Any]:
    """Our options as gunicorn's; ``name`` is how the process is called."""
    server = conf.server
    bind = conf.bind_host if conf.bind_host.startswith("unix:") else f"{_bracketed(conf.bind_host)}:{conf.bind_port}"
    found: dict[str, Any] = {
        "bind": bind,
        "workers": conf.workers,
        "threads": server.threads,
        "worker_class": "glancecore.server.worker.Worker",
        "backlog": conf.backlog,
        "keepalive": int(server.keepalive),
        "graceful_timeout": server.graceful_timeout,
        "timeout": 120,
        "limit_request_line": server.limit_request_line,
        "limit_request_fields": server.limit_request_fields,
        "limit_request_field_size": server.limit_request_field_size,
        "sendfile": None if server.sendfile else False,  # gunicorn takes anything that is set, True as well, for a no
        "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112
        # what proxies say is looked at in one place, http/outside.py; gunicorn believes whoever comes by a Unix socket
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        "umask": 0o007,  # of a Unix socket: its owner and group may connect
        "control_socket_disable": True,
        "proc_name": name,
        "logger_class": "glancecore.server.log.Logger",
        "child_exit": _worker_gone,
        "accesslog": "-" if server.access_log else None,
    }
    if conf.cert_file:  # so that it knows that it is HTTPS; the context is ours
        found |= {"certfile": conf.cert_file, "keyfile": conf.key_file}
        if conf.ca_file:
            found |= {"ca_certs": conf.ca_file, "cert_reqs": ssl.CERT_REQUIRED}
    return found


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


def _worker_gone(_server: object, worker: Any) -> None:
    _metrics().process_gone(worker.pid)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
