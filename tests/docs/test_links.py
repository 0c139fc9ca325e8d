"""Links between the documents lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocks import PAGES, REPO, blocks

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", x.lower()).replace(" ", "-") for x in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def links(page: Path) -> Iterator[str]:
    text = re.sub(
        r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    )
    yield from (x for x in LINK.findall(text) if not re.match(r"https?:", x))


def broken(page: Path) -> Iterator[str]:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{link}: there is no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: there is no such heading"


@pytest.mark.parametrize("page", [*PAGES, REPO / "CHANGELOG.md"], ids=lambda x: str(x.relative_to(REPO)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda x: str(x.relative_to(REPO)))
def test_a_configuration_file_can_be_copied_as_it_stands(page: Path) -> None:
    """What stands behind a value on its line belongs to the value: oslo.config has no such comments."""
    assert [] == [
        f"line {x.line}: {line}"
        for x in blocks(page)
        if x.kind == "ini"
        for line in x.text.splitlines()
        if re.search(r"= ?\S.*?(?: {2,}\S| #)", line)
    ]


def test_every_page_can_be_found_from_the_readme() -> None:
    seen, todo = set[Path](), [REPO / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        todo += [(page.parent / x.partition("#")[0]).resolve() for x in links(page) if x.partition("#")[0]]
    assert sorted(str(x.relative_to(REPO)) for x in set(PAGES) - seen) == []
