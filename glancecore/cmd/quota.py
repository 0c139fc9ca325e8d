"""glance-manage quota: limits of single projects, beside the default that the configuration says."""

from __future__ import annotations

import argparse
import json
from functools import partial

from glancecore.assembly.loader import Loader
from glancecore.builtin.config_quota import parse_size
from glancecore.domain import errors
from glancecore.domain.errors import ConfigError
from glancecore.domain.quota import RESOURCES, UNLIMITED, exceeded
from glancecore.kernel.project_quota import AGE, ProjectQuota, QuotaTable, checked_limit, checked_project
from glancecore.ports.repository import Database

_PAGE = 500


def _quota(args: argparse.Namespace, database: Database) -> ProjectQuota:
    """Raises ConfigError."""
    return ProjectQuota(Loader(args.conf).one("quota"), QuotaTable(database))


def _list(args: argparse.Namespace, database: Database) -> int:
    quota, after, found = _quota(args, database), "", False
    quota.require_table()
    while page := quota.table.page(after, _PAGE):
        for project, own in page:
            print(json.dumps({"project": project, "limits": own}) if args.json else f"{project}: {_told(own)}")
        after, found = page[-1][0], True
    if not found and not args.json:
        print("no project has limits of its own")
    return 0


def _show(args: argparse.Namespace, database: Database) -> int:
    quota = _quota(args, database)
    own = {} if quota.per_project else quota.table.of(args.project)
    _say(args, database, quota, own)
    return 0


def _say(args: argparse.Namespace, database: Database, quota: ProjectQuota, own: dict[str, int]) -> None:
    """``own`` and what counts, beside what is used."""
    limits, used = quota.counting(args.project, own), database.images.usage(args.project)
    rows = {
        name: {
            "usage": getattr(used, field),
            "limit": UNLIMITED if (limit := getattr(limits, field)) is None else limit,
            "own": name in own,
        }
        for name, (field, _) in RESOURCES.items()
    }
    if args.json:
        print(json.dumps({"project": args.project, "resources": rows}))
        return
    for name, row in rows.items():
        print(
            f"{name}: {row['usage']} of {_limit(int(row['limit']))},"
            f" {'set for this project' if row['own'] else 'default'}"
        )
    over = exceeded(used, limits)
    if over:
        print(f"the project uses more of {over} than it may: nothing is taken away, and nothing of it may be added")


def _set(args: argparse.Namespace, database: Database) -> int:
    wanted = {x: y for x in RESOURCES if (y := getattr(args, x)) is not None}
    if not wanted:
        raise errors.Invalid(f"quota set: say what is limited, by one of {', '.join(map(_option, RESOURCES))}")
    return _change(args, database, wanted)


def _unset(args: argparse.Namespace, database: Database) -> int:
    return _change(args, database, dict.fromkeys(args.resources or RESOURCES))


def _change(args: argparse.Namespace, database: Database, wanted: dict[str, int | None]) -> int:
    quota = _quota(args, database)
    own = quota.change(args.project, wanted)
    _say(args, database, quota, own)
    if not args.json:
        print(f"all processes know it in {AGE:g} s")
    return 0


def _told(own: dict[str, int]) -> str:
    return ", ".join(f"{x} {_limit(y)}" for x, y in own.items())


def _limit(value: int) -> str:
    return "no limit" if value == UNLIMITED else str(value)


def _option(resource: str) -> str:
    return f"--{resource.replace('_', '-')}"


# -- arguments -------------------------------------------------------------------------------------
def _project(text: str) -> str:
    try:
        return checked_project(text)
    except errors.Invalid as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _value(resource: str, text: str) -> int:
    size = bool(RESOURCES[resource][1])
    try:
        number = UNLIMITED if text.strip() == str(UNLIMITED) else parse_size(text, resource) if size else _number(text)
        return checked_limit(resource, number)
    except (errors.Invalid, ConfigError, ValueError) as exc:
        allowed = "a size such as 500MB, 100GB or 2TB" if size else "a number"
        raise argparse.ArgumentTypeError(f"{text!r}: give {allowed}, or {UNLIMITED} for no limit") from exc


def _resource(text: str) -> str:
    if text not in RESOURCES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(RESOURCES)}")
    return text


def _number(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdecimal()):
        raise ValueError(text)
    return int(text)


def add_area(areas: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    area = areas.add_parser("quota", help="limits of single projects").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    area.add_parser("list", help="projects that have limits of their own").set_defaults(run=_list)
    show = area.add_parser("show", help="what counts for a project, and what it uses")
    change = area.add_parser("set", help="limit a project; what is not named stays as it is")
    for name, (_, shift) in RESOURCES.items():
        change.add_argument(
            _option(name),
            dest=name,
            type=partial(_value, name),
            metavar="SIZE" if shift else "N",
            help=(
                f"{'bytes, with B, KB, MB, GB or TB behind it' if shift else 'how many'}; 0: none at all, {UNLIMITED}:"
                " no limit"
            ),
        )
    unset = area.add_parser("unset", help="let the default count again for a project")
    for each, run in ((show, _show), (change, _set), (unset, _unset)):
        each.add_argument("project", metavar="PROJECT", type=_project, help="the project's id")
        each.set_defaults(run=run)
    unset.add_argument(
        "resources", metavar="RESOURCE", nargs="*", type=_resource, help=f"only of these: {', '.join(RESOURCES)}"
    )
