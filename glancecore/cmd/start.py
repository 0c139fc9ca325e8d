"""How every command reads its configuration and ends on the operator's mistakes: one line, exit code 1."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import IO, Any

from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.conf import logs, review
from glancecore.domain.errors import GlanceError, for_operators
from glancecore.domain.text import escaped


def add_config_arguments(parser: argparse.ArgumentParser, prog: str = "glance-api") -> None:
    """The options that all commands share, under the names that operators know."""
    parser.add_argument(
        "--config-file",
        action="append",
        metavar="PATH",
        dest="config_sources",
        type=lambda x: ("--config-file", x),
        help="configuration file; may be given several times, later ones win "
        f"(default: {prog}.conf in ~/.glance, ~, /etc/glance, /etc)",
    )
    parser.add_argument(
        "--config-dir",
        action="append",
        metavar="DIR",
        dest="config_sources",
        type=lambda x: ("--config-dir", x),
        help="folder of *.conf files, read in order; of files and folders, too, later ones win",
    )
    parser.add_argument("--debug", action="store_true", help="log more")


def read_config(args: argparse.Namespace, *, log_level: int | None = None, prog: str = "glance-api") -> cfg.ConfigOpts:
    """Raises oslo.config's errors."""
    words = [x for pair in args.config_sources or () for x in pair]
    words += ["--debug"] if args.debug else []
    conf = configuration.new(words, prog=prog)
    if log_level is not None:
        conf.set_default("use_stderr", True)  # standard output is for the answer
    logs.setup(conf)
    logging.captureWarnings(True)
    if log_level is not None and not args.debug:
        logging.getLogger().setLevel(log_level)
    return conf


class Answers:
    """Standard output, with what would write lines of its own, steer the terminal or turn the line backwards written
    out: names and values are their owners'."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write("\n".join("\t".join(map(escaped, line.split("\t"))) for line in text.split("\n")))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


def run(main: Callable[[], int | None]) -> int:
    """Run a command; the operator's mistakes end in one line on stderr and exit code 1."""
    try:
        with (
            contextlib.nullcontext() if sys.stdout is None else contextlib.redirect_stdout(Answers(sys.stdout))
        ):  # it may be closed
            return main() or 0
    except (GlanceError, cfg.Error) as exc:
        message = in_one_line(exc)
    except BrokenPipeError:
        return 141
    sys.stderr.write(f"error: {escaped(message)}\n")
    return 1


def in_one_line(exc: GlanceError | cfg.Error) -> str:
    """An operator's mistake, for him."""
    if isinstance(exc, GlanceError):
        message = for_operators(exc)
    elif isinstance(exc, (cfg.ConfigFileValueError, cfg.ConfigSourceValueError)):
        message = f"{review.type_error(str(exc))}; correct this value"
    else:
        message = str(exc)
    return " ".join(message.split())
