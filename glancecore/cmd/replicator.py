"""glance-replicator: bring images from one service to another, or to and from a folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from keystoneauth1 import adapter, exceptions, noauth, session, token_endpoint

from glancecore.cmd import parsing, start
from glancecore.domain.errors import ConfigError
from glancecore.remote.folder import ImageFolder
from glancecore.remote.record import RemoteError, RemotePlace, RemoteRecord
from glancecore.remote.replicate import Line, Replication, Result, total
from glancecore.remote.server import ImageServer

#: Exit code when an image failed, is missing or is different.
WRONG = 1
EPILOG = """
SERVER is the name of a cloud in clouds.yaml, with whatever login it says (Keystone's, or auth_type http_basic), or a
URL such as http://image.example.org:9292, with a token in GLANCE_SOURCE_TOKEN or GLANCE_TARGET_TOKEN of the
environment, or in a file, where it wants one. It may be any service with the Image API v2, Glance itself as well.
Everything can be broken off and run again: what is there already is not sent again.
"""


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    args = parser().parse_args()
    try:
        return int(args.run(args))
    except (
        exceptions.ClientException,
        requests.RequestException,
    ) as exc:  # the second: an answer that breaks off, or is no JSON
        raise RemoteError(str(exc)) from exc


# -- places ----------------------------------------------------------------------------------------
def _server(args: argparse.Namespace, name: str, side: str) -> ImageServer:
    token, headers = _token(args, side), dict(_header(x) for x in getattr(args, f"{side}_header"))
    if "://" in name or ":" in name:
        url = (name if "://" in name else f"http://{name}").rstrip("/").removesuffix("/v2")
        auth = token_endpoint.Token(url, token) if token else noauth.NoAuth(endpoint=url)
        made = adapter.Adapter(session.Session(auth=auth), endpoint_override=url, additional_headers=headers)
        return ImageServer(url, made)
    return ImageServer(name, _of_cloud(name, headers))


def _token(args: argparse.Namespace, side: str) -> str:
    """What stands in the command line is seen by everybody on the machine, so there are better places for it. Raises
    ConfigError."""
    path = getattr(args, f"{side}_token_file")
    if path is None:
        return str(getattr(args, f"{side}_token") or os.environ.get(f"GLANCE_{side.upper()}_TOKEN", ""))
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"--{side}-token-file {path}: can't be read: {exc}; give a file with nothing but the token in it"
        ) from exc


def _of_cloud(name: str, headers: dict[str, str]) -> adapter.Adapter:
    try:
        import openstack
        from openstack import exceptions as sdk
    except ImportError:
        raise ConfigError(
            f"{name}: to read clouds.yaml, install openstacksdk (pip install 'glancecore[replicator]')"
        ) from None
    try:
        region = openstack.config.OpenStackConfig().get_one(cloud=name)
        login, url = region.get_session(), region.get_session_endpoint("image")
    except (sdk.SDKException, sdk.ConfigException) as exc:
        raise ConfigError(f"cloud {name}: {exc}; correct it in clouds.yaml") from exc
    if url is None:
        raise ConfigError(
            f"cloud {name}: its catalogue has no image service there; set image_endpoint_override in clouds.yaml"
        )
    return adapter.Adapter(login, endpoint_override=url.rstrip("/").removesuffix("/v2"), additional_headers=headers)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f"--source-header, --target-header {text!r}: write 'Name: value'")
    return name.strip(), value.strip()


# -- actions ---------------------------------------------------------------------------------------
def _size(args: argparse.Namespace) -> int:
    count, size = total(_server(args, args.server, "source"))
    print(json.dumps({"images": count, "bytes": size}) if args.json else f"{size} bytes in {count} images")
    return 0


def _compare(args: argparse.Namespace) -> int:
    return _tell(
        args, _replication(args, _server(args, args.source, "source"), _server(args, args.target, "target")).compare()
    )


def _dump(args: argparse.Namespace) -> int:
    return _run(args, _server(args, args.server, "source"), ImageFolder(args.path))


def _load(args: argparse.Namespace) -> int:
    return _run(args, ImageFolder(args.path), _server(args, args.server, "target"))


def _livecopy(args: argparse.Namespace) -> int:
    return _run(args, _server(args, args.source, "source"), _server(args, args.target, "target"))


def _run(args: argparse.Namespace, source: RemotePlace, target: RemotePlace) -> int:
    with _bars(args) as progress:
        result = _replication(args, source, target, progress=progress).run(
            lambda line: None if args.json else _say(line)
        )
    return _tell(args, result, lines=False)


def _replication(args: argparse.Namespace, source: RemotePlace, target: RemotePlace, **more: Any) -> Replication:
    return Replication(
        source,
        target,
        without=tuple(args.without.replace(",", " ").split()),
        only=tuple(args.image),
        metadata_only=args.metaonly,
        **more,
    )


def _say(line: Line) -> None:
    print(f"{line.outcome.value:10} {line.image}" + (f"  {line.text}" if line.text else ""), flush=True)


def _tell(args: argparse.Namespace, result: Result, *, lines: bool = True) -> int:
    if args.json:
        print(
            json.dumps(
                {
                    "images": [{"id": x.image, "outcome": x.outcome.value, "text": x.text} for x in result.lines],
                    "counts": result.counts,
                    "bytes": result.bytes,
                }
            )
        )
    else:
        for line in result.lines if lines else ():
            _say(line)
        print(
            ", ".join(f"{count} {name}" for name, count in sorted(result.counts.items())) or "no images",
            f"({result.bytes} bytes)",
        )
    return WRONG if result.bad else 0


@contextlib.contextmanager
def _bars(args: argparse.Namespace) -> Iterator[Callable[[RemoteRecord, int], None]]:
    """One bar an image, on a terminal only."""
    if args.json or not sys.stderr.isatty():
        yield lambda _record, _count: None
        return
    from tqdm import tqdm

    bars: dict[str, tqdm[Any]] = {}

    def progress(record: RemoteRecord, count: int) -> None:
        if record.id not in bars:
            bars[record.id] = tqdm(
                total=record.size, unit="B", unit_scale=True, unit_divisor=1024, desc=record.id, leave=False
            )
        bars[record.id].update(count)
        if bars[record.id].n == record.size:
            bars[record.id].close()

    yield progress
    for bar in bars.values():
        bar.close()


# -- the command line ------------------------------------------------------------------------------
def parser() -> argparse.ArgumentParser:
    made = parsing.parser(
        "glance-replicator",
        "Bring images from one image service to another.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for side, words in (
        ("source", ("-M", "--source-token", "--mastertoken", "--sourcetoken")),
        ("target", ("-N", "--target-token", "--slavetoken", "--targettoken")),
    ):
        made.add_argument(
            *words, dest=f"{side}_token", default="", help=argparse.SUPPRESS
        )  # as Glance has it; everybody on the machine sees it
        made.add_argument(
            f"--{side}-token-file",
            metavar="PATH",
            help=(
                f"file with the Keystone token for the {side} (default: GLANCE_{side.upper()}_TOKEN of the environment)"
            ),
        )
        made.add_argument(
            f"--{side}-header",
            action="append",
            default=[],
            metavar="'NAME: VALUE'",
            help=f"send this header to the {side} too",
        )
    made.add_argument(
        "-D",
        "--dontreplicate",
        "--without",
        dest="without",
        default="",
        metavar="FIELDS",
        help="fields that are not carried over, such as 'owner visibility'",
    )
    made.add_argument("-m", "--metaonly", action="store_true", help="no data, only what describes it")
    made.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="ID",
        help="only this image; may be given several times (default: all that can be seen)",
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    actions = made.add_subparsers(dest="action", required=True, metavar="COMMAND")

    def action(name: str, run: Callable[[argparse.Namespace], int], text: str, *places: tuple[str, str]) -> None:
        one = actions.add_parser(name, help=text)
        for place, what in places:
            one.add_argument(place, metavar=place.upper(), help=what, type=Path if place == "path" else str)
        one.set_defaults(run=run)

    action("size", _size, "how much there is to copy", ("server", "see below"))
    action(
        "compare",
        _compare,
        f"what is missing or different in the target; exit code {WRONG} if anything is",
        ("source", "a server"),
        ("target", "a server"),
    )
    action("livecopy", _livecopy, "copy from one service to the other", ("source", "a server"), ("target", "a server"))
    action("dump", _dump, "write images into a folder", ("server", "from here"), ("path", "the folder"))
    action("load", _load, "load images from such a folder", ("server", "to here"), ("path", "the folder"))
    return made
