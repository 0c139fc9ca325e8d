"""What the kits of all kinds share: a section for a plugin's options, and a search for secrets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oslo_config import cfg

from glancecore.ports.options import Options, Section, section


def configured(name: str, options: Options, values: dict[str, Any], config: cfg.ConfigOpts | None = None) -> tuple[Section, cfg.ConfigOpts]:
    """The section ``name`` with ``options`` and ``values``, and nothing that was not declared; and the whole that it is part of."""
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
