"""glance-manage NAME …: the commands of enabled extensions."""

from __future__ import annotations

import argparse
import functools
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from glancecore.assembly.build import build
from glancecore.ports.extension import Argument, Extension, Print
from glancecore.ports.repository import Database

if TYPE_CHECKING:
    Areas = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (argparse has no public name for it)

LOG = logging.getLogger(__name__)
Run = Callable[[Any, argparse.Namespace, Print], int]


def add_areas(areas: Areas, classes: Mapping[str, type[Extension]]) -> None:
    for name, cls in classes.items():
        if cls.commands.__func__ is Extension.commands.__func__:  # type: ignore[attr-defined]
            continue
        if name in areas.choices:
            LOG.warning(
                "the commands of extension %s are not there: glance-manage itself has an area of this name", name
            )
            continue
        try:
            area = areas.add_parser(name, help=cls.title)
            cls.commands(_Tree(name, area.add_subparsers(dest="action", required=True, metavar="ACTION")))
        except Exception:  # whatever an extension raises: the other commands are there
            LOG.exception("the commands of extension %s can't be made", name)


class _Tree:
    """See ``glancecore.ports.extension.CommandTree``."""

    def __init__(self, extension: str, actions: Areas) -> None:
        self._extension = extension
        self._actions = actions

    def add(self, words: str, summary: str, run: Run, *arguments: Argument) -> None:
        made = self._actions.add_parser(words, help=summary)
        for each in arguments:
            made.add_argument(*each.names, **each.about)
        made.set_defaults(run=functools.partial(_run, self._extension, run))


def _run(name: str, run: Run, args: argparse.Namespace, database: Database) -> int:
    service = build(args.conf, database)
    try:
        return run(service.extensions[name], args, print)
    finally:
        service.close()
