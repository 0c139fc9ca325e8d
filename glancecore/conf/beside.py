"""Glance's other files, beside glance-api.conf: which are read, and what is lost of those that are not."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from oslo_config import cfg

from glancecore.conf import environment
from glancecore.sdk.config_files import files_of

MAIN = "glance-api.conf"
#: Read before glance-api.conf, which wins.
READ = "glance-image-import.conf"
#: Options that Glance has for single commands; here they are all in glance-api.conf.
UNREAD = ("glance-cache.conf", "glance-scrubber.conf", "glance-manage.conf")
PASTE = "glance-api-paste.ini"
#: Whose filters are known: what they do is the service's own business here, or an option's.
KNOWN_FILTERS = (
    "glance.",
    "keystonemiddleware.auth_token",
    "oslo_middleware",
    "oslo.middleware",
    "egg:oslo.middleware",
    "osprofiler",
    "egg:osprofiler",
    "egg:Paste#gzip",
)


def with_read(files: Iterable[str]) -> list[str]:
    """These files, each with the one that belongs to it."""
    found: list[str] = []
    for file in files:
        beside = Path(file).with_name(READ)
        if Path(file).name == MAIN and beside.is_file() and str(beside) not in found:
            found.append(str(beside))
        if file not in found:
            found.append(file)
    return found


def read_sections(path: str | Path) -> dict[str, dict[str, list[str]]]:
    """Section -> option -> its values, as they stand in the file. Raises oslo.config's errors."""
    sections: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), sections).parse()
    return {
        group: {name.replace("-", "_"): values for name, values in options.items()}
        for group, options in sections.items()
    }


def written(conf: cfg.ConfigOpts, environ: Mapping[str, str] | None = None) -> dict[str, dict[str, list[str]]]:
    """Section -> option -> its values where it counts: in the environment, or in the last file that has it. ``environ``
    None: that which ``conf`` reads."""
    if environ is None:
        environ = os.environ if conf._use_env else {}  # noqa: SLF001 (it can't be asked)
    found: dict[str, dict[str, list[str]]] = {}
    for file in files_of(conf):
        for group, options in read_sections(file).items():
            found.setdefault(group, {}).update(options)
    for variable, group, option in environment.variables({*conf._groups, *found}, environ):  # noqa: SLF001 (there is no public list)
        found.setdefault(group, {})[option] = [environ[variable]]
    return found


def lost(files: Sequence[str], paste_file: str | None) -> Iterator[str]:
    """What stands in Glance's other files, and not in those that are read: one sentence each."""
    read: dict[str, dict[str, list[str]]] = {}
    for file in files:
        for group, options in read_sections(file).items():
            read.setdefault(group, {}).update(options)
    for folder in dict.fromkeys(Path(x).parent for x in files if Path(x).name == MAIN):
        for name in UNREAD:
            path = folder / name
            if path.is_file() and str(path) not in files:
                words = [
                    f"[{group}] {option}"
                    for group, options in read_sections(path).items()
                    for option, values in options.items()
                    if read.get(group, {}).get(option) != values
                ]
                if words:
                    yield f"{path} is not read; move what it says to {folder / MAIN}: {', '.join(words)}"
        if paste_file is None:
            yield from _lost_filters(folder / PASTE)
    if paste_file is not None:
        yield from _lost_filters(Path(paste_file))


def _lost_filters(path: Path) -> Iterator[str]:
    if not path.is_file():
        return
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, ValueError) as exc:
        yield f"{path} is not read: {' '.join(str(exc).split())}"
        return
    for section in parser.sections():
        made_by = parser.get(section, "paste.filter_factory", fallback="") or parser.get(section, "use", fallback="")
        if section.startswith("filter:") and not made_by.startswith(KNOWN_FILTERS):
            yield (
                f"{path} is not read: [{section}] ({made_by or 'without a factory'}) does nothing here; put what it"
                " does into a proxy in front"
            )
