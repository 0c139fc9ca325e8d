"""What glance-api starts for its imports; not for operators. Its input says which tasks to run, its end is the end."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType

from glancecore.cmd import start
from glancecore.server import memory


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="glance-api (imports)")
    start.add_config_arguments(parser)
    conf = start.read_config(parser.parse_args())
    memory.keep_memory_small()
    from glancecore.assembly.build import build
    from glancecore.features.imports.dispatch.import_worker import ImportWorkerLoop
    from glancecore.features.imports.extension import ImportsExtension

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; our parent ends us
    os.nice(conf.imports.niceness)
    service = build(conf, tolerate_outages=True)
    memory.freeze_memory()
    loop = ImportWorkerLoop(service.of(ImportsExtension).runner, conf.imports.workers, conf.imports.workers_per_project)

    def stop(_number: int, _frame: FrameType | None) -> None:
        loop.end()

    signal.signal(signal.SIGTERM, stop)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed is no answer
        loop.run(sys.stdin.buffer, answers)
    service.close()


if __name__ == "__main__":
    main()
