"""What no honest client sends: texts for paths, query strings and headers, JSON for bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

#: Percent-encoded, as they stand in a path or in a query string.
TEXTS: Mapping[str, str] = {
    "nothing": "",
    "a blank": "%20",
    "a newline": "a%0Ab",
    "a newline at the end": "seed%0A",
    "a carriage return": "in:a%0Db",
    "NUL": "a%00b",
    "an escape sequence": "%1B%5B31m",
    "no UTF-8": "%FF%FE",
    "half a surrogate pair": "%ED%A0%80",
    "an overlong NUL": "%C0%80",
    "4-byte text": quote("\N{GRINNING FACE}" * 60),
    "right to left": quote("\u202eabc"),
    "a line separator": quote("a\u2028b"),
    "5,000 digits": "9" * 5000,
    "5,000 zeros": "0" * 5000,
    "2^63": str(2**63),
    "2^64": str(2**64),
    "a negative number": "-1",
    "a fraction": "1.5",
    "other digits": quote("\u0663\u0664"),
    "no number": "NaN",
    "7,000 letters": "x" * 7000,
    "a path upwards": "..%2F..%2Fetc",
    "SQL": quote("' OR 1=1 --\"`;"),
    "wildcards": quote("%_*?[a]"),
    "a word and a colon": "like:a",
    "an operator alone": "in:",
    "an open quotation mark": "in:%22a",
    "4,000 commas": "in:" + "," * 4000,
    "a time before time": quote("gt:0001-01-01T00:00:00+23:59"),
    "a time after time": quote("lt:9999-12-31T23:59:59-23:59"),
    "a format string": "%25(id)s%7B0%7D",
    "a template": "%24%7Bx%7D%7B%7B7*7%7D%7D",
    "a URL": quote("http://user@169.254.169.254/", safe=""),
}
#: What a header can have, which is Latin-1.
HEADERS: Mapping[str, str] = {
    "nothing": "",
    "a blank": " ",
    "5,000 digits": "9" * 5000,
    "a range of 5,000 digits": f"bytes={'9' * 5000}-{'9' * 5000}",
    "a range of the same": f"bytes 0-{'9' * 5000}/*",
    "backwards": "bytes=9-1",
    "many ranges": "bytes=" + "0-1," * 1500,
    "other digits": "\xb2\xb3",
    "a negative number": "-1",
    "bytes beyond ASCII": "\xff\xfe",
    "a control character": "a\x1bb",
    "NUL": "a\x00b",
    "a newline": "a\nb",
    "7,000 letters": "x" * 7000,
    "many quotation marks": '"' * 5000,
    "7,000 commas": "," * 7000,
    "brackets": "[req] a b",
    "half an address": "http://[::1",
    "a list of types": "a/b;q=9" + ",a/b" * 1500,
}
#: JSON texts in the place of a value.
LITERALS: Mapping[str, str] = {
    "null": "null",
    "true": "true",
    "an empty text": '""',
    "an empty list": "[]",
    "an empty object": "{}",
    "a number": "1",
    "a negative number": "-1",
    "an integer as a fraction": "2.0",
    "a fraction": "0.1",
    "2^31": "2147483648",
    "2^63": "9223372036854775808",
    "2^64": "18446744073709551616",
    "2^200": str(2**200),
    "5,000 digits": "1" * 5000,
    "minus 5,000 digits": "-" + "1" * 5000,
    "1e400": "1e400",
    "1e-400": "1e-400",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "NUL": '"a\\u0000b"',
    "a newline": '"a\\nb"',
    "a newline at the end": '"seed\\n"',
    "control characters": '"\\u001b[31m\\u007f\\u0085"',
    "a line separator": '"a\\u2028b"',
    "a high surrogate": '"\\ud800"',
    "a low surrogate": '"\\udc00a"',
    "4-byte text": '"' + "\N{GRINNING FACE}" * 70 + '"',
    "256 letters": '"' + "x" * 256 + '"',
    "70,000 letters": '"' + "x" * 70_000 + '"',
    "a regular expression": '"(a+)+$(?!x"',
    "a slash": '"a/b"',
    "a UUID and a newline": '"aaaaaaaa-0000-4000-8000-000000000009\\n"',
    "a UUID in capitals": '"AAAAAAAA-0000-4000-8000-00000000000B"',
    "65 levels": "[" * 65 + "]" * 65,
    "1,000 levels": "[" * 1000 + "]" * 1000,
    "1,000 levels of objects": '{"a":' * 1000 + "1" + "}" * 1000,
    "a name twice": '{"a": 1, "a": 2}',
    "a list of everything": '["", 0, 1, null, true, [], {}, 1.0, false]',
    "the same twice": '["a", "a"]',
    "an object of everything": '{"": null, "\\n": 1, "a/b": [], "~": {}, "os_glance_x": "y", "__proto__": "z"}',
}
#: Whole bodies.
BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "a blank": b" ",
    "half an object": b'{"a": ',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "no UTF-8": b'{"a": "\xff"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "a comment": b"{} // a",
    "two values": b"{} {}",
    "a scalar": b"7",
    "a list": b"[]",
    "a list of lists": b"[[[]]]",
    "100,000 levels": b"[" * 100_000,
    "100,000 levels of objects": b'{"a":' * 100_000,
    "raw NUL": b'{"a": "\x00"}',
    "only NUL": b"\x00" * 100,
    "a text that ends in a backslash": b'"\\',
}
_HOLE = "\u2603hole\u2603"


def with_value(body: Any, path: Sequence[str | int], literal: str) -> bytes:
    """``body`` as JSON with a literal, which need not be JSON, in one place; what is missing on the way there is
    made."""
    holder: Any = {"body": json.loads(json.dumps(body))}
    at, key = holder, "body"
    for step in path:
        inner = at[key]
        if isinstance(step, int):
            if not isinstance(inner, list) or not inner:
                inner = at[key] = [{}]
            at, key = inner, 0  # type: ignore[assignment]
        else:
            if not isinstance(inner, dict):
                inner = at[key] = {}
            inner.setdefault(step, {})
            at, key = inner, step
    at[key] = _HOLE
    return (
        json.dumps(holder["body"], ensure_ascii=False).replace(f'"{_HOLE}"', literal).encode("utf-8", "surrogatepass")
    )


def fields_of(
    schema: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Where a body has values, and what each may be: properties, elements of lists, and a name that nothing is said
    of."""
    yield path, schema
    properties: dict[str, Any] = {}
    for one in [*schema.get("anyOf", ()), schema]:
        properties |= one.get("properties", {})
    for name, inner in properties.items():
        yield from fields_of(inner, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from fields_of(schema["items"], (*path, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from fields_of(schema["additionalProperties"], (*path, "some_name"))
    elif "object" in schema.get("type", "") and schema.get("additionalProperties", True) is True:
        yield (*path, "some_name"), {}
