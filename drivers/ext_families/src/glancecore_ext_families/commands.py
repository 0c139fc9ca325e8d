"""glance-manage families …"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from glancecore.domain.text import escaped
from glancecore.ports.extension import Argument, CommandTree, Print
from glancecore.ports.record_repository import RecordQuery
from glancecore_ext_families import schemas
from glancecore_ext_families.family import FAMILIES, Family

if TYPE_CHECKING:
    from glancecore_ext_families.extension import Families


def declare(manage: CommandTree) -> None:
    manage.add(
        "list",
        "all families, and where their channels point",
        _list,
        Argument(("--project",), {"help": "only those of this project"}),
    )


def _list(families: Families, args: argparse.Namespace, say: Print) -> int:
    after: tuple[str, str] | None = None
    key, equal = (0, [args.project]) if args.project is not None else (None, None)
    while page := families.kernel.records.find(RecordQuery(FAMILIES.name, key, equal, after=after)):
        for record in page:
            family = Family.of(record)
            channels = [schemas.channel(name, x) for name, x in sorted(family.channels.items())]
            where = ", ".join(f"{x['name']}: {x['label']}" for x in channels) or "no channels"
            say(
                json.dumps({**schemas.family(family), "channels": channels})
                if args.json
                else f"{family.id} {family.name} ({escaped(family.owner or 'no project')}, {family.visibility}) {where}"
            )
        last = page[-1]
        after = (args.project if args.project is not None else last.id, last.id)
    return 0
