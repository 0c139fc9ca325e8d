"""Lines that are bound to each other: each one names the mac of the one before, and has its own.

A line is a JSON object whose last member is ``mac``: SHA-256 of all that stands before it in the line, or HMAC-SHA256
with a key. ``seq`` counts from 1."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

_END = re.compile(rb',"mac":"([0-9a-f]{64})"}\Z')


@dataclass(frozen=True, slots=True)
class Link:
    """The end of a chain, or of a part of it."""

    seq: int = 0
    mac: str = ""

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac}"


@dataclass(frozen=True, slots=True)
class Line:
    link: Link
    prev: str
    content: Mapping[str, object]


class Broken(Exception):
    """A line is not what was written, or lines are missing or in another order. The text says which."""


def written(content: Mapping[str, object], before: Link, key: bytes) -> tuple[bytes, Link]:
    """The line behind ``before``, with its end of line."""
    body = orjson.dumps({"seq": before.seq + 1, "prev": before.mac, **content})[:-1]
    mac = _mac(body, key)
    return body + b',"mac":"' + mac.encode() + b'"}\n', Link(before.seq + 1, mac)


def read(line: bytes, key: bytes | None) -> Line:
    """``key`` None: its mac is not looked at. Raises Broken."""
    end = _END.search(line)
    if end is None:
        raise Broken("it is no line of an audit trail")
    mac = end[1].decode()
    if key is not None and not hmac.compare_digest(_mac(line[: end.start()], key), mac):
        raise Broken("it is not what was written, or was written with another key")
    try:
        found = orjson.loads(line)
        return Line(Link(int(found["seq"]), mac), str(found["prev"]), found)
    except (ValueError, KeyError, TypeError) as exc:
        raise Broken("it is no line of an audit trail") from exc


def following(line: bytes, key: bytes, before: Link | None) -> Line:
    """The line behind ``before``; None: behind whatever it names. Raises Broken."""
    found = read(line, key)
    if before is not None and (found.prev, found.link.seq) != (before.mac, before.seq + 1):
        raise Broken(
            f"line {before.seq + 1} should stand there, but {found.link.seq} does: lines are missing, or in another"
            " order"
        )
    return found


def _mac(body: bytes, key: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest() if key else hashlib.sha256(body).hexdigest()
