"""What no honest client sends, beside the values of ``glancecore.testing.hostile``: those for slower databases, large
bodies and long query strings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

#: For databases that are slower to ask: those that they differ in.
FEW_TEXTS = (
    "a newline",
    "NUL",
    "no UTF-8",
    "half a surrogate pair",
    "4-byte text",
    "5,000 digits",
    "2^63",
    "7,000 letters",
    "SQL",
    "a time before time",
    "4,000 commas",
    "wildcards",
)
FEW_LITERALS = (
    "2^63",
    "5,000 digits",
    "NUL",
    "a newline",
    "a high surrogate",
    "4-byte text",
    "70,000 letters",
    "an object of everything",
)


def _filled(size: int, piece: Callable[[int], str], opening: str, closing: str) -> str:
    """Pieces between commas, of about so many bytes."""
    made, count, n = [], 0, 0
    while count < size:
        made.append(piece(n))
        count += len(made[-1]) + 1
        n += 1
    return opening + ",".join(made) + closing


#: JSON texts of about a number of bytes, of as many things as can be.
LARGE: Mapping[str, Callable[[int], str]] = {
    "mixed scalars": lambda size: _filled(size, lambda n: str(n) if n else '""', "[", "]"),
    "empty lists": lambda size: _filled(size, lambda _: "[]", "[", "]"),
    "empty objects": lambda size: _filled(size, lambda _: "{}", "[", "]"),
    "small objects": lambda size: _filled(size, lambda n: f'{{"a":{n}}}', "[", "]"),
    "short texts": lambda size: _filled(size, lambda n: f'"{n:x}"', "[", "]"),
    "the same text": lambda size: _filled(size, lambda _: '"a"', "[", "]"),
    "wrong texts": lambda size: _filled(size, lambda n: f'"{n:0300}"', "[", "]"),
    "names": lambda size: _filled(size, lambda n: f'"{n:x}":""', "{", "}"),
    "names of numbers": lambda size: _filled(size, lambda n: f'"{n:x}":{n}', "{", "}"),
    "names of objects": lambda size: _filled(size, lambda n: f'"{n:x}":{{"title":"","type":"string"}}', "{", "}"),
    "one text": lambda size: '"' + "x" * size + '"',
    "backslashes": lambda size: '"' + "\\\\" * (size // 2) + '"',
    "escapes": lambda size: '"' + "\\u0041" * (size // 6) + '"',
    "digits": lambda size: "1" * size,
    "one name many times": lambda size: _filled(size, lambda _: '"a":1', "{", "}"),
}


def queries() -> Iterator[tuple[str, str]]:
    """Query strings of a list, each of the length that a request line may have."""
    yield "200 parameters", "&".join(f"p{n}=v" for n in range(200))
    yield "65 properties", "&".join(f"p{n}=v" for n in range(65))
    yield "900 tags", "&".join(["tag=a"] * 900)
    yield "3,800 values", "name=in:" + ",".join("x" * 1 for _ in range(3800))
    yield "800 sort keys", "sort=" + ",".join(["name:asc"] * 800)
    yield "400 sort keys", "&".join(["sort_key=name"] * 400)
    yield "300 times", "&".join(["created_at=gt:2000-01-01"] * 300)
    yield "1,900 resource types", "resource_types=" + ",".join("abc" for _ in range(1900))
    yield "7,900 quotation marks", "name=in:" + "%22" * 2600
