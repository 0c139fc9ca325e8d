"""An image of a file: made, uploaded and active. What was begun by an earlier run is gone on with."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osc_glancecore.bars import Bar
from osc_glancecore.files import Source
from osc_glancecore.memory import Begun
from osc_glancecore.service import Service, ServiceError
from osc_glancecore.trying import again
from osc_glancecore.uploading import Refused, Settings, Upload

#: What files are called whose format that says.
_BY_NAME = {
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".img": "raw",
    ".iso": "iso",
    ".vmdk": "vmdk",
    ".vhd": "vhd",
    ".vhdx": "vhdx",
    ".vdi": "vdi",
    ".ami": "ami",
    ".ari": "ari",
    ".aki": "aki",
}


def add_arguments(parser: argparse.ArgumentParser, name: str = "its file's name") -> None:
    """What is said of the image, and how it is sent. ``name``: what it is called by itself."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the image's data")
    parser.add_argument("--name", help=f"the image's name; {name}, unless it is said")
    parser.add_argument("--disk-format", help="unless the file's name tells it")
    parser.add_argument("--container-format", default="bare")
    parser.add_argument("--visibility", choices=["private", "shared", "community", "public"])
    parser.add_argument(
        "--property", dest="properties", metavar="KEY=VALUE", action="append", default=[], help="any number of times"
    )
    parser.add_argument("--tag", dest="tags", action="append", default=[], help="any number of times")
    parser.add_argument("--store", help="where the data goes; the service's default store, unless it is said")
    parser.add_argument(
        "--piece-size",
        metavar="MIB",
        type=_mebibytes,
        default=64 << 20,
        help="of one request; 64 MiB. A proxy in front may ask for less",
    )
    parser.add_argument(
        "--patience", metavar="SECONDS", type=float, default=600.0, help="for which nothing may go on; 600"
    )


def settings(args: argparse.Namespace) -> Settings:
    return Settings(args.piece_size, args.patience, args.store)


def fields(args: argparse.Namespace) -> dict[str, object]:
    """The body that makes the image. Raises ValueError."""
    disk_format = args.disk_format or _BY_NAME.get(args.file.suffix.lower())
    if disk_format is None:
        raise ValueError(f"{args.file.name} does not tell its format; say --disk-format")
    found: dict[str, object] = {
        "name": args.name or args.file.name,
        "disk_format": disk_format,
        "container_format": args.container_format,
    }
    if args.visibility:
        found["visibility"] = args.visibility
    if args.tags:
        found["tags"] = args.tags
    for text in args.properties:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError(f"--property {text}: KEY=VALUE is wanted")
        found[key] = value
    return found


def made(
    service: Service,
    source: Source,
    body: Mapping[str, object],
    how: Settings,
    begun: Begun,
    image_id: str | None = None,
) -> dict[str, Any]:
    """The active image. ``image_id``: of one that is there and has no data yet. Raises what ``Upload`` raises; a second
    run goes on."""
    earlier = image_id or begun.image_id
    status = _status(service, earlier, how) if earlier else None
    if image_id is not None:
        if status is None:
            raise ServiceError(404, f"no image {image_id}")
        if status not in ("queued", "saving"):
            raise Refused(
                f"image {image_id} has its data already"
                if status == "active"
                else f"image {image_id} is {status}; an upload wants one that is queued"
            )
    if earlier is None or status not in ("queued", "saving", "active"):
        earlier = earlier if earlier and status is None else str(uuid.uuid4())
        begun.remember(earlier)
        _make(service, earlier, body, how)
        print(f"image {earlier} is made; when this is broken off, the same command goes on with it", file=sys.stderr)
    else:
        print(f"image {earlier} was made before; going on with it", file=sys.stderr)
    bar = Bar(source.path.name, source.size)
    try:
        return Upload(service, earlier, source, how, bar).run()
    finally:
        bar.close()


def _make(service: Service, image_id: str, body: Mapping[str, object], how: Settings) -> None:
    """The id is chosen here: an answer that gets lost makes no second image."""
    try:
        again(service.json, "POST", "/v2/images", patience=how.patience, json={**body, "id": image_id})
    except ServiceError as exc:
        if exc.status != 409 or _status(service, image_id, how) is None:
            raise


def _status(service: Service, image_id: str, how: Settings) -> str | None:
    try:
        return str(again(service.json, "GET", f"/v2/images/{image_id}", patience=how.patience)["status"])
    except ServiceError as exc:
        if exc.status == 404:
            return None
        raise


def _mebibytes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of MiB from 1 to 4096")
    return int(text) << 20
