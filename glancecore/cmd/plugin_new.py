"""glance-plugins new: a distribution of one's own, made of a template that ships with the core."""

from __future__ import annotations

import argparse
import importlib.resources
import re
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from glancecore.domain.errors import ConfigError

if TYPE_CHECKING:
    Actions = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (argparse has no public name for it)

#: Kind -> the part of the distribution's name that says so.
KINDS = {"extension": "ext", "store": "store"}
#: What a template is called; it is the name of everything in it.
_NAME = "template"
#: It becomes the name of a package, of options, of a URL's scheme and of records.
_GOOD = re.compile(r"[a-z][a-z0-9]{0,19}")


def add(actions: Actions) -> None:
    made = actions.add_parser("new", help="make the files of a plugin of your own, with a test that certifies it")
    made.add_argument("kind", choices=sorted(KINDS), metavar="KIND", help=" or ".join(sorted(KINDS)))
    made.add_argument(
        "name", metavar="NAME", help="the word that operators write: lower-case letters and digits, 20 at most"
    )
    made.add_argument("--folder", metavar="DIR", help="where to; it must not exist (default: glancecore-KIND-NAME)")


def run(args: argparse.Namespace) -> int:
    """No configuration is read: it works anywhere."""
    folder = make(args.kind, args.name, Path(args.folder) if args.folder else None)
    print(
        f'{folder} is there. Next, in an environment with what the extra "test" in its pyproject.toml names:\n'
        f"  cd {folder}\n  pip install --no-deps -e .\n  python -m pytest"
    )
    return 0


def make(kind: str, name: str, folder: Path | None = None) -> Path:
    """The folder, made. Raises ConfigError."""
    if not _GOOD.fullmatch(name):
        raise ConfigError(
            f"NAME = {name}: it becomes part of many names; take lower-case letters and digits, 20 at most, the first"
            " one a letter"
        )
    into = folder or Path(f"glancecore-{KINDS[kind]}-{name}")
    try:
        into.mkdir(parents=True)
        _copy(importlib.resources.files("glancecore") / "templates" / kind, into, name)
    except FileExistsError as exc:
        raise ConfigError(f"--folder: {into} exists already; give another one, or remove it") from exc
    except OSError as exc:
        raise ConfigError(f"--folder: {exc.filename or into} can't be made: {exc.strerror}; give another one") from exc
    return into


def _copy(source: Traversable, into: Path, name: str) -> None:
    for each in source.iterdir():
        target = into / _renamed(each.name, name)
        if each.name == "__pycache__":
            continue
        if each.is_dir():
            target.mkdir()
            _copy(each, target, name)
        else:
            target.write_text(_renamed(each.read_text(encoding="utf-8"), name), encoding="utf-8")


def _renamed(text: str, name: str) -> str:
    return text.replace(_NAME, name).replace(_NAME.title(), name.title())
