"""glance-manage trash …"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.domain.text import counted, escaped
from glancecore.ports.extension import Argument, CommandTree, Print
from glancecore_ext_trash.deleted import stamp

if TYPE_CHECKING:
    from glancecore_ext_trash.extension import TrashCan

_PROJECT = Argument(("--project",), {"required": True, "help": "the project whose deleted images are meant"})
_IMAGE = Argument(("image_id",), {"help": "the deleted image's id"})
_CTX = Context(roles=frozenset({"admin", "member", "reader"}), admin=True)


def declare(manage: CommandTree) -> None:
    manage.add("list", "deleted images of a project, the last one first", _list, _PROJECT)
    manage.add("restore", "have a deleted image back as it was", _restore, _IMAGE)
    manage.add("purge", "delete a deleted image for good, now", _purge, _IMAGE)


def _list(trash: TrashCan, args: argparse.Namespace, say: Print) -> int:
    marker: str | None = None
    while page := trash.deleted.page(_CTX, args.project, marker, 100):
        deleters = trash.deleted.deleters(page)
        for image in page:
            goes_at, by = trash.deleted.goes_at(image), deleters.get(image.id)
            row = {
                "id": image.id,
                "name": image.name,
                "size": image.size,
                "deleted_at": stamp(image.updated_at),
                "deleted_by": by,
                "goes_at": stamp(goes_at) if goes_at else None,
            }
            say(json.dumps(row) if args.json else _line(image, row, by))
        marker = page[-1].id
    return 0


def _line(image: Image, row: Mapping[str, object], by: Mapping[str, object] | None) -> str:
    """What clients have chosen is written out, so that a terminal obeys none of it."""
    name = escaped(image.name) if image.name else "without a name"
    size = "no size" if image.size is None else counted(image.size, "byte")
    who = f" by {escaped(str(by['user'] or 'somebody'))} of {escaped(str(by['project'] or 'no project'))}" if by else ""
    return f"{image.id} {name} ({size}), deleted {row['deleted_at']}{who}, goes {row['goes_at'] or 'soon'}"


def _restore(trash: TrashCan, args: argparse.Namespace, say: Print) -> int:
    image = trash.deleted.restore(_CTX, args.image_id.lower())
    say(
        json.dumps({"id": image.id, "status": image.status.value})
        if args.json
        else f"image {image.id} is {image.status.value} again"
    )
    return 0


def _purge(trash: TrashCan, args: argparse.Namespace, say: Print) -> int:
    trash.deleted.purge(_CTX, args.image_id.lower())
    say(json.dumps({"id": args.image_id.lower()}) if args.json else f"image {args.image_id.lower()} is gone for good")
    return 0
