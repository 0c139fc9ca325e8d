"""A trace as text, for the documents: what is part of what, and which process of which node did it."""

from __future__ import annotations

from itertools import groupby

from collector import Seen


def drawn(spans: list[Seen]) -> str:
    """A line a span, by their beginnings. Statements of the database are left out, and so are times and repeats: they
    differ from run to run. A span whose parent never came is drawn below a line that says so."""
    known = {x.id for x in spans}
    shown = [x for x in spans if "db.system.name" not in x.attributes]
    [top] = [x for x in shown if x.kind == 2]
    lines = [_line(top, top, 0)]

    def below(parent: str, depth: int) -> None:
        for x in (x for x in shown if x.parent == parent and x is not top):
            lines.append(_line(x, top, depth))
            for lost in dict.fromkeys(
                y.parent
                for y in shown
                if y.parent not in known and y.pid == x.pid and x.name == "import" and y is not top
            ):
                lines.append(f"{_who(x, top)}  {'  ' * (depth + 1)}(never ended: its process was killed)")
                below(lost, depth + 2)
            below(x.id, depth + 1)

    below(top.id, 1)
    return "\n".join(x for x, _ in groupby(lines))


def _who(span: Seen, top: Seen) -> str:
    return f"{span.service}  {'glance-api' if span.pid == top.pid else 'imports   '}"


def _line(span: Seen, top: Seen, depth: int) -> str:
    told = "".join(
        f"  {short}={span.attributes[name]}"
        for short, name in (
            ("stage", "glance.import.stage"),
            ("store", "glance.store.id"),
            ("bytes", "glance.store.bytes"),
            ("status", "http.response.status_code"),
        )
        if name in span.attributes
    )
    return f"{_who(span, top)}  {'  ' * depth}{span.name}{told}{'  failed' if span.failed else ''}"
