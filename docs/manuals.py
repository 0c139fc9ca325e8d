# ruff: noqa: INP001 - used by generate.py
"""Manual pages and shell completion of the commands, from the parsers that read their command lines."""

from __future__ import annotations

import argparse
import configparser
import functools
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import shtab
from argparse_manpage.manpage import Manpage

from glancecore.cmd import parsing

REPO = Path(__file__).resolve().parent.parent
#: Commands of operators: section 8 of the manual.
SECTION = 8
#: What an argument's name in the help says of how to complete it.
_COMPLETED = {"PATH": shtab.FILE, "FILE": shtab.FILE, "DIR": shtab.DIRECTORY}


class _Found(BaseException):  # not an error, and nobody's to handle: a command catches what goes wrong
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def commands() -> dict[str, str]:
    """Name -> module:function of each command of the core."""
    setup = configparser.ConfigParser()
    setup.read(REPO / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    return {name.strip(): target.strip() for name, _, target in (x.partition("=") for x in lines)}


def parser_of(name: str) -> argparse.ArgumentParser:
    """The one that the command reads its command line with. Extensions' words are not in it: none is enabled here."""
    module, _, function = commands()[name].partition(":")

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _Found(parser)

    with (
        mock.patch.object(sys, "argv", [name]),
        mock.patch.object(parsing.CommandParser, "parse_known_args", stop),
        mock.patch.dict("os.environ", {"COLUMNS": "80", "HOME": "/nonexistent"}),
    ):
        try:
            getattr(importlib.import_module(module), function)()
        except _Found as found:
            return found.parser
    raise AssertionError(f"{name} reads no command line")


def manual(name: str) -> str:
    """The manual page, in roff."""
    parser = parser_of(name)
    about = {
        "project_name": "glancecore",
        "manual_section": SECTION,
        "manual_title": "glancecore",
        "description": str(parser.description).partition(". ")[0].rstrip("."),
    }
    with mock.patch.dict("os.environ", {"COLUMNS": "80", "SOURCE_DATE_EPOCH": "0"}):
        page = Manpage(parser, about)
        page.date = ""  # it is what the code says, whenever it is made
        text = re.sub(r"^'(?!\\\")", r"\\&'", str(page), flags=re.MULTILINE)  # text, and no request of roff
    also = ",\n".join(f".BR {x} ({SECTION})" for x in sorted(commands()) if x != name)
    read = [str(x.help) for x in parser._actions if "--config-file" in x.option_strings]  # noqa: SLF001 (argparse has no other way)
    files = [
        f".SH FILES\n.TP\n/etc/glance/{name}\nThe configuration, where no \\-\\-config\\-file names another one.\n"
        for x in read
        for name in re.findall(r"default: (\S+\.conf)", x)
    ]
    return f"{text.rstrip()}\n{''.join(files)}.SH SEE ALSO\n{also}\n"


def completion(name: str, shell: str) -> str:
    """What ``shell`` (bash or zsh) reads to complete the command's words."""
    parser = parser_of(name)
    parsing._spread(parser)  # type: ignore[arg-type]  # noqa: SLF001 (so that options are offered behind the words, too)
    for action in _actions(parser):
        metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        if complete := _COMPLETED.get(metavar):
            action.complete = complete  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 (argparse has no other way)
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in dict.fromkeys(action.choices.values()):
                yield from _actions(below)


def files() -> dict[str, Callable[[Path], None]]:
    """Path in the tree -> what writes it."""
    made: dict[str, Callable[[Path], None]] = {}
    for name in commands():
        made[f"deploy/man/{name}.{SECTION}"] = functools.partial(_write, lambda name=name: manual(name))
        made[f"deploy/completion/bash/{name}"] = functools.partial(_write, lambda name=name: completion(name, "bash"))
        made[f"deploy/completion/zsh/_{name}"] = functools.partial(_write, lambda name=name: completion(name, "zsh"))
    return made


def _write(text: Callable[[], str], out: Path) -> None:
    out.write_text(re.sub(r"[ \t]+$", "", text(), flags=re.MULTILINE), encoding="utf-8")
