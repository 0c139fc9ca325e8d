"""glance-manage census …"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from glancecore.ports.extension import Argument, CommandTree, Print
from glancecore.ports.record_repository import Record
from glancecore_ext_census.counts import show

if TYPE_CHECKING:
    from glancecore_ext_census.extension import Census


def declare(manage: CommandTree) -> None:
    manage.add("list", "what was counted", _list, Argument(("--project",), {"help": "only images of this project"}))


def _list(census: Census, args: argparse.Namespace, say: Print) -> int:
    last: Record | None = None
    while page := census.counts.page(args.project, last):
        for record in page:
            shown = show(record)
            say(json.dumps(shown) if args.json else f"{shown['image_id']} {shown['percent']}% of {shown['size']} bytes")
        last = page[-1]
    return 0
