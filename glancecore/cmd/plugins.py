"""glance-plugins: what is installed, what the configuration enables, what is broken and why."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.kinds import KINDS, Broken, Kind
from glancecore.assembly.kit_certificate import certificate, summary
from glancecore.assembly.loader import Loader, fault_of_distribution, faults, installed, load, missing
from glancecore.cmd import parsing, plugin_new, start
from glancecore.cmd.apart import ChildDied, apart
from glancecore.conf import beside, review
from glancecore.domain import errors
from glancecore.domain.errors import ConfigError, PluginBroken
from glancecore.kernel.transfer.places import needed_but_not_configured
from glancecore.sdk.config_files import files_of

_OPTION = re.compile(r"\[\S+\] \w+")
_COLUMNS = ("kind", "name", "state", "section", "distribution", "reason")
Row = Mapping[str, str]


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    parser = parsing.parser("glance-plugins", "Plugins: installed, enabled, broken.")
    start.add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help=(
            "all installed plugins and their state; those that the configuration enables are imported, each in a"
            " process of its own"
        ),
    )
    listing.add_argument("--all", action="store_true", help="import the others, too")
    listing.set_defaults(run=_list)
    show = actions.add_parser("show", help="one plugin, its section and its options")
    show.add_argument("kind", choices=sorted(KINDS))
    show.add_argument("name")
    show.set_defaults(run=_show)
    check = actions.add_parser(
        "check", help="load everything that the configuration enables; exit 1 when something is wrong"
    )
    check.add_argument(
        "--glance-config",
        nargs="+",
        metavar="FILE",
        help=(
            "only print what becomes of each option in these files of a Glance deployment; exit 1 when one is not"
            " known, or refused"
        ),
    )
    check.add_argument("--all", action="store_true", help="import also what is installed and not enabled")
    check.set_defaults(run=_check)
    plugin_new.add(actions)
    args = parser.parse_args()
    if args.action == "new":
        return plugin_new.run(args)
    if args.action == "check" and args.glance_config:
        return _became(args)
    conf = start.read_config(args, log_level=logging.CRITICAL)
    return int(args.run(args, conf))


def _list(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    _print(args, [row for kind in KINDS.values() for row in _rows(kind, conf, everything=args.all)])
    return 0


def _rows(kind: Kind, conf: cfg.ConfigOpts, *, everything: bool) -> list[Row]:
    """A row for each plugin that is installed or wanted."""
    wanted = kind.wanted(conf)
    rows: list[Row] = []
    for found in installed(kind.name):
        option = wanted.get(found.name)
        state, sections, reason = (
            "enabled" if option else "installed",
            _known_sections(kind, conf, found.name),
            option or "",
        )
        if fault := fault_of_distribution(kind.name, found.name):
            state, reason = "broken", fault
        elif option or everything:
            about = _look(kind, found.name, option or "name", conf)
            sections = about["sections"] or sections
            if about["fault"]:
                state, reason = "broken", about["fault"]
        certified = summary(certificate(found.target), found.distribution)
        rows.append(
            {**_row(kind.name, found.name, state, reason, sections, found.distribution), "certificate": certified}
        )
    missing = sorted(set(wanted) - {x.name for x in installed(kind.name)})
    return rows + [
        {**_row(kind.name, x, "missing", f"named by {wanted[x]}", _known_sections(kind, conf, x)), "certificate": ""}
        for x in missing
    ]


def _look(kind: Kind, name: str, option: str, conf: cfg.ConfigOpts) -> dict[str, Any]:
    """What a plugin's class says, or its fault. It is imported in a child: whatever it does there, we go on."""

    def look() -> dict[str, Any]:
        try:
            cls = load(kind.name, name, option)
            with faults(kind.name, name, named_too=False):
                options = [_option(x) for x in (*kind.common(cls), *cls.options)]
                return {
                    "fault": "",
                    "description": str(cls.__doc__ or "").strip(),
                    "sections": kind.sections(conf, name, cls),
                    "options": options,
                }
        except (ConfigError, PluginBroken) as exc:
            return {"fault": str(exc), "sections": []}

    try:
        return apart(look, conf.plugin_start_timeout)
    except ChildDied as exc:
        return {"fault": f"{kind.name} plugin {name!r} is broken: its import {exc}", "sections": [], "died": True}


def _show(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    kind = KINDS[args.kind]
    about = _look(kind, args.name, "name", conf)
    if about["fault"]:
        raise ConfigError(about["fault"])
    [found] = [x for x in installed(args.kind) if x.name == args.name]
    about = {
        "kind": args.kind,
        "name": args.name,
        "distribution": found.distribution,
        "target": found.target,
        "option": kind.option,
        "sections": about["sections"],
        "description": about["description"],
        "options": about["options"],
        "certificate": certificate(found.target),
    }
    if args.json:
        print(json.dumps(about, indent=1))
        return 0
    sections = ", ".join(f"[{x}]" for x in about["sections"]) or "the one that is called as the store's id"
    print(
        f"{args.kind} {args.name}  ({about['distribution']}, {about['target']})\n{about['description']}\n\nenabled by:"
        f" {kind.option}\nsection: {sections}"
        + (f"\ncertificate: {certified}" if (certified := summary(about["certificate"], about["distribution"])) else "")
        + "\n"
    )
    for option in about["options"]:
        print(f"  {option['name']} = {option['default']}\n      {option['help']}")
    return 0


def _became(args: argparse.Namespace) -> int:
    """Nothing is loaded, and nothing else of this machine is read, so it works anywhere."""
    conf, wrong = configuration.read(args.glance_config)
    found = review.review(conf, {})
    rows = [
        {
            "option": f"[{x.section}] {x.name}",
            "became": x.fate.outcome if x.fate else "unknown",
            "file": x.where,
            "words": x.fate.words if x.fate else f"did you mean {x.near}?" if x.near else "",
        }
        for x in found
    ]
    rows += [
        {"option": match[0] if (match := _OPTION.search(x)) else "", "became": "refused", "file": "", "words": x}
        for x in wrong
    ]
    rows += [
        {"option": option.partition(" (")[0], "became": "refused", "file": "", "words": words}
        for option, words in _nobodys(conf)
    ]
    lost = list(beside.lost(files_of(conf), conf.paste_deploy.config_file))
    if args.json:
        print(json.dumps({"options": rows, "files": lost}, indent=1))
    else:
        _print(args, rows, ("option", "became", "words", "file"))
        for text in lost:
            print(text)
    return 1 if any(x["became"] in ("refused", "unknown") for x in rows) else 0


def _nobodys(conf: cfg.ConfigOpts) -> Iterator[tuple[str, str]]:
    """Options that name a plugin which is neither this project's nor installed here, and what is said of that."""
    for kind in KINDS.values():
        names = sorted({x.name for x in installed(kind.name)})
        for name, option in kind.wanted(conf).items():
            if name not in names and name not in kind.shipped:
                yield option, missing(kind, name, names, option)


def _check(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    """Each plugin is imported in a child of its own; then, unless that says all, the service is built in another."""
    rows: list[Row] = []
    builds = True
    for kind in KINDS.values():
        for name, option in _wanted(kind, conf, everything=args.all).items():
            about = _look(kind, name, option or "name", conf)
            if about["fault"]:
                missing = name not in {x.name for x in installed(kind.name)}
                rows.append(
                    _row(
                        kind.name,
                        name,
                        "missing" if missing else "broken",
                        about["fault"],
                        _known_sections(kind, conf, name),
                    )
                )
                builds &= not option or not (missing or about.get("died") or kind.broken is Broken.STOPS)
    if builds:
        known = {(x["kind"], x["name"]) for x in rows}
        try:
            rows += [x for x in apart(lambda: _built(conf), None) if (x["kind"], x["name"]) not in known]
        except ChildDied as exc:
            rows.append(
                _row("configuration", "", "wrong", f"the start {exc}; --debug tells which plugin was started last")
            )
    _print(args, rows)
    if not rows and not args.json:
        print("Everything that the configuration enables is there and works.")
    return 1 if rows else 0


def _built(conf: cfg.ConfigOpts) -> list[Row]:
    """What is found to be wrong when the service is built."""
    try:
        service = build(conf, look=True)
        service.make_app()
        complaints = Loader(conf).one("auth").complaints()
        rows = [_row(kind, name, "broken", why) for (kind, name), why in service.broken.items() if kind != "store"]
        rows += [
            _row("store", x.id, "unavailable", x.unavailable_because, [x.id])
            for x in service.stores
            if x.unavailable_because
        ]
        rows += [
            _row("store", name, "not configured", text)
            for name, text in needed_but_not_configured(service.database.places, service.stores.ids).items()
        ]
        rows += [_row("auth", conf.auth_strategy, "wrong", x) for x in complaints]
        service.close()
        return rows + [_row("configuration", "", "unknown", x.text) for x in review.review(conf) if x.fate is None]
    except errors.GlanceError as exc:
        return [_row("configuration", "", "wrong", errors.for_operators(exc))]
    except cfg.Error as exc:
        return [_row("configuration", "", "wrong", start.in_one_line(exc))]


def _wanted(kind: Kind, conf: cfg.ConfigOpts, *, everything: bool) -> dict[str, str]:
    """Plugin name -> the option that names it, empty for one that is only installed."""
    return {**({x.name: "" for x in installed(kind.name)} if everything else {}), **kind.wanted(conf)}


def _known_sections(kind: Kind, conf: cfg.ConfigOpts, name: str) -> Sequence[str]:
    """Of a plugin that was not imported: its class may name another one."""
    return () if kind.renames else kind.sections(conf, name)


def _row(kind: str, name: str, state: str, reason: str, sections: Sequence[str] = (), distribution: str = "") -> Row:
    return {
        "kind": kind,
        "name": name,
        "state": state,
        "section": ", ".join(sections),
        "distribution": distribution,
        "reason": reason,
    }


def _option(option: cfg.Opt) -> dict[str, Any]:
    default = option.default
    return {
        "name": option.name,
        "default": default if isinstance(default, (str, int, float, list, dict, type(None))) else str(default),
        "help": option.help or "",
    }


def _print(args: argparse.Namespace, rows: Sequence[Mapping[str, str]], columns: Sequence[str] = _COLUMNS) -> None:
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    widths = {x: max([len(x), *(len(row[x]) for row in rows)]) for x in columns}
    for row in [{x: x.upper() for x in columns}, *rows] if rows else []:
        print("  ".join(row[x].ljust(widths[x]) for x in columns).rstrip())
