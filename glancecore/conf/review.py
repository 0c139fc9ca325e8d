"""What became of each option that the operator has set: in files and in the environment."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from glancecore.conf import beside, environment, from_glance, glance_options, library_options
from glancecore.conf.glance_options import Fate, OptionFate
from glancecore.conf.sections import of_plugins
from glancecore.conf.store import PER_STORE
from glancecore.domain.errors import ConfigError
from glancecore.features.imports.options import STAGING
from glancecore.sdk.config_files import files_of

LOG = logging.getLogger(__name__)
#: A store of Glance's that has no use here.
TASKS_STORE = "os_glance_tasks_store"
_TYPE_ERROR = re.compile(r"Value for option (\S+) from LocationInfo\(.*detail='(.*)'\) is not valid: (.*)", re.DOTALL)

Known = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """``where``: a file, or a variable of the environment. ``fate`` None: nobody knows this option; ``near`` is one
    that was perhaps meant."""

    where: str
    section: str
    name: str
    fate: Fate | None
    near: str = ""

    @property
    def text(self) -> str:
        if self.fate is None:
            return f"{self.where}: [{self.section}] {self.name} is not an option of anything that is known here" + (
                f"; did you mean {self.near}?" if self.near else ""
            )
        return f"{self.where}: [{self.section}] {self.name}: {self.fate.outcome}" + (
            f": {self.fate.words}" if self.fate.words else ""
        )


def review(conf: cfg.ConfigOpts, environ: Mapping[str, str] = os.environ) -> list[Row]:
    """A row for each option that is set. What plugins declare counts once they are loaded, or when they are
    installed."""
    declared, renamed = _declared(conf)
    installed = of_plugins()
    drivers = {**conf.enabled_backends, STAGING: conf.staging_driver}
    stores = frozenset(drivers)
    written = beside.written(conf, environ)
    of_stores = {store: {*(x.dest for x in PER_STORE), *installed.get(driver, ())} for store, driver in drivers.items()}
    known: Known = {
        group: frozenset({*declared.get(group, ()), *installed.get(group, ()), *of_stores.get(group, ())})
        for group in {*declared, *installed, *stores}
    }

    def judge(where: str, section: str, name: str) -> Row:
        if section == TASKS_STORE:
            return Row(where, section, name, Fate(OptionFate.UNNEEDED, "tasks keep nothing in files"))
        found = glance_options.fate(section, name, store=section in stores or section == "glance_store")
        if found and found.outcome is not OptionFate.SAME:
            return Row(where, section, name, found)
        if (section, name) in renamed:
            return Row(where, section, name, Fate(OptionFate.RENAMED, renamed[section, name]))
        if (
            found
            and section == "glance_store"
            and name not in known[section]
            and from_glance.said(conf, "enabled_backends")
        ):
            return Row(
                where,
                section,
                name,
                Fate(OptionFate.LOST, "with enabled_backends each store's options are in the section of its id"),
            )
        if found or name in known.get(section, ()) or library_options.knows(section, name, written):
            return Row(where, section, name, glance_options.SAME)
        return Row(
            where, section, name, None, _near(section, name, known, stores, library_options.names(section, written))
        )

    rows = [
        judge(file, section, name)
        for file in files_of(conf)
        for section, options in beside.read_sections(file).items()
        for name in options
    ]
    return rows + [judge(*x) for x in environment.variables({*known, *written}, environ)]


def tell(conf: cfg.ConfigOpts) -> None:
    """Log once what became of the operator's options. Raises ConfigError for what is unknown, when he wants that, and
    oslo.config's errors for values of a wrong type."""
    for group, option in _registered(conf):
        _ = conf[option] if group == "DEFAULT" else conf[group][option]
    rows = [x for x in review(conf) if x.fate is None or x.fate.outcome is not OptionFate.SAME]
    unknown = [x for x in rows if x.fate is None]
    if unknown and conf.strict_options:
        raise ConfigError(
            f"[DEFAULT] strict_options: {'; '.join(x.text for x in unknown)}; correct or remove what nobody knows"
        )
    for row in rows:
        LOG.log(
            (
                logging.INFO
                if row.fate and row.fate.outcome in (OptionFate.RENAMED, OptionFate.UNNEEDED)
                else logging.WARNING
            ),
            "configuration: %s",
            row.text,
        )
    for text in beside.lost(files_of(conf), conf.paste_deploy.config_file):
        LOG.warning("configuration: %s", text)


def set_aside_wrong_types(conf: cfg.ConfigOpts) -> list[str]:
    """Let options with values of a wrong type have their defaults. Returns what is wrong with them."""
    wrong = []
    for group, option in _registered(conf):
        try:
            _ = conf[option] if group == "DEFAULT" else conf[group][option]
        except (cfg.ConfigFileValueError, cfg.ConfigSourceValueError) as exc:
            wrong.append(f"{type_error(str(exc))}; correct this value")
            conf.set_override(
                option, _sections(conf)[group][option]["opt"].default, None if group == "DEFAULT" else group
            )
    return wrong


def refuse_misspelt_stores(conf: cfg.ConfigOpts) -> None:
    """Raises ConfigError for [fats] beside a store ``fast`` that has no section: its data would go to a folder that
    nobody has named."""
    sections = {x.lower() for x in beside.written(conf)}
    read = {*_sections(conf), *conf.enabled_backends, *glance_options.SECTIONS, *of_plugins(), TASKS_STORE, STAGING}
    for section in [x for x in beside.written(conf, {}) if x not in read]:
        for store in difflib.get_close_matches(
            section, [x for x in conf.enabled_backends if x.lower() not in sections], n=1
        ):
            raise ConfigError(
                f"[DEFAULT] enabled_backends: the store {store} has no section, but there is a section [{section}] that"
                f" nobody reads; call it [{store}], or remove it"
            )


def type_error(message: str) -> str:
    """oslo.config's message with section and file in place of its inner words."""
    match = _TYPE_ERROR.fullmatch(message)
    if match is None:
        return message
    name, where, reason = match.groups()
    if variable := environment.VARIABLE.fullmatch(where):
        by = "" if where in os.environ else " (set by a former name)"
        return f"{where}{by}: [{environment.section_of(variable[1])}] {name}: {reason}"
    try:
        sections = [section for section, options in beside.read_sections(where).items() if name in options]
    except (cfg.Error, OSError):
        sections = []
    for section in sections:  # oslo.config names the file, even where the environment wins over it
        if (winner := f"OS_{section}__{name}".upper()) in os.environ:
            return f"{winner}: [{section}] {name}: {reason}"
    return f"{where}: {' or '.join(f'[{x}]' for x in sections)} {name}: {reason}"


def _near(section: str, name: str, known: Known, stores: Iterable[str], of_library: Iterable[str]) -> str:
    options = {
        *known.get(section, ()),
        *of_library,
        *(
            x
            for group, x in glance_options.OPTIONS
            if group in (section, glance_options.STORE if section in stores else section)
        ),
    }
    if options:
        return next(iter(difflib.get_close_matches(name, sorted(options), n=1)), "")
    near = difflib.get_close_matches(section, sorted({*known, *stores, *glance_options.SECTIONS}), n=1)
    return f"[{near[0]}]" if near else ""


def _registered(conf: cfg.ConfigOpts) -> Iterator[tuple[str, str]]:
    for group, options in _sections(conf).items():
        for name in options:
            if not isinstance(options[name]["opt"], cfg.SubCommandOpt):
                yield group, name


def _sections(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Section -> name -> what oslo.config keeps of a registered option."""
    groups = conf._groups.items()  # noqa: SLF001 (there is no public list)
    return {"DEFAULT": conf._opts, **{name: group._opts for name, group in groups}}  # noqa: SLF001


def _declared(conf: cfg.ConfigOpts) -> tuple[dict[str, set[str]], dict[tuple[str, str], str]]:
    """Section -> names; and the old names -> the new ones."""
    names: dict[str, set[str]] = {}
    old: dict[tuple[str, str], str] = {}
    for group, options in _sections(conf).items():
        for name, info in options.items():
            names.setdefault(group, set()).add(name)
            for other in info["opt"].deprecated_opts:
                key = (other.group or group, (other.name or info["opt"].name).replace("-", "_"))
                if key != (group, name):
                    old.setdefault(key, f"[{group}] {name}")
    return names, {key: new for key, new in old.items() if key[1] not in names.get(key[0], ())}
