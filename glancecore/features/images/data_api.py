"""Image data: upload, download with ranges, conditions and the kernel's help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from flask import Request, Response
from werkzeug.http import parse_etags

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.http.arguments import whole_number
from glancecore.kernel import metrics
from glancecore.kernel.transfer.downloads import Download, Downloads
from glancecore.kernel.transfer.uploads import Uploads
from glancecore.ports.store import CHUNK, read_chunks
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import empty

OCTETS = "application/octet-stream"
#: Called once with the number of bytes that went out.
_Done = Callable[[int], None]
#: Servers whose ``wsgi.file_wrapper`` begins at the file's position; uWSGI sends from the beginning whatever it is.
POSITION_SERVERS = ("gunicorn/",)
#: More digits are beyond any image.
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/(?:[0-9]{1,19}|\*)")


class ImageDataApi:
    """``sendfile``: hand local files to the server, which lets the kernel send them."""

    def __init__(self, uploads: Uploads, downloads: Downloads, *, sendfile: bool) -> None:
        self._uploads = uploads
        self._downloads = downloads
        self._sendfile = sendfile

    def upload(self, request: Request, ctx: Context, image_id: str) -> Response:
        if request.mimetype != OCTETS:
            raise errors.UnsupportedContentType(f"Content-Type must be {OCTETS}, not {request.mimetype or 'absent'}")
        pieces, length = body.data(request.environ)
        declared = declared_size(request)
        if declared is not None and length is not None and declared != length:
            raise errors.SizeMismatch(f"x-openstack-image-size is {declared}, but Content-Length {length}")
        store = request.headers.get("x-image-meta-store")
        self._uploads.upload(
            ctx, image_id, pieces, size=length if declared is None else declared, store_id=store or None
        )
        return empty()

    def download(self, request: Request, ctx: Context, image_id: str) -> Response:
        found = self._downloads.download(ctx, image_id, self._preferred(request))
        if found is None:
            return empty()
        size, etag = found.size, found.image.hash_value
        if (
            etag
            and request.headers.get("If-None-Match")
            and parse_etags(request.headers["If-None-Match"]).contains_weak(etag)
        ):
            return _described(Response(status=304), found)
        part = _part(request, size, etag) if found.ranged else None
        offset, length = part or (0, size)
        direct = found.direct_url(_asked(request)) if length and request.method == "GET" else None
        if direct is not None:
            self._downloads.redirected(found.image)
            return Response(status=307, headers={"Location": direct, "Cache-Control": "no-store"})
        response = self._bytes(request, ctx, found, offset, length)
        response.content_length = length
        if part:
            response.status_code = 206
            response.headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{size}"
        elif found.image.checksum:
            response.headers["Content-MD5"] = found.image.checksum
        return _described(response, found)

    def _bytes(self, request: Request, ctx: Context, found: Download, offset: int, length: int) -> Response:
        if request.method == "HEAD":
            return Response(content_type=OCTETS)
        cached = found.cached() if length else None

        def done(count: int) -> None:
            if cached is not None:
                metrics.CACHE_SENT.inc(count)
            self._downloads.sent(ctx, found.image, count)

        wrapper = request.environ.get("wsgi.file_wrapper") if self._sendfile else None
        if length < found.size and not str(request.environ.get("SERVER_SOFTWARE", "")).startswith(POSITION_SERVERS):
            wrapper = None
        if cached is not None:
            file = cached.file if wrapper and cached.sendable else None
        else:
            path = found.local_path() if wrapper and length and not found.fills(offset, length) else None
            file = path.open("rb") if path is not None else None
        if file is not None and wrapper is not None:
            return Response(
                wrapper(_OpenFile(file, offset, length, done), CHUNK), content_type=OCTETS, direct_passthrough=True
            )
        if cached is not None:
            cached.file.seek(offset)
            return Response(_Counted(read_chunks(cached.file, length), done), content_type=OCTETS)
        return Response(_Counted(found.open(offset, length), done), content_type=OCTETS)

    def _preferred(self, request: Request) -> list[str]:
        if "prefer" not in request.args:
            return []
        return [x.strip() for x in request.args["prefer"].split(",") if x.strip()]


def _described(response: Response, found: Download) -> Response:
    response.headers["Accept-Ranges"] = "bytes" if found.ranged else "none"
    if found.image.hash_value:
        response.set_etag(found.image.hash_value)
    return response


def _asked(request: Request) -> bool | None:
    """Whether the client wants to be sent to the backend itself; None when it does not say."""
    text = request.args.get("direct")
    if text not in (None, "true", "false"):
        raise errors.Invalid(f"direct: {text!r} is not one of true, false")
    return None if text is None else text == "true"


def declared_size(request: Request) -> int | None:
    """What x-openstack-image-size says. Raises Invalid."""
    text = request.headers.get("x-openstack-image-size")
    if text is None:
        return None
    return whole_number("x-openstack-image-size", text)


def _part(request: Request, size: int, etag: str | None) -> tuple[int, int] | None:
    """(offset, length) that the request asks for, None for the whole. Raises Invalid, RangeNotSatisfiable."""
    text = request.headers.get("Range")
    if text is None:
        return _legacy_part(request, size)
    condition = request.headers.get("If-Range")
    if condition and condition.strip('"') != etag:
        return None
    if "," in text:
        raise errors.Invalid("Range: one range at a time")
    found = _RANGE.fullmatch(text.strip())
    if not found or found.group(1) == found.group(2) == "":
        raise errors.RangeNotSatisfiable(f"Range: {text!r} is not bytes=first-last", size)
    if not found[1]:
        last = int(found[2])
        if not last or not size:
            raise errors.RangeNotSatisfiable("Range: no bytes asked for", size)
        return max(0, size - last), min(last, size)
    first = int(found[1])
    end = min(int(found[2]) + 1 if found[2] else size, size)
    if first >= end:
        raise errors.RangeNotSatisfiable(f"Range: {text} is not within the {size} bytes of the image", size)
    return first, end - first


def _legacy_part(request: Request, size: int) -> tuple[int, int] | None:
    """Old clients ask by a Content-Range header in the request."""
    text = request.headers.get("Content-Range")
    if text is None:
        return None
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if not found:
        raise errors.Invalid(f"Content-Range: {text!r} is not bytes first-last/size")
    first, end = int(found[1]), int(found[2]) + 1
    if first >= end or end > size:
        raise errors.RangeNotSatisfiable(f"Content-Range: {text} is not within the {size} bytes of the image", size)
    return first, end - first


class _OpenFile:
    """A positioned local file, as ``wsgi.file_wrapper`` wants it. Tells how much was asked for when the server is
    done."""

    def __init__(self, file: BinaryIO, offset: int, length: int, done: _Done) -> None:
        file.seek(offset)
        self._file = file
        self._left = length
        self._length = length
        self._done: _Done | None = done

    def fileno(self) -> int:
        return self._file.fileno()

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, *where: int) -> int:
        return self._file.seek(*where)

    def read(self, size: int) -> bytes:
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()
        if self._done:
            self._done(self._length)
            self._done = None


class _Counted:
    """An iterator that closes its source and tells how many bytes went."""

    def __init__(self, pieces: Iterator[bytes], done: _Done) -> None:
        self._pieces = pieces
        self._done: _Done | None = done
        self._count = 0

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self._count += len(piece)
        return piece

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close:
            close()
        if self._done:
            self._done(self._count)
            self._done = None
