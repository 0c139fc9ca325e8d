"""What a start of a command would say to the configuration as it is now. Run by those that are about to read it again
(server/judgement.py), not by operators."""

from __future__ import annotations

import logging
import os
import sys

from oslo_config import cfg

from glancecore.cmd import api, periodic, registry, start, worker
from glancecore.domain.errors import GlanceError
from glancecore.server import judgement

LOG = logging.getLogger(__name__)
_JUDGES = {
    "glance-api": api.judge,
    registry.PROG: registry.judge,
    "glance-worker": worker.judge,
    "glance-periodic": periodic.judge,
}


def main(prog: str, words: list[str]) -> str:
    try:
        _JUDGES[prog](words)
    except (GlanceError, cfg.Error) as exc:
        return start.in_one_line(exc)
    except Exception as exc:
        LOG.exception("the configuration can't be judged")
        return f"{type(exc).__name__}: {exc}"
    return judgement.FINE


def _main(channel: int) -> None:
    os.set_inheritable(channel, False)  # what plugins start does not keep it open
    verdict = main(sys.argv[2], sys.argv[3:])
    with os.fdopen(channel, "wb") as answer:
        answer.write(verdict.encode(errors="backslashreplace"))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
