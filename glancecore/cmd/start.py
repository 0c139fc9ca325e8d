"""How every command reads its configuration and ends on the operator's mistakes: one line, exit code 1."""

from __future__ import annotations

import argparse
import difflib
import logging
import sys
from collections.abc import Callable

from oslo_config import cfg
from oslo_log import log

from glancecore import conf as configuration
from glancecore.domain.errors import GlanceError

LOG = logging.getLogger(__name__)


def add_config_arguments(parser: argparse.ArgumentParser, prog: str = "glance-api") -> None:
    """The options that all commands share, under the names that operators know."""
    parser.add_argument("--config-file", action="append", metavar="PATH",
                        help="configuration file; may be given several times, later ones win "
                             f"(default: {prog}.conf in ~/.glance, ~, /etc/glance, /etc)")
    parser.add_argument("--config-dir", action="append", metavar="DIR", help="folder of *.conf files, read in order")
    parser.add_argument("--debug", action="store_true", help="log more")


def read_config(args: argparse.Namespace, *, log_level: int | None = None, prog: str = "glance-api") -> cfg.ConfigOpts:
    """Raises oslo.config's errors."""
    words = [x for path in args.config_file or () for x in ("--config-file", path)]
    words += [x for path in args.config_dir or () for x in ("--config-dir", path)]
    words += ["--debug"] if args.debug else []
    files: list[str] | None = [] if args.config_file else None
    conf = configuration.new(words, files, prog=prog)
    if log_level is not None:
        conf.set_default("use_stderr", True)  # standard output is for the answer
    log.setup(conf, "glance")
    logging.captureWarnings(True)
    if log_level is not None and not args.debug:
        logging.getLogger().setLevel(log_level)
    return conf


def run(main: Callable[[], int | None]) -> int:
    """Run a command; the operator's mistakes end in one line on stderr and exit code 1."""
    try:
        return main() or 0
    except GlanceError as exc:
        message = str(exc)
    except cfg.ConfigFileValueError as exc:
        message = f"{exc}; correct this value"
    except cfg.Error as exc:
        message = str(exc)
    except BrokenPipeError:
        return 141
    sys.stderr.write(" ".join(f"error: {message}".split()) + "\n")
    return 1


def warn_unknown(conf: cfg.ConfigOpts) -> None:
    """Log options of the operator's files that nothing has declared: most are typing errors."""
    known = {(group, name) for group, names in _declared(conf).items() for name in names}
    for path in conf.config_file or ():
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        for group, values in sections.items():
            for name in values:
                plain = name.replace("-", "_")
                if (group, plain) not in known:
                    near = difflib.get_close_matches(plain, [n for g, n in known if g == group], n=1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    LOG.warning("%s: [%s] %s is not an option of anything that is loaded%s", path, group, name, hint)


def _declared(conf: cfg.ConfigOpts) -> dict[str, list[str]]:
    declared = {"DEFAULT": conf._opts, **{name: group._opts for name, group in conf._groups.items()}}  # noqa: SLF001 (there is no public list)
    groups: dict[str, list[str]] = {"paste_deploy": ["config_file"]}
    for group, options in declared.items():
        groups.setdefault(group, []).extend(options)
        for info in options.values():
            for old in info["opt"].deprecated_opts:
                groups.setdefault(old.group or group, []).append((old.name or info["opt"].name).replace("-", "_"))
    return groups
