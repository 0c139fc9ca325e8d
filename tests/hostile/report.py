"""Writes docs/hostile.md: what the suite tries, from the same tables that the tests are made of. The samples suite
fails when it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "api"), str(Path(__file__).parents[1])]

import allowed  # noqa: E402 (lies beside this program)
from house import ROLES  # noqa: E402
from routes import ROUTES, body_of  # noqa: E402
from values import LARGE  # noqa: E402
from ways import ALIKE, ALWAYS, ASKED  # noqa: E402

from glancecore.testing.hostile import BODIES, HEADERS, LITERALS, TEXTS, fields_of  # noqa: E402

HEAD = """# What hostile requests may do

The suite `hostile` (`make test SUITES=hostile`; a part of it is in `make check`) sends what no honest client does, to the real application.
This page is made by `make docs` from the tables that its tests are made of, so it says what is tried, and the suite says that nothing gets through:

- **Who may do what** (`tests/hostile/test_allowed.py`): every route, every role, every visibility. A route without a row fails.
- **Values** (`test_values.py`): every parameter, header and field of a body that the OpenAPI document names. Never a 5xx; a smaller set on MariaDB and PostgreSQL as well.
- **Cost** (`test_cost.py`): each field filled with 128 KiB of the kinds below costs at most 40 times the CPU of a harmless request of the same size in the same run;
  who may not do a thing is refused before the body is read.
- **Memory** (`test_memory.py`): a list of images, or of an image's tasks, makes a worker grow by less than 50 MiB, whatever the images say of themselves.
- **Patterns** (`test_patterns.py`): behind a match of any pattern of any schema, a newline is refused.
- **Rules** (`test_requests.py`): control characters, JSON that readers do not agree on, request ids, other web sites, log lines, and more, one rule a test.
"""


def planned(method: str, path: str) -> Mapping[str, int]:
    """Requests that each way of ``test_values.py`` sends to a route."""
    operation = ROUTES[method, path]
    where = {x: sum(1 for y in operation["parameters"] if y["in"] == x) for x in ("path", "query", "header")}
    body = body_of(operation)
    fields = (
        sum(1 for _ in fields_of(body[1]))
        if body is not None and not isinstance(allowed.TABLE[method, path].body, bytes)
        else 0
    )
    return {
        "paths": where["path"] * len(TEXTS),
        "query strings": (where["query"] + 1) * len(TEXTS) * 2 if method == "GET" else 0,
        "headers": (where["header"] + (len(ALWAYS) if (method, path) in ALIKE else 0)) * len(HEADERS),
        "fields of bodies": fields * len(LITERALS),
        "whole bodies": len(BODIES),
    }


def _table(columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _grids() -> Iterator[str]:
    names = {
        id(value): name
        for name, value in vars(allowed).items()
        if isinstance(value, dict) and name.isupper() and name != "TABLE"
    }
    rules: dict[str, list[str]] = {}
    for (method, path), row in allowed.TABLE.items():
        rules.setdefault(names[id(row.cells)], []).append(f"{method} {path}")
    for name, routes in rules.items():
        cells = getattr(allowed, name)
        columns = tuple(dict.fromkeys(column for _, column in cells))
        yield f"\n### {name.replace('_', ' ').lower()}\n"
        yield ", ".join(f"`{x}`" for x in routes) + "\n"
        yield from _table(("", *columns), ((role, *(cells[role, x] for x in columns)) for role in ROLES))


def document() -> str:
    plans = {key: planned(*key) for key in ASKED}
    ways = tuple(next(iter(plans.values())))
    total = {way: sum(x[way] for x in plans.values()) for way in ways}
    lines = [
        HEAD,
        "## Who may do what\n",
        (
            "`yes`: the request is done; 404 hides what the caller may not know of. `other` is the project that an"
            " image is shared with."
        ),
        "`anonymous` is somebody without credentials where `allow_anonymous_access` is on.",
        *_grids(),
        "\n## Values\n",
        (
            f"{len(ASKED)} routes, {sum(total.values())} requests on SQLite:"
            f" {', '.join(f'{count} with hostile {way}' for way, count in total.items())}.\n"
        ),
        f"- {len(TEXTS)} texts in paths and query strings: {', '.join(TEXTS)}.",
        f"- {len(HEADERS)} texts in headers: {', '.join(HEADERS)}.",
        f"- {len(LITERALS)} JSON values in each field: {', '.join(LITERALS)}.",
        f"- {len(BODIES)} whole bodies: {', '.join(BODIES)}.",
        f"- {len(LARGE)} ways to fill a field: {', '.join(LARGE)}.\n",
        *_table(
            ("route", *ways),
            ((f"`{method} {path}`", *(plan[way] for way in ways)) for (method, path), plan in plans.items()),
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
