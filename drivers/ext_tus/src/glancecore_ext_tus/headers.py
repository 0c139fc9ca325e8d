"""The headers of tus, read and written. What is wrong with one is Invalid, which names it and what is allowed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from glancecore.domain import errors
from glancecore.domain.upload_session import PieceDigest

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation"
#: Of tus -> hashlib's.
ALGORITHMS = {"sha1": "sha1", "sha256": "sha256", "sha512": "sha512", "md5": "md5"}
OFFSET_OCTETS = "application/offset+octet-stream"
#: Characters of Upload-Metadata, which is kept.
LONGEST_METADATA = 4096
#: No image has so many bytes.
_DIGITS = 18
_KEY = re.compile(r"[!-+\--~]+")


def whole_number(headers: Headers, name: str) -> int | None:
    """Of bytes; None when it is not there."""
    text = headers.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise errors.Invalid(f"{name}: {text[:40]!r} is not a whole number of bytes from 0")
    digits = text.lstrip("0") or "0"
    if len(digits) > _DIGITS:
        raise errors.TooLarge(f"{name}: no image has so many bytes")
    return int(digits)


def length(headers: Headers, *, required: bool) -> int | None:
    """Of a new upload, None: it is told later. ``required``: one of both headers must be there."""
    found, deferred = whole_number(headers, "Upload-Length"), headers.get("Upload-Defer-Length")
    if deferred not in (None, "1"):
        raise errors.Invalid("Upload-Defer-Length: the only value is 1")
    if required and (found is None) == (deferred is None):
        raise errors.Invalid("either Upload-Length, or Upload-Defer-Length: 1, must be given")
    return found


def partials(headers: Headers, image_id: str) -> list[str] | None:
    """Upload-Concat: None when the upload is a whole one, no ids when it is a partial one, and else the ids of those
    that a final one is joined of."""
    text = headers.get("Upload-Concat")
    if text is None:
        return None
    if text == "partial":
        return []
    kind, _, urls = text.partition(";")
    if kind != "final" or not urls.strip():
        raise errors.Invalid(
            "Upload-Concat: must be partial, or final;URL URL …, with the addresses of partial uploads in their order"
        )
    return [_partial(url, image_id) for url in urls.split()]


def _partial(url: str, image_id: str) -> str:
    """The id of a partial upload; where the service stands before it does not matter: clients behind proxies see other
    names."""
    try:
        above, _, found = urlsplit(url).path.rpartition("/")
    except ValueError:
        above = found = ""
    if not above.endswith(f"/v2/images/{image_id}/uploads") or not found:
        raise errors.Invalid(
            f"Upload-Concat: {url[:300]!r} is no address of an upload to this image, /v2/images/{image_id}/uploads/…"
        )
    return unquote(found)


def metadata(headers: Headers) -> dict[str, str]:
    """Upload-Metadata: texts by key; what is no text is left out."""
    text = headers.get("Upload-Metadata", "")
    if len(text) > LONGEST_METADATA:
        raise errors.Invalid(f"Upload-Metadata: at most {LONGEST_METADATA} characters")
    found: dict[str, str] = {}
    keys: set[str] = set()
    for pair in text.split(",") if text else ():
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in keys:
            raise errors.Invalid(
                "Upload-Metadata: keys are ASCII without blanks and commas, each once; behind a blank stands the value"
                " in Base64"
            )
        keys.add(key)
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise errors.Invalid("Upload-Metadata: a value is not Base64") from exc
        try:
            found[key] = raw.decode()
        except UnicodeDecodeError:
            continue
    return found


def checksum(headers: Headers) -> PieceDigest | None:
    """Upload-Checksum, of one request's bytes."""
    text = headers.get("Upload-Checksum")
    if text is None:
        return None
    name, _, value = text.partition(" ")
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise errors.Invalid(f"Upload-Checksum: the algorithm is none of {', '.join(ALGORITHMS)}")
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise errors.Invalid("Upload-Checksum: the digest is not Base64") from exc
    if len(raw) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise errors.Invalid(f"Upload-Checksum: a digest of {name} has another length")
    return PieceDigest(algorithm, raw)


def date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)
