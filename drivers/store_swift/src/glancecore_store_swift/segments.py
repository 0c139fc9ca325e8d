"""Large objects: the segments that a manifest names, and their removal.

Ours are static ones (SLO): ``.segments/KEY/UPLOAD/00000001`` in the image's own container. No key begins with a dot, so
they are never taken for images; ``UPLOAD`` is drawn for each upload, so a writer that should be dead can't replace
another's segments. Glance's are dynamic (DLO): ``KEY-00001`` beside the image. Those of the ``swift`` command are in
``CONTAINER_segments``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from glancecore.domain import errors
from glancecore.sdk import log_lines
from glancecore_store_swift.account import Account
from glancecore_store_swift.places import Place

PREFIX = ".segments/"
#: Objects that are asked for at a time.
PAGE = 1000
#: What follows a dynamic manifest's prefix: a number, or also the time and the sizes that the ``swift`` command puts
#: before it.
_NUMBERS = re.compile(r"[0-9./]*[0-9]")

Headers = Mapping[str, str]


def segment_name(key: str, upload: str, number: int) -> str:
    return f"{PREFIX}{key}/{upload}/{number:08d}"


def manifest(container: str, sent: Iterable[tuple[str, str | None, int]]) -> str:
    """``sent``: name, ETag if that is known, and size of each segment. Swift looks whether they are."""
    return json.dumps([{"path": f"/{container}/{name}", "etag": etag, "size_bytes": size} for name, etag, size in sent])


def head_of(place: Place, operation: str) -> Headers | None:
    """None when it is not there."""
    try:
        with place.account.connection(operation) as connection:
            head: Headers = connection.head_object(place.container, place.key)
            return head
    except errors.BlobNotFound:
        return None


def is_static(head: Headers) -> bool:
    return head.get("x-static-large-object", "").lower() == "true"


def dynamic_prefix(head: Headers) -> tuple[str, str] | None:
    """Container and beginning of the segments' names."""
    container, slash, prefix = unquote(head.get("x-object-manifest", "")).lstrip("/").partition("/")
    return (container, prefix) if slash else None


def numbered(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and _NUMBERS.fullmatch(name, len(prefix)) is not None


def objects(account: Account, container: str, operation: str, **which: str) -> Iterator[Mapping[str, Any]]:
    """A container's objects, page by page; none when the container does not exist."""
    marker = ""
    while True:
        try:
            with account.connection(operation) as connection:
                page = connection.get_container(container, marker=marker, limit=PAGE, **which)[1]
        except errors.BlobNotFound:
            return
        yield from page
        if not page:
            return
        marker = page[-1].get("name") or page[-1]["subdir"]


def segments(place: Place, head: Headers | None, operation: str) -> Iterator[tuple[str, str]]:
    """Container and name of every segment of the image: those that its manifest names, and what dead writers left.

    A manifest may name anything: only what is plainly a segment of this image is believed.
    """
    if head is not None and is_static(head):
        with place.account.connection(operation) as connection:
            _, text = connection.get_object(place.container, place.key, query_string="multipart-manifest=get")
        for entry in json.loads(text):
            container, _, name = entry["name"].lstrip("/").partition("/")
            if container == f"{place.container}_segments" or (
                container == place.container and name.startswith((f"{PREFIX}{place.key}/", f"{place.key}/"))
            ):
                yield container, name
    elif head is not None and (found := dynamic_prefix(head)):
        container, prefix = found
        if container in {place.container, f"{place.container}_segments"} and prefix.startswith(
            (f"{place.key}-", f"{place.key}/")
        ):
            for entry in objects(place.account, container, operation, prefix=prefix):
                if numbered(entry["name"], prefix):
                    yield container, entry["name"]
    for entry in objects(place.account, place.container, operation, prefix=f"{PREFIX}{place.key}/"):
        yield place.container, entry["name"]


def remove(account: Account, names: Iterable[tuple[str, str]], operation: str, threads: int) -> None:
    """Those that are not there are as good as removed."""

    def one(where: tuple[str, str]) -> None:
        with suppress(errors.BlobNotFound), account.connection(operation) as connection:
            connection.delete_object(*where)

    todo = list(dict.fromkeys(names))
    if not todo:
        return
    with ThreadPoolExecutor(min(threads, len(todo)), initializer=log_lines.carry()) as pool:
        for done in [pool.submit(one, where) for where in todo]:
            done.result()
