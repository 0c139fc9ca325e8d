"""glance-plugins: what is installed, what the configuration enables, what is broken and why."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from oslo_config import cfg

from glancecore import bootstrap, plugins
from glancecore import conf as configuration
from glancecore.cmd import parsing, plugin_new, start
from glancecore.conf import beside, review
from glancecore.domain import errors
from glancecore.domain.errors import ConfigError, GlanceError
from glancecore.ports.config_files import files_of
from glancecore.services.places import needed_but_not_configured

_OPTION = re.compile(r"\[\S+\] \w+")
_COLUMNS = ("kind", "name", "state", "distribution", "reason")


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    parser = parsing.parser("glance-plugins", "Plugins: installed, enabled, broken.")
    start.add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all installed plugins and their state").set_defaults(run=_list)
    show = actions.add_parser("show", help="one plugin and its options")
    show.add_argument("kind", choices=sorted(plugins.KINDS))
    show.add_argument("name")
    show.set_defaults(run=_show)
    check = actions.add_parser("check", help="load everything that the configuration enables; exit 1 when something is wrong")
    check.add_argument("--glance-config", nargs="+", metavar="FILE",
                       help="only print what becomes of each option in these files of a Glance deployment; exit 1 when one is not known, or refused")
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
    used = enabled(conf)
    rows = []
    for kind in plugins.KINDS:
        names = used.get(kind, {})
        for found in plugins.installed(kind):
            state, reason = _state(kind, found.name, names.get(found.name))
            rows.append({"kind": kind, "name": found.name, "state": state, "distribution": found.distribution, "reason": reason})
        missing = sorted(set(names) - {x.name for x in plugins.installed(kind)})
        rows += [{"kind": kind, "name": x, "state": "missing", "distribution": "", "reason": f"named by {names[x]}"} for x in missing]
    _print(args, rows)
    return 0


def _show(args: argparse.Namespace, _conf: cfg.ConfigOpts) -> int:
    found = {x.name: x for x in plugins.installed(args.kind)}
    try:
        cls = plugins.load(args.kind, args.name, "name")
    except plugins.PluginBroken as exc:
        raise ConfigError(f"{exc}; mend or reinstall this driver") from exc
    about = {"kind": args.kind, "name": args.name, "distribution": found[args.name].distribution,
             "target": found[args.name].target, "description": (cls.__doc__ or "").strip(),
             "options": [_option(x) for x in getattr(cls, "options", ())]}
    if args.json:
        print(json.dumps(about, indent=1))
        return 0
    print(f"{args.kind} {args.name}  ({about['distribution']}, {about['target']})\n{about['description']}\n")
    for option in about["options"]:
        print(f"  {option['name']} = {option['default']}\n      {option['help']}")
    return 0


def _became(args: argparse.Namespace) -> int:
    """Nothing is loaded, and nothing else of this machine is read, so it works anywhere."""
    conf, wrong = configuration.read(args.glance_config)
    found = review.review(conf, {})
    rows = [{"option": f"[{x.section}] {x.name}", "became": x.fate.outcome if x.fate else "unknown", "file": x.where,
             "words": x.fate.words if x.fate else f"did you mean {x.near}?" if x.near else ""} for x in found]
    rows += [{"option": match[0] if (match := _OPTION.search(x)) else "", "became": "refused", "file": "", "words": x} for x in wrong]
    lost = list(beside.lost(files_of(conf), conf.paste_deploy.config_file))
    if args.json:
        print(json.dumps({"options": rows, "files": lost}, indent=1))
    else:
        _print(args, rows, ("option", "became", "words", "file"))
        for text in lost:
            print(text)
    return 1 if wrong or any(x.fate is None for x in found) else 0


def _check(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    rows = []
    for kind, names in enabled(conf).items():
        for name, option in names.items():
            try:
                plugins.load(kind, name, option)
            except (ConfigError, plugins.PluginBroken) as exc:
                rows.append({"kind": kind, "name": name, "state": "broken", "distribution": "", "reason": str(exc)})
    if not rows:
        try:
            service = bootstrap.build(conf, look=True)
            service.make_app()
            complaints = bootstrap.load_auth(conf).complaints()
            rows = [{"kind": "store", "name": x.id, "state": "unavailable", "distribution": "", "reason": x.fault}
                    for x in service.stores if x.fault]
            rows += [{"kind": "store", "name": name, "state": "not configured", "distribution": "", "reason": text}
                     for name, text in needed_but_not_configured(service.database.places, service.stores.ids).items()]
            rows += [{"kind": "auth", "name": conf.auth_strategy, "state": "wrong", "distribution": "", "reason": x} for x in complaints]
            service.close()
            rows += [{"kind": "configuration", "name": "", "state": "unknown", "distribution": "", "reason": x.text} for x in review.review(conf) if x.fate is None]
        except GlanceError as exc:
            rows.append({"kind": "configuration", "name": "", "state": "wrong", "distribution": "", "reason": errors.for_operators(exc)})
    _print(args, rows)
    if not rows and not args.json:
        print("Everything that the configuration enables is there and works.")
    return 1 if rows else 0


def enabled(conf: cfg.ConfigOpts) -> dict[str, dict[str, str]]:
    """Kind -> plugin name -> the option that names it."""
    return {
        "database": {conf.database.driver: "[database] driver"},
        "store": {conf.staging_driver: "[DEFAULT] staging_driver",
                  **{driver: f"[DEFAULT] enabled_backends ({store_id})" for store_id, driver in conf.enabled_backends.items()}},
        "cache": {cache: "[DEFAULT] image_cache_driver"} if (cache := bootstrap.cache_driver(conf)) else {},
        "import_method": dict.fromkeys(conf.enabled_import_methods, "[DEFAULT] enabled_import_methods"),
        "import_step": dict.fromkeys((x for x in conf.image_import_opts.image_import_plugins if x != "no_op"),
                                     "[image_import_opts] image_import_plugins"),
        "certificates": {conf.certificate_source: "[DEFAULT] certificate_source"} if conf.certificate_source else {},
        "auth": {conf.auth_strategy: "[DEFAULT] auth_strategy"},
        "notifier": dict.fromkeys(conf.notifiers, "[DEFAULT] notifiers"),
        "periodic": dict.fromkeys(conf.periodic.enabled_jobs, "[periodic] enabled_jobs"),
        "quota": {conf.quota_driver: "[DEFAULT] quota_driver"},
    }


def _state(kind: str, name: str, option: str | None) -> tuple[str, str]:
    try:
        plugins.load(kind, name, option or "name")
    except plugins.PluginBroken as exc:
        return "broken", str(exc)
    return ("enabled", option) if option else ("installed", "")


def _option(option: cfg.Opt) -> dict[str, Any]:
    return {"name": option.name, "default": option.default, "help": option.help or ""}


def _print(args: argparse.Namespace, rows: Sequence[Mapping[str, str]], columns: Sequence[str] = _COLUMNS) -> None:
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    widths = {x: max([len(x), *(len(row[x]) for row in rows)]) for x in columns}
    for row in [{x: x.upper() for x in columns}, *rows] if rows else []:
        print("  ".join(row[x].ljust(widths[x]) for x in columns).rstrip())
