"""What runs one import step, or undoes it, in a process of its own; not for operators. See
``glancecore.features.imports.step_process``."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from multiprocessing.connection import Connection

from glancecore.assembly.loader import Loader
from glancecore.cmd import start
from glancecore.features.imports.step_process import serve_step

#: Linux, prctl(2): the signal that this process gets when its parent has ended.
_PR_SET_PDEATHSIG = 1


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="glance-api (import step)")
    start.add_config_arguments(parser)
    parser.add_argument("--step", required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("channel", type=int)
    args = parser.parse_args()
    _end_with(args.parent)
    os.set_inheritable(args.channel, False)  # its end is ours, whatever the step starts
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
    ):  # whoever sends it to the whole service: our parent ends us
        signal.signal(number, signal.SIG_IGN)
    conf = start.read_config(args)
    with Connection(args.channel) as channel:
        serve_step(Loader(conf).make("import_step", args.step, "[image_import_opts] image_import_plugins"), channel)


def _end_with(parent: int) -> None:
    """Whatever the step does at that moment."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        sys.exit(1)


if __name__ == "__main__":
    main()
