"""The code blocks of the documents: which of them are commands, and which are files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
#: Every page for readers of the project.
PAGES = sorted(
    [
        REPO / "README.md",
        REPO / "SECURITY.md",
        REPO / "CONTRIBUTING.md",
        *REPO.glob("docs/**/*.md"),
        *REPO.glob("drivers/*/README.md"),
        *REPO.glob("clients/*/README.md"),
    ]
)
#: Fenced blocks of these kinds are commands; indented ones are when a line begins with a word of WORDS.
KINDS = ("console", "sh", "bash")
WORDS = re.compile(r"(\$ |(\S*/)?(pip|python3?|make|openstack|glance(-[a-z-]+)?|htpasswd|openssl|curl|systemctl) )")
_FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?:    .*\n|\n(?=    ))+)")


@dataclass(frozen=True)
class Block:
    """``kind``: the word behind the fence, empty for an indented block."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The command lines, without prompts and answers; none when the block is no sequence of commands."""
        if self.kind == "console" or re.search(r"^\$ ", self.text, re.MULTILINE):
            return [x.replace("\n    ", "\n") for x in re.findall(r"^\$ ((?:.*\\\n)*.*)$", self.text, re.MULTILINE)]
        if self.kind in KINDS:
            return [self.text]
        if not self.kind and WORDS.match(self.text):
            return [x for x in self.text.splitlines() if WORDS.match(x)]
        return []

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {(self.commands or self.text.splitlines())[0].splitlines()[0]}"


def blocks(page: Path) -> list[Block]:
    """Every block of a page, in its order."""
    text, name = page.read_text(encoding="utf-8"), str(page.relative_to(REPO))
    found = [(x.start(), x[1], x[2]) for x in _FENCED.finditer(text)]
    prose = _FENCED.sub(lambda x: "\n" * x[0].count("\n") + " " * (len(x[0]) - x[0].count("\n")), text)
    assert len(prose) == len(text)
    found += [
        (x.start(), "", re.sub("^    ", "", x[1], flags=re.MULTILINE))
        for x in _INDENTED.finditer(prose)
        if x[1].strip()
    ]
    return [Block(name, text.count("\n", 0, at) + 1, kind, body) for at, kind, body in sorted(found)]
