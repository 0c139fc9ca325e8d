"""glance-manage metadefs: load, unload, export metadata definitions as files, and hold properties against them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from glancecore.domain.errors import GlanceError, Invalid
from glancecore.domain.metadef import Namespace
from glancecore.domain.text import escaped
from glancecore.features.metadefs import bodies as metadef_bodies
from glancecore.features.metadefs import responses as metadef_answers
from glancecore.features.metadefs.catalog import MetadefCatalog, Mode
from glancecore.features.metadefs.image_properties import RESOURCE_TYPE
from glancecore.features.metadefs.schemas import READ_ONLY
from glancecore.features.metadefs.validation import MetadefValidation
from glancecore.ports.repository import Database

#: Exit code when a file could not be loaded, or properties break a rule.
WRONG = 1
Run = Callable[[argparse.Namespace, Database], int]


# -- files -----------------------------------------------------------------------------------------
def starter_set() -> Path:
    """The definitions that come with the service."""
    return Path(str(resources.files("glancecore") / "metadefs"))


def files_of(path: Path) -> list[Path]:
    """The file itself, or the ``*.json`` of a folder by name. Raises Invalid."""
    if path.is_dir():
        found = sorted(path.glob("*.json"))
        if not found:
            raise Invalid(f"{path}: no *.json in this folder")
        return found
    if not path.is_file():
        raise Invalid(f"{path}: no such file or folder")
    return [path]


def read_json(path: Path | None) -> Any:
    """A JSON file, or standard input. Raises Invalid naming it, also for a key that stands twice in one object."""
    name = str(path or "standard input")
    try:
        raw = path.read_bytes() if path else sys.stdin.buffer.read()
        json.loads(raw, object_pairs_hook=_unique)
        return orjson.loads(raw)
    except OSError as exc:
        raise Invalid(f"{name}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise Invalid(f"{name}: not valid JSON: {exc}") from exc


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"key {twice[0]!r} stands twice in one object")
    return dict(pairs)


def read_namespace(path: Path) -> Namespace:
    """What a file defines. Raises Invalid naming file, key and rule."""
    wanted = read_json(path)
    if isinstance(wanted, dict):
        wanted = {name: value for name, value in wanted.items() if name not in READ_ONLY}
    try:
        return metadef_bodies.namespace(wanted, None, datetime.now(UTC)).checked()
    except GlanceError as exc:
        raise Invalid(f"{path}: {exc}") from exc


def write_namespace(namespace: Namespace, folder: Path) -> Path:
    """Whole or not at all. Returns the file."""
    path = folder / f"{quote(namespace.name, ':')}.json"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as scratch:
        part = Path(scratch, "file")
        part.write_text(
            json.dumps(metadef_answers.exported(namespace), indent=4, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        part.replace(path)
    return path


# -- actions ---------------------------------------------------------------------------------------
def _load(args: argparse.Namespace, database: Database) -> int:
    """Each file is one commit; a bad one is told and the others are loaded."""
    if args.prefer_new and not args.merge:
        raise Invalid("--prefer-new: only together with --merge")
    if args.prefer_new and args.overwrite:
        raise Invalid("--prefer-new and --overwrite: choose one of them")
    mode = (
        Mode.OVERWRITE
        if args.overwrite
        else Mode.MERGE_NEW
        if args.prefer_new
        else Mode.MERGE
        if args.merge
        else Mode.KEEP
    )
    catalog = MetadefCatalog(database.metadefs)

    def load(path: Path) -> dict[str, str]:
        namespace = read_namespace(path)
        return {"namespace": namespace.name, "outcome": catalog.load(namespace, mode).value}

    return _report(args, _each(files_of(args.path or starter_set()), load))


def _unload(args: argparse.Namespace, database: Database) -> int:
    catalog = MetadefCatalog(database.metadefs)
    if args.path is None:
        rows = [{"namespace": x.name, "outcome": "removed"} for x in list(catalog.all()) if catalog.unload(x.name)]
        return _report(args, rows)

    def unload(path: Path) -> dict[str, str]:
        name = read_namespace(path).name
        return {"namespace": name, "outcome": "removed" if catalog.unload(name) else "not there"}

    return _report(args, _each(files_of(args.path), unload))


def _export(args: argparse.Namespace, database: Database) -> int:
    try:
        args.path.mkdir(parents=True, exist_ok=True)
        rows = [
            {"file": str(write_namespace(x, args.path)), "namespace": x.name, "outcome": "exported"}
            for x in MetadefCatalog(database.metadefs).all()
            if not args.namespace or x.name in args.namespace
        ]
    except OSError as exc:
        raise Invalid(f"--path {args.path}: {exc.strerror}") from exc
    missing = set(args.namespace) - {x["namespace"] for x in rows}
    return _report(args, [*rows, *({"namespace": x, "error": f"no namespace {x}"} for x in sorted(missing))])


def _validate(args: argparse.Namespace, database: Database) -> int:
    project, properties = args.project, None
    if args.image:
        image = database.images.get(args.image)
        project, properties = image.owner, dict(image.properties)
    else:
        properties = read_json(None if str(args.file) == "-" else args.file)
        if not isinstance(properties, dict):
            raise Invalid(f"{args.file}: must be a JSON object of properties")
    verdict = MetadefValidation(database.metadefs).check(project, args.resource_type, properties)
    if args.json:
        rows = [
            {"namespace": x.namespace, "property": x.property, "rule": x.rule, "message": x.message}
            for x in verdict.violations
        ]
        print(json.dumps({"valid": not rows, "checked": list(verdict.checked), "violations": rows}))
    else:
        for x in verdict.violations:
            print(f"{x.property}: {x.message} (rule {x.rule} of {x.namespace})")
        print(
            f"{len(properties)} properties, {len(verdict.checked)} of them defined, {len(verdict.violations)} rules"
            " broken"
        )
    return WRONG if verdict.violations else 0


def _each(paths: Iterable[Path], work: Callable[[Path], dict[str, str]]) -> Iterator[dict[str, str]]:
    for path in paths:
        try:
            yield {"file": str(path), **work(path)}
        except Invalid as exc:
            yield {"file": str(path), "error": str(exc)}


def _report(args: argparse.Namespace, found: Iterable[dict[str, str]]) -> int:
    """One line each; bad ones on standard error."""
    rows = []
    for row in found:
        rows.append(row)
        if not args.json:
            if "error" in row:
                sys.stderr.write(f"error: {escaped(row['error'])}\n")
            else:
                print(f"{row['outcome']:10} {row['namespace']}" + (f"  {row['file']}" if "file" in row else ""))
    if args.json:
        print(json.dumps(rows))
    return WRONG if any("error" in x for x in rows) else 0


# -- the command line ------------------------------------------------------------------------------
def add_area(areas: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    area = areas.add_parser("metadefs", help="metadata definitions").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add_actions(area, "")
    check = area.add_parser(
        "validate", help="hold the properties of a JSON file, or of an image, against the definitions"
    )
    check.add_argument(
        "file", nargs="?", type=Path, default=Path("-"), metavar="FILE", help="a JSON object (default: standard input)"
    )
    check.add_argument("--image", metavar="ID", help="the properties of this image instead of a file's")
    check.add_argument("--resource-type", default=RESOURCE_TYPE, metavar="TYPE", help=f"default: {RESOURCE_TYPE}")
    check.add_argument("--project", metavar="ID", help="its private definitions count beside the public ones")
    check.set_defaults(run=_validate)


def add_actions(area: argparse._SubParsersAction[argparse.ArgumentParser], suffix: str) -> None:
    """Load, unload, export; ``suffix``: under ``glance-manage db`` they are called load_metadefs …"""
    load = area.add_parser(f"load{suffix}", help="load namespaces from JSON files; those that exist are left alone")
    load.add_argument(
        "--path", type=Path, help="a file, or a folder of *.json (default: the definitions that come with the service)"
    )
    load.add_argument("--merge", action="store_true", help="add to existing namespaces what they don't have")
    load.add_argument(
        "--prefer-new", "--prefer_new", action="store_true", help="with --merge: what both have is taken from the file"
    )
    load.add_argument(
        "--overwrite",
        action="store_true",
        help="make existing namespaces as they are in the files, also without --merge",
    )
    load.set_defaults(run=_load)
    unload = area.add_parser(
        f"unload{suffix}", help="remove all namespaces, protected ones too; with --path those of the files"
    )
    unload.add_argument("--path", type=Path, help="a file, or a folder of *.json")
    unload.set_defaults(run=_unload)
    export = area.add_parser(f"export{suffix}", help="write namespaces as JSON files, one each")
    export.add_argument("--path", type=Path, required=True, help="folder; made when it is missing")
    export.add_argument("namespace", nargs="*", help="only these")
    export.set_defaults(run=_export)


def add_old_actions(areas: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Glance's oldest words, with positions instead of options."""
    load = areas.add_parser("db_load_metadefs", description="the same as db load_metadefs")
    for name, of in (("path", Path), ("merge", str), ("prefer_new", str), ("overwrite", str)):
        load.add_argument(name, nargs="?", type=of)
    load.set_defaults(run=_load)
    areas.add_parser("db_unload_metadefs", description="the same as db unload_metadefs").set_defaults(
        run=_unload, path=None
    )
    export = areas.add_parser("db_export_metadefs", description="the same as db export_metadefs")
    export.add_argument("path", nargs="?", type=Path, default=Path("/etc/glance/metadefs"))
    export.set_defaults(run=_export, namespace=[])
