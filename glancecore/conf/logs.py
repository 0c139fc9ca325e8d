"""The service's log: oslo.log's, with what callers say kept to one line."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from functools import partial

from oslo_config import cfg
from oslo_log import formatters, log

from glancecore.domain.errors import ConfigError
from glancecore.domain.text import escaped
from glancecore.sdk import log_lines, tracing


class OneLine(logging.Formatter):
    """Another formatter's record with control characters written out, so that nobody writes lines of his own into the
    log.

    A traceback keeps its lines, each behind the prefix that the other formatter has given it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        if (about := log_lines.about()) and not getattr(record, "instance", None):
            record.instance = about
        text = self._inner.format(record)
        below = record.exc_text or ""
        at = text.rfind(below) if below else len(text)
        head, tail = text[:at].rstrip("\n"), text[at:]
        return "\n".join([escaped(head), *(escaped(x) for x in tail.split("\n") if tail)])


#: Libraries that tell of each request, with its headers, when debug = true: beside those that oslo.log knows.
NOISY = ("boto3", "botocore", "s3transfer", "urllib3", "kazoo")


def set_defaults() -> None:
    """Before options are registered, and samples made: default_log_levels keeps these quiet, unless the operator sets
    it."""
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *(f"{x}=WARN" for x in NOISY)])


#: Of a log file that is made here, and of those that follow it when it is turned over: who may not read it learns
#: nothing of requests. One that is there stays as it is.
MODE = 0o640


def _opened(handler: logging.FileHandler) -> io.TextIOWrapper:
    """In place of the handler's own, which makes a file as the umask says."""
    return open(
        handler.baseFilename,
        handler.mode,
        encoding=handler.encoding,
        errors=handler.errors,
        opener=lambda path, flags: os.open(path, flags, MODE),
    )  # type: ignore[return-value]


#: Loggers whose level the operator's options have set.
_levelled: set[str] = set()


class _Trace(logging.Filter):
    """For formats that write ``extra``: JSON and Fluent."""

    def filter(self, record: logging.LogRecord) -> bool:
        if trace := tracing.trace_id():
            record.extra = {**getattr(record, "extra", {}), "trace_id": trace}
        return True


_TRACE = _Trace()


def setup(conf: cfg.ConfigOpts) -> None:
    """Log as the operator's options say, and no longer as they said before. Raises ConfigError."""
    for name in _levelled:
        logging.getLogger(name).setLevel(logging.NOTSET)
    try:
        if not conf.log_config_append and (path := log._get_log_file_path(conf)):  # noqa: SLF001 (it has no other, and a test holds it)
            with contextlib.suppress(OSError):  # oslo.log, which opens it next, tells it
                os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE))
        log.setup(conf, "glance")
    except log.LogConfigError as exc:
        raise ConfigError(
            f"[DEFAULT] log_config_append = {conf.log_config_append}: {exc.err_msg}; correct that file, or remove the"
            " option"
        ) from exc
    _levelled.clear()
    _levelled.update(x.partition("=")[0] for x in conf.default_log_levels)
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, (formatters.JSONFormatter, formatters.FluentFormatter)):
            handler.addFilter(_TRACE)  # a logger has each filter once
        if isinstance(handler, logging.FileHandler) and not conf.log_config_append:
            handler._open = partial(_opened, handler)  # type: ignore[method-assign] # noqa: SLF001 (what its subclasses override)
        if handler.formatter is not None and not isinstance(
            handler.formatter, (OneLine, formatters.JSONFormatter, formatters.FluentFormatter)
        ):
            handler.setFormatter(OneLine(handler.formatter))
