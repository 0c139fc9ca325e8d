"""glance-api: serve the Image API."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.cmd import parsing, start
from glancecore.conf import review
from glancecore.server import checks, memory, settings, tls
from glancecore.server.judgement import Judgement

if TYPE_CHECKING:
    from glancecore.server.settings import Application

LOG = logging.getLogger(__name__)
PROG = "glance-api"


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> None:
    words = sys.argv[1:]
    conf = _read(words)
    memory.keep_memory_small()
    settings.settings(conf)
    tls.check(conf)
    checks.check_port(conf)
    with settings.shared_metrics():
        _build_once(conf)
        LOG.info("serving on %s port %s, stores %s", conf.bind_host, conf.bind_port, ", ".join(conf.enabled_backends))
        memory.freeze_memory()
        settings.serve(conf, settings.Program(PROG, lambda: _read(words), lambda: Judgement(PROG), _make_app))


def judge(words: list[str]) -> None:
    """As a start would, but for the sockets, which are bound, and the places of stores, which are only looked at. Raises what that would."""
    conf = _read(words)
    settings.settings(conf)
    tls.check(conf)
    _build_once(conf, look=True)


def _read(words: list[str]) -> cfg.ConfigOpts:
    parser = parsing.parser(PROG, "Serve the Image API.")
    start.add_config_arguments(parser)
    return start.read_config(parser.parse_args(words))


def _build_once(conf: cfg.ConfigOpts, *, look: bool = False) -> None:
    """Everything that can be wrong is found here, before a worker starts."""
    from glancecore.assembly.build import build

    service = build(conf, look=look)
    service.make_app()
    checks.refuse_open_access(conf, open_to_all=service.open_to_all)
    service.database.ping()
    service.close()
    review.tell(conf)


def _make_app(conf: cfg.ConfigOpts) -> Application:
    from glancecore.assembly.build import build
    from glancecore.http.app import LANES

    service = build(conf, tolerate_outages=True, serving=True)
    service.start()
    if conf.periodic.embedded:
        service.start_jobs()
    atexit.register(service.close)  # running imports are handed over
    return settings.Application(service.app, service.app.extensions[LANES], service.stop_jobs)
