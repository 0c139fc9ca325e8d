"""glance-cache-manage: look at and change the image cache of a running glance-api, over its API."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from keystoneauth1 import exceptions, loading
from keystoneauth1.session import Session

from glancecore.cmd import parsing, start
from glancecore.domain.errors import GlanceError

LOCAL = "http://127.0.0.1:9292"
EPILOG = f"""
The service is found in Keystone's catalogue, by the usual OS_* variables or --os-* options; without Keystone by --url,
or by --host and --port (default: {LOCAL}). Logins: --os-auth-type password and the other types of Keystone; http_basic
for HTTP basic; none when the service takes everybody. For a service behind a proxy that tells identities: --header
'X-Roles: admin' and the like.

A cache belongs to one machine: what you see is the cache of the machine that answers. Ask each one by its own --url.
"""


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    args = parser(sys.argv[1:]).parse_args()
    try:
        return int(args.run(args, ImageService(args)))
    except exceptions.HttpError as exc:
        raise GlanceError(f"the service says {exc.http_status}: {_said(exc)}") from exc
    except exceptions.ClientException as exc:
        raise GlanceError(str(exc)) from exc


class ImageService:
    """The image service, as whoever the options say."""

    def __init__(self, args: argparse.Namespace) -> None:
        auth = loading.load_auth_from_argparse_arguments(args)
        self._session: Session = loading.load_session_from_argparse_arguments(args, auth=auth)
        self._headers = dict(_header(x) for x in args.header)
        url = args.url or (f"http://{args.host or '127.0.0.1'}:{args.port or 9292}" if args.host or args.port else None)
        if url is None and args.os_auth_type not in ("none", "http_basic"):
            url = self._session.get_endpoint(
                service_type="image", interface=args.os_interface, region_name=args.os_region_name
            )
            if url is None:
                raise GlanceError(
                    "the catalogue has no image service there; give --url, or another --os-region-name or"
                    " --os-interface"
                )
        self._url = (url or getattr(args, "os_endpoint", None) or LOCAL).rstrip("/").removesuffix("/v2")

    def call(self, method: str, path: str, **headers: str) -> Any:
        answer = self._session.request(
            f"{self._url}/v2{path}", method, headers={**self._headers, "Accept": "application/json", **headers}
        )
        return answer.json() if answer.content else None


# -- actions ---------------------------------------------------------------------------------------
def _list_cached(args: argparse.Namespace, service: ImageService) -> int:
    rows = service.call("GET", "/cache")["cached_images"]
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    _table(
        ("IMAGE", "LAST ACCESSED (UTC)", "LAST MODIFIED (UTC)", "SIZE", "HITS"),
        [
            (x["image_id"], _time(x["last_accessed"]), _time(x["last_modified"]), str(x["size"]), str(x["hits"]))
            for x in rows
        ],
    )
    print(f"{len(rows)} images, {sum(x['size'] for x in rows)} bytes")
    return 0


def _list_queued(args: argparse.Namespace, service: ImageService) -> int:
    ids = service.call("GET", "/cache")["queued_images"]
    print(json.dumps(ids, indent=1) if args.json else "\n".join(ids) or "Nothing is queued.")
    return 0


def _queue(args: argparse.Namespace, service: ImageService) -> int:
    for image_id in args.image:
        if _sure(args, f"Queue image {image_id} for caching?"):
            service.call("PUT", f"/cache/{image_id}")
            _done(args, "queued", image_id)
    return 0


def _delete(args: argparse.Namespace, service: ImageService) -> int:
    there = _ids(service, args.target)
    for image_id in args.image:
        if image_id not in there:
            raise GlanceError(f"image {image_id} is not {args.what}")
        if _sure(args, f"Delete {args.what} image {image_id}?"):
            service.call("DELETE", f"/cache/{image_id}")
            _done(args, "deleted", image_id)
    return 0


def _delete_all(args: argparse.Namespace, service: ImageService) -> int:
    ids = _ids(service, args.target)
    if _sure(args, f"Delete all {len(ids)} {args.what} images?"):
        service.call("DELETE", "/cache", **{"x-image-cache-clear-target": args.target})
        print(json.dumps({"deleted": len(ids)}) if args.json else f"Deleted {len(ids)} {args.what} images.")
    return 0


def _clean(args: argparse.Namespace, service: ImageService) -> int:
    service.call("POST", "/cache/clean")
    print(json.dumps({"cleaned": True}) if args.json else "Leftovers are removed.")
    return 0


def _prune(args: argparse.Namespace, service: ImageService) -> int:
    found = service.call("POST", "/cache/prune")
    print(
        json.dumps(found)
        if args.json
        else f"Pruned {found['total_files_pruned']} images, {found['total_bytes_pruned']} bytes."
    )
    return 0


def _nodes(args: argparse.Namespace, service: ImageService) -> int:
    found = service.call("GET", f"/cache/nodes/{args.image}")
    print(json.dumps(found, indent=1) if args.json else "\n".join(found) or "No node has it.")
    return 0


def _ids(service: ImageService, target: str) -> list[str]:
    found = service.call("GET", "/cache")
    return [x["image_id"] for x in found["cached_images"]] if target == "cache" else list(found["queued_images"])


def _sure(args: argparse.Namespace, question: str) -> bool:
    if args.force:
        return True
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _done(args: argparse.Namespace, what: str, image_id: str) -> None:
    print(json.dumps({what: image_id}) if args.json else f"{what} {image_id}")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows) if rows else ():
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise GlanceError(f"--header {text!r}: write 'Name: value'")
    return name.strip(), value.strip()


def _said(exc: exceptions.HttpError) -> str:
    """The service's own sentence."""
    try:
        body: Mapping[str, object] = exc.response.json()  # type: ignore[union-attr]
        return str(body["message"])
    except (AttributeError, ValueError, KeyError, TypeError):
        return str(exc.message or exc)


# -- the command line ------------------------------------------------------------------------------
def parser(argv: list[str]) -> argparse.ArgumentParser:
    made = parsing.parser(
        "glance-cache-manage",
        "Look at and change the image cache of a running glance-api.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--url", default=os.environ.get("OS_IMAGE_ENDPOINT_OVERRIDE"), help="where glance-api answers")
    made.add_argument("-H", "--host", metavar="ADDRESS", help="the same by its address")
    made.add_argument("-p", "--port", type=int, help="and its port")
    made.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this header too; may be given several times",
    )
    made.add_argument("-f", "--force", action="store_true", help="don't ask before deleting")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--os-region-name", default=os.environ.get("OS_REGION_NAME"), help="region of the image service")
    made.add_argument(
        "--os-interface", default=os.environ.get("OS_INTERFACE", "public"), help="interface of the image service"
    )
    loading.register_session_argparse_arguments(made)
    loading.register_auth_argparse_arguments(
        made, argv, default="password" if os.environ.get("OS_AUTH_URL") or _names_keystone(argv) else "none"
    )

    actions = made.add_subparsers(dest="action", required=True, metavar="COMMAND")
    actions.add_parser("list-cached", help="what is cached").set_defaults(run=_list_cached)
    actions.add_parser("list-queued", help="what is to be cached").set_defaults(run=_list_queued)
    queue = actions.add_parser("queue-image", help="cache images soon; caching begins at once in the background")
    queue.add_argument("image", nargs="+", metavar="IMAGE_ID")
    queue.set_defaults(run=_queue)
    for what, target in (("cached", "cache"), ("queued", "queue")):
        one = actions.add_parser(f"delete-{what}-image", help=f"remove {what} images")
        one.add_argument("image", nargs="+", metavar="IMAGE_ID")
        one.set_defaults(run=_delete, what=what, target=target)
        actions.add_parser(f"delete-all-{what}-images", help=f"remove all {what} images").set_defaults(
            run=_delete_all, what=what, target=target
        )
    actions.add_parser(
        "clean", help="remove what is left over: of dead processes, of images that are no more"
    ).set_defaults(run=_clean)
    actions.add_parser("prune", help="shrink the cache to its bound").set_defaults(run=_prune)
    nodes = actions.add_parser("nodes", help="which machines have an image in their caches")
    nodes.add_argument("image", metavar="IMAGE_ID")
    nodes.set_defaults(run=_nodes)
    return made


def _names_keystone(argv: Sequence[str]) -> bool:
    return any(x.partition("=")[0] == "--os-auth-url" for x in argv)
