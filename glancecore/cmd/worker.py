"""glance-worker: run the imports of a job board."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from types import FrameType

from glancecore import server
from glancecore.cmd import start
from glancecore.domain.errors import ConfigError

LOG = logging.getLogger(__name__)


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="glance-worker", description="Run the imports of a job board, on as many machines as you like.")
    start.add_config_arguments(parser)
    conf = start.read_config(parser.parse_args())
    server.keep_memory_small()
    from glancecore import bootstrap

    if not conf.jobboard.url:
        raise ConfigError("[jobboard] url: glance-worker needs a job board; without one each glance-api runs its own imports")
    service = bootstrap.build(conf)
    service.database.ping()
    board = service.board
    if board is None:
        raise ConfigError("[DEFAULT] enabled_import_methods: no method is enabled, so there is nothing to work on")
    board.ping()
    start.warn_unknown(conf)
    server.freeze_memory()

    def stop(_number: int, _frame: FrameType | None) -> None:
        LOG.info("stopping; other workers go on with what runs")
        service.imports.stop()
        board.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    service.reaper.start()
    LOG.info("working as %s, %d imports at once", service.holder, conf.imports.workers)
    board.conduct(service.imports, conf.imports.workers, service.holder)
    service.close()
