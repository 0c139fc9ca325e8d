"""The operator's options, one file a group. There is no global CONF: ``new`` makes one, assembly hands out values."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from glancecore.conf import beside, environment, flavor, from_glance, logs, opts, review
from glancecore.domain.errors import ConfigError

PROJECT = "glance"


def new(
    args: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    usage: str | None = None,
    cli: Sequence[cfg.Opt] = (),
    prog: str = "glance-api",
) -> cfg.ConfigOpts:
    """Read the configuration. ``files`` None: ``<prog>.conf`` is searched where oslo.config looks (``/etc/glance`` …).
    A ``glance-image-import.conf`` beside a ``glance-api.conf`` is read before it.

    Every option can also come from the environment as ``OS_<GROUP>__<OPTION>``, by former names, too. Raises
    oslo.config's errors for unreadable files and wrong values; they name file, option and value. Raises ConfigError.
    """
    conf = _registered(cli)
    if files is None:
        files = cfg.find_config_files(project=PROJECT, prog=prog)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), _of_text():
            conf(
                args=_with_files_beside(args or ()),
                project=PROJECT,
                prog=prog,
                usage=usage,
                default_config_files=beside.with_read(str(Path(x)) for x in files),
            )
    except SystemExit as exc:  # of options that may also stand on the command line, such as debug, wherever they stand
        raise ConfigError(
            f"{said.getvalue().replace('argument --', '[DEFAULT] ').strip()}; correct this value"
        ) from exc
    for step in _steps():
        step(conf)
    return conf


def read(files: Sequence[str]) -> tuple[cfg.ConfigOpts, list[str]]:
    """What these files say, and nothing else of this machine: no folders, no environment; and all that would stop a
    start, in place of raising it. Raises oslo.config's errors for files that can't be read at all."""
    conf = _registered()
    given = beside.with_read(files)
    with _of_text():
        conf(args=[], project=PROJECT, default_config_files=given, default_config_dirs=[], use_env=False)
    wrong = review.set_aside_wrong_types(conf)
    for step in [*_steps(), *([from_glance.staging] if conf.staging_driver == "file" else [])]:
        try:
            step(conf)
        except ConfigError as exc:
            wrong.append(str(exc))
    return conf, wrong


def _registered(cli: Sequence[cfg.Opt] = ()) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    conf._env_driver = environment.FormerNames()  # noqa: SLF001 (it can't be given)
    logs.set_defaults()
    log.register_options(conf)
    conf.register_cli_opts(cli)
    opts.register(conf)
    return conf


@contextlib.contextmanager
def _of_text() -> Iterator[None]:
    """oslo.config does not say which file it could not decode."""
    try:
        yield
    except UnicodeDecodeError as exc:
        line = bytes(exc.object)[: exc.start].rpartition(b"\n")[2] + bytes(exc.object)[exc.start :].partition(b"\n")[0]
        raise ConfigError(
            f"a configuration file is not UTF-8, where it says {line.decode('latin-1')!r}; save it as UTF-8"
        ) from exc


def _steps() -> list[Callable[[cfg.ConfigOpts], object]]:
    return [flavor.apply, *from_glance.steps()]


def _with_files_beside(args: Sequence[str]) -> list[str]:
    args = [x for word in args for x in (word.split("=", 1) if word.startswith("--config-file=") else [word])]
    words: list[str] = []
    for at, word in enumerate(args):
        if at and args[at - 1] == "--config-file":
            more = [x for x in beside.with_read([word]) if x not in args]
            words[-1:] = [x for path in more for x in ("--config-file", path)] + ["--config-file"]
        words.append(word)
    return words
