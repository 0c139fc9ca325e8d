"""What the kits of all kinds share: a section for a plugin's options, and a search for secrets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from oslo_config import cfg

from glancecore.ports.options import Options, Section, section

T = TypeVar("T")


def configured(
    name: str, options: Options, values: dict[str, Any], config: cfg.ConfigOpts | None = None
) -> tuple[Section, cfg.ConfigOpts]:
    """The section ``name`` with ``options`` and ``values``, and nothing that was not declared; and the whole that it is
    part of."""
    conf = config
    if conf is None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
    made = section(conf, name, options)
    for option, value in values.items():
        conf.set_override(option, value, group=name)
    return made, conf


def check_options(options: Iterable[object]) -> None:
    """Each can be declared, and shown in the sample file."""
    for option in options:
        assert isinstance(option, cfg.Opt), f"{option!r} is no option of oslo.config"
        assert option.help, f"the option {option.name} has no help text"


def check_hidden(secrets: Iterable[str], *said: object) -> None:
    """No secret in what was said: texts, and errors with their notes and causes."""
    texts = [text for each in said for text in _texts(each)]
    for secret in secrets:
        assert not any(secret in text for text in texts), "a secret was told"


def check_sentence(exc: BaseException) -> None:
    assert str(exc).strip(), f"{type(exc).__name__} needs a sentence"


def _texts(said: object) -> Iterable[str]:
    if not isinstance(said, BaseException):
        return [said if isinstance(said, str) else repr(said)]
    return [str(said), *getattr(said, "__notes__", ())]


def within(seconds: float, call: Callable[[], T], what: str) -> T:
    """What ``call`` returns or raises; fails when it has done neither in time."""
    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as exc:  # noqa: BLE001 (raised below)
            raised.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        pytest.fail(f"{what} does not end within {seconds:g} seconds")
    if raised:
        raise raised[0]
    return found[0]


@contextmanager
def offline(monkeypatch: pytest.MonkeyPatch, why: str) -> Iterator[None]:
    """Whoever connects or sleeps meanwhile fails."""

    def refuse(*_args: object, **_named: object) -> NoReturn:
        raise AssertionError(why)

    with monkeypatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(time, "sleep", refuse)
        yield


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
