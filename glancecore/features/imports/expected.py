"""The digests that a caller expects of the data that he imports."""

from __future__ import annotations

from collections.abc import Mapping

from glancecore.domain import errors

#: Algorithms that a caller may name, with the length of their digests in hexadecimal digits.
ALGORITHMS = {
    "md5": 32,
    "sha1": 40,
    "sha224": 56,
    "sha256": 64,
    "sha384": 96,
    "sha512": 128,
    "sha3_256": 64,
    "sha3_512": 128,
    "blake2b": 128,
}


def wanted(method: Mapping[str, object]) -> dict[str, str]:
    """Algorithm to digest, of a method object's ``expected``. Raises Invalid."""
    given = method.get("expected", {})
    if not isinstance(given, dict):
        raise errors.Invalid('method.expected: an object of algorithm and digest, such as {"sha256": "…"}')
    found = {}
    for name, digest in given.items():
        length = ALGORITHMS.get(name)
        if length is None:
            raise errors.Invalid(f"method.expected: {name!r} is not one of {', '.join(ALGORITHMS)}")
        if not isinstance(digest, str) or len(digest) != length or not set(digest.lower()) <= set("0123456789abcdef"):
            raise errors.Invalid(f"method.expected.{name}: a digest of {length} hexadecimal digits")
        found[name] = digest.lower()
    return found
