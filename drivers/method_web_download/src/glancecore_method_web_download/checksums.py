"""Checksum files as SHA256SUMS: lines of sha256sum and its siblings (GNU) or of sha256 (BSD), with or without a
signature around."""

from __future__ import annotations

import re

#: Length of a digest in hexadecimal digits -> its algorithm; GNU's lines don't name it.
LENGTHS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
NAMES = frozenset(LENGTHS.values())
_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{32,128}) [ *](.+)")
_BSD = re.compile(r"([A-Za-z0-9-]+) \((.+)\) = ([0-9A-Fa-f]{32,128})")
_BARE = re.compile(r"[0-9A-Fa-f]{32,128}")


def find(text: str, name: str) -> dict[str, str]:
    """Algorithm to digest of file ``name``; empty when there is no line for it. A file of one digest and nothing else
    is for any name."""
    found: dict[str, str] = {}
    lines = [x.rstrip("\r") for x in text.split("\n") if x.strip()]
    for line in lines:
        if gnu := _GNU.fullmatch(line):
            algorithm, digest, of = LENGTHS.get(len(gnu[2])), gnu[2], _unescaped(gnu[3]) if gnu[1] else gnu[3]
        elif bsd := _BSD.fullmatch(line):
            algorithm, digest, of = bsd[1].lower().replace("-", ""), bsd[3], bsd[2]
        else:
            continue
        if algorithm in NAMES and LENGTHS.get(len(digest)) == algorithm and of.removeprefix("./") == name:
            found[algorithm] = digest.lower()
    if not found and len(lines) == 1 and _BARE.fullmatch(lines[0].strip()):
        digest = lines[0].strip().lower()
        if len(digest) in LENGTHS:
            found[LENGTHS[len(digest)]] = digest
    return found


def _unescaped(name: str) -> str:
    return re.sub(r"\\(.)", lambda x: {"n": "\n", "r": "\r"}.get(x[1], x[1]), name)
