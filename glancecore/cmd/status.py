"""glance-status: is this deployment ready for the release that is installed?"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

from oslo_config import cfg

from glancecore.assembly.kernel import load_database
from glancecore.assembly.stores import load_stores
from glancecore.cmd import parsing, start
from glancecore.cmd.schema import ADVICE
from glancecore.domain.errors import GlanceError, for_operators
from glancecore.kernel.transfer.places import needed_but_not_configured
from glancecore.ports.rolling_schema import RollingSchema, SchemaStep


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    parser = parsing.parser("glance-status", "Checks before and after an upgrade.")
    start.add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    area = parser.add_subparsers(dest="area", required=True, metavar="AREA").add_parser("upgrade", help="upgrades")
    area.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser(
        "check", help="exit 0: ready; 1: look at the warnings; 2: must be mended first"
    )
    args = parser.parse_args()
    conf = start.read_config(args, log_level=logging.CRITICAL)
    results = [
        {"check": name, "result": result, "details": details}
        for name, check in CHECKS.items()
        for result, details in [check(conf)]
    ]
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        for row in results:
            print(f"{row['result']:8} {row['check']}: {row['details']}")
    return {"Success": 0, "Warning": 1, "Failure": 2}[max((x["result"] for x in results), key=_ORDER.index)]


_ORDER = ["Success", "Warning", "Failure"]


def _schema(conf: cfg.ConfigOpts) -> tuple[str, str]:
    try:
        database = load_database(conf)
        database.ping()
        version = database.version()
        step = database.schema_step() if isinstance(database, RollingSchema) else SchemaStep.NOTHING
        database.close()
    except GlanceError as exc:
        return "Failure", str(exc)
    return ("Success", f"at {version}") if step is SchemaStep.NOTHING else ("Warning", f"at {version}: {ADVICE[step]}")


def _stores(conf: cfg.ConfigOpts) -> tuple[str, str]:
    try:
        database = load_database(conf)
        database.ping()
    except GlanceError as exc:
        return "Warning", f"not looked at, as the database knows where their data lies: {exc}"
    try:
        stores = load_stores(conf, database, look=True)
        unknown = needed_but_not_configured(database.places, stores.ids)
    except GlanceError as exc:
        return "Failure", for_operators(exc)
    finally:
        database.close()
    missing = [f"{x.id} ({x.unavailable_because})" for x in stores if x.unavailable_because]
    stores.close()
    if unknown:
        return "Failure", "; ".join(unknown.values())
    return ("Warning", f"not available: {'; '.join(missing)}") if missing else ("Success", ", ".join(stores.ids))


CHECKS: dict[str, Callable[[cfg.ConfigOpts], tuple[str, str]]] = {"database schema": _schema, "stores": _stores}
