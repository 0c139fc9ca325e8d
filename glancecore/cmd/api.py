"""glance-api: serve the Image API."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.cmd import parsing, start
from glancecore.conf import review
from glancecore.domain.errors import ConfigError
from glancecore.server import checks, memory, settings, tls
from glancecore.server.judgement import SERVED, Judgement

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
        settings.serve(
            conf,
            settings.Program(
                PROG, lambda: _read(words), lambda served: Judgement(PROG, _default_store(served)), _make_app
            ),
        )


def judge(words: list[str]) -> None:
    """As a start would, but for the sockets, which are bound, and the places of stores, which are only looked at. A
    start goes on without a default store that was there before; a service that has another one does not change to it.
    Raises what that would, ConfigError."""
    conf = _read(words)
    settings.settings(conf)
    tls.check(conf)
    fault = _build_once(conf, look=True)
    served = os.environ.get(SERVED)
    if fault and served and _default_store(conf) != served:
        raise ConfigError(
            "[glance_store] default_backend: this default store is another one than is served, or has other options,"
            f" and it is away: {fault}; correct its options, or see that it answers"
        )


def _default_store(conf: cfg.ConfigOpts) -> str:
    from glancecore.assembly.stores import default_store

    return default_store(conf)


def _read(words: list[str]) -> cfg.ConfigOpts:
    parser = parsing.parser(PROG, "Serve the Image API.")
    start.add_config_arguments(parser)
    return start.read_config(parser.parse_args(words))


def _build_once(conf: cfg.ConfigOpts, *, look: bool = False) -> str | None:
    """Everything that can be wrong is found here, before a worker starts. Why the default store is away; None: it is
    not."""
    from glancecore.assembly.build import build

    service = build(conf, look=look)
    service.make_app()
    checks.refuse_open_access(conf, open_to_all=service.open_to_all)
    service.database.ping()
    fault = service.stores.get(service.stores.default_id).unavailable_because
    service.close()
    review.tell(conf)
    return fault


def _make_app(conf: cfg.ConfigOpts) -> Application:
    from glancecore.assembly.build import build
    from glancecore.http.app import LANES

    service = build(conf, tolerate_outages=True, serving=True)
    service.start()
    if conf.periodic.embedded:
        service.start_jobs()
    return settings.Application(service.app, service.app.extensions[LANES], service.close, service.stop_jobs)
