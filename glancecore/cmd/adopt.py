"""glance-manage adopt: take over a deployment of Glance in place."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping

from glancecore.adoption.adopt import Adoption, AdoptionReport, CopyCheck
from glancecore.adoption.source import GlanceDatabase
from glancecore.assembly.stores import load_stores
from glancecore.domain.errors import ConfigError
from glancecore.ports.repository import Database

#: Exit code when there is something to look at.
FOUND = 1
VARIABLE = "GLANCE_DATABASE"


def _adopt(args: argparse.Namespace, database: Database) -> int:
    url = args.source or os.environ.get(VARIABLE)
    if not url:
        raise ConfigError(
            f"--from, or {VARIABLE} in the environment: give the URL of Glance's database, as in its [database]"
            " connection"
        )
    database.ping()
    renamed = _renamed(args.store)
    source = GlanceDatabase(url, "--from" if args.source else VARIABLE)
    try:
        stores = load_stores(args.conf, database)
        try:
            wrong = sorted(set(renamed.values()) - set(stores.ids))
            if wrong:
                raise ConfigError(f"--store: no store {wrong[0]!r} here; there are: {', '.join(stores.ids)}")
            report = Adoption(source, database, stores, renamed).run(
                CopyCheck(args.check), dry_run=args.dry_run, told=_progress(args)
            )
        finally:
            stores.close()
    finally:
        source.close()
    _tell(args, report)
    return FOUND if report.findings else 0


def _renamed(texts: list[str]) -> Mapping[str, str]:
    pairs = [x.partition("=") for x in texts]
    if not all(old and new for old, _, new in pairs):
        raise ConfigError("--store: write OLD=NEW, the store's id in Glance and here")
    return {old: new for old, _, new in pairs}


def _progress(args: argparse.Namespace) -> Callable[[int], None]:
    def told(number: int) -> None:
        if number % 100 == 0 and sys.stderr.isatty() and not args.json:
            sys.stderr.write(f"\r{number} images")

    return told


def _tell(args: argparse.Namespace, report: AdoptionReport) -> None:
    if args.json:
        print(
            json.dumps(
                {
                    "dry_run": report.dry_run,
                    "images": report.images,
                    "namespaces": report.namespaces,
                    "findings": [
                        {"trouble": x.trouble.value, "about": x.about, "text": x.text} for x in report.findings
                    ],
                }
            )
        )
        return
    print("Nothing was written; this is what would be done." if report.dry_run else "Taken over:")
    for what, counts in (("images", report.images), ("metadata namespaces", report.namespaces)):
        print(f"  {what}: " + (", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"))
    for x in report.findings:
        print(f"  {x.trouble.value}: {x.about}: {x.text}")


def add_area(areas: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    adopt = areas.add_parser(
        "adopt",
        help="take over a deployment of Glance: its database is read, the data stays where it lies",
        description=(
            "Reads the database of a Glance that is stopped, and adds its images, members, locations and metadata"
            " definitions to this service's own, new database. The stores must be configured here as they are in"
            f" Glance. No data is moved. Can be run again. Exit code {FOUND} when there is something to look at."
        ),
    )
    adopt.add_argument(
        "--from",
        dest="source",
        metavar="URL",
        help=(
            f"Glance's database, as in its [database] connection (default: {VARIABLE} of the environment, which other"
            " users can't see)"
        ),
    )
    adopt.add_argument("--dry-run", action="store_true", help="only tell what would be done, and what is wrong")
    adopt.add_argument(
        "--check",
        choices=[x.value for x in CopyCheck],
        default=CopyCheck.SIZE.value,
        help=(
            "look at each copy in its store: not at all, for its size, or read it whole and compare the hash (default:"
            " size)"
        ),
    )
    adopt.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="Glance's store OLD is called NEW here; may be given several times",
    )
    adopt.set_defaults(run=_adopt)
