"""glance-worker: run the imports of a job board."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.cmd import parsing, start
from glancecore.cmd.signals import Signals
from glancecore.conf import review
from glancecore.domain.errors import ConfigError
from glancecore.server import memory

if TYPE_CHECKING:
    from glancecore.assembly.lifecycle import Service
    from glancecore.features.imports.dispatch.board import Board
    from glancecore.features.imports.dispatch.runner import ImportRunner

LOG = logging.getLogger(__name__)
PROG = "glance-worker"


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> None:
    conf = _read(sys.argv[1:])
    memory.keep_memory_small()
    service, runner, board = _built(conf)
    review.tell(conf)
    memory.freeze_memory()

    def stop() -> None:
        LOG.info("stopping; other workers go on with what runs")
        runner.stop()
        board.stop()

    signals = Signals(PROG, stop)
    service.take_over()
    LOG.info("working as %s, %d imports at once", service.holder, conf.imports.workers)
    board.conduct(runner, conf.imports.workers, conf.imports.workers_per_project, service.holder)
    service.close()
    signals.begin_again()


def judge(words: list[str]) -> None:
    """As a start would, but places of stores are only looked at. Raises what that would."""
    conf = _read(words)
    service, *_ = _built(conf, look=True)
    service.close()
    review.tell(conf)


def _read(words: list[str]) -> cfg.ConfigOpts:
    parser = parsing.parser(PROG, "Run the imports of a job board, on as many machines as you like.")
    start.add_config_arguments(parser)
    return start.read_config(parser.parse_args(words))


def _built(conf: cfg.ConfigOpts, *, look: bool = False) -> tuple[Service, ImportRunner, Board]:
    from glancecore.assembly.build import build
    from glancecore.features.imports.extension import ImportsExtension

    if not conf.jobboard.url:
        raise ConfigError(
            "[jobboard] url: glance-worker needs a job board; without one each glance-api runs its own imports"
        )
    service = build(conf, look=look)
    service.database.ping()
    imports = service.of(ImportsExtension)
    if imports.board is None:
        raise ConfigError(
            "[DEFAULT] enabled_import_methods: no method is enabled, so there is nothing to work on; name some, or"
            " don't run this program"
        )
    imports.board.ping()
    return service, imports.runner, imports.board
