"""The command line of every command: its own options may stand on both sides of a sub-command, and --version is
known."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

#: Between an option's name and how deep the sub-command stands that it was given behind.
_BEHIND = " behind "
_EVERYWHERE = "options of every command"


class CommandParser(argparse.ArgumentParser):
    """The options that it has itself are also taken by its sub-commands, at any depth, where these have none of that
    name. Of an option that is given several times the last one counts, wherever it stands; those that may be given
    several times add up, from left to right."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.spread = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.spread:
            _spread(self)
        found, rest = super().parse_known_args(args, namespace)
        for name in sorted(x for x in vars(found) if _BEHIND in x):
            to, _, depth = name.partition(_BEHIND)
            if hasattr(found, to) and depth:
                setattr(found, to, [*(getattr(found, to) or ()), *getattr(found, name)])
                delattr(found, name)
        return found, rest


def parser(prog: str, description: str, **about: Any) -> argparse.ArgumentParser:
    """A command's parser, which knows --version."""
    made = CommandParser(prog=prog, description=description, **about)
    made.add_argument(
        "--version",
        action="version",
        version=f"{prog} {version('glancecore')}",
        help="print the version of the program",
    )
    return made


def _spread(top: CommandParser) -> None:
    top.spread = True
    own = [x for x in top._actions if x.option_strings and not isinstance(x, argparse._HelpAction)]  # noqa: SLF001 (argparse has no other way)
    for depth, below in _below(top, 1):
        below.spread = True
        group = None
        for action in own:
            if not any(x in below._option_string_actions for x in action.option_strings):  # noqa: SLF001
                group = group or below.add_argument_group(_EVERYWHERE)
                group._add_action(_behind(action, depth))  # noqa: SLF001


def _behind(action: argparse.Action, depth: int) -> argparse.Action:
    """The same option behind a sub-command: it says nothing unless it is given."""
    made = copy.copy(action)
    made.default, made.required = argparse.SUPPRESS, False
    if isinstance(action, argparse._AppendAction):  # noqa: SLF001
        made.metavar = action.metavar or action.dest.upper()
        made.dest = f"{action.dest}{_BEHIND}{depth}"
    return made


def _below(top: argparse.ArgumentParser, depth: int) -> Iterator[tuple[int, CommandParser]]:
    for action in top._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for each in dict.fromkeys(action._name_parser_map.values()):  # noqa: SLF001
                yield depth, each
                yield from _below(each, depth + 1)
