"""What the code may log at WARNING or above, and why it refuses to start; with what to do, kept by hand, it becomes
docs/troubleshooting.md.

messages.py OUT     writes the page there
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
#: What is kept by hand.
ADVICE = REPO / "docs" / "troubleshooting.toml"
_LEVELS = {"warning": "WARNING", "error": "ERROR", "exception": "ERROR", "critical": "CRITICAL"}
_LOGGER = re.compile(r"(?i)(^|[._])log(ger)?$")
_FORMAT = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[sdrgfx]")
#: A refusal says what to do: behind a semicolon, or by one of these words.
_FIX = re.compile(
    r";|\b(add|bind|call|choose|correct|create|fix|give|install|make|name|put|remove|run|set|start|stop|take|use|write)\b"
)
#: Whose refusals these are: the first beginning of a path that fits.
SUBJECTS = {
    "glancecore/server": "The server",
    "glancecore/registry": "The metadata service",
    "glancecore/periodic": "Periodic jobs",
    "glancecore/features/copies/jobs": "Periodic jobs",
    "glancecore/features/imports": "Imports",
    "glancecore/features/images": "Images",
    "glancecore/features/metadefs": "Metadata definitions",
    "glancecore/policies": "Policies",
    "glancecore/adoption": "Taking over a Glance",
    "glancecore/cmd": "Commands",
    "glancecore": "The service",
}


@dataclass(frozen=True)
class Message:
    """``text``: what varies in it is …"""

    text: str
    level: str
    where: str


@functools.cache
def sources() -> list[tuple[str, ast.Module]]:
    paths = {
        str(x.relative_to(REPO)): x
        for x in sorted([*REPO.glob("glancecore/**/*.py"), *REPO.glob("drivers/[!_]*/src/**/*.py")])
    }
    return [
        (name, ast.parse(path.read_text(encoding="utf-8")))
        for name, path in paths.items()
        if not name.startswith(("glancecore/testing/", "glancecore/templates/"))
    ]


def logged() -> list[Message]:
    """Every message at WARNING or above. Raises ValueError for one whose text is made elsewhere: nobody could look it
    up."""
    found: dict[str, Message] = {}
    for name, tree in sources():
        for call in _calls(tree):
            levels = _levels(call, tree)
            if not levels:
                continue
            said = re.sub("…+", "…", _FORMAT.sub("…", _text(call.args[call.func.attr == "log"])).replace("%%", "%"))
            if not re.search(r"\w{3}", said):
                raise ValueError(
                    f"{name}:{call.lineno}: a message needs words of its own, by which it can be looked up"
                )
            levels |= set(found[said].level.split(" or ")) if said in found else set()
            found[said] = Message(said, " or ".join(x for x in ("WARNING", "ERROR", "CRITICAL") if x in levels), name)
    return [found[text] for text in sorted(found)]


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for call in ast.walk(tree):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and _LOGGER.search(ast.unparse(call.func.value))
        ):
            yield call


def _levels(call: ast.Call, tree: ast.Module) -> set[str]:
    """Where the level is a variable: all that it may be."""
    if call.func.attr != "log":
        return {_LEVELS[call.func.attr]} if call.func.attr in _LEVELS else set()
    level = ast.unparse(call.args[0])
    said = [
        level,
        *(
            ast.unparse(x.value)
            for x in ast.walk(tree)
            if isinstance(x, ast.Assign) and ast.unparse(x.targets[0]) == level
        ),
    ]
    return {x for x in ("WARNING", "ERROR", "CRITICAL") if f"logging.{x}" in " ".join(said)}


def refusals() -> list[Message]:
    """Every ConfigError, the level empty."""
    found: dict[str, Message] = {}
    for name, tree in sources():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "ConfigError" and call.args:
                said = _text(call.args[0])
                if re.search(r"\w{3}", said):  # else it is handed on
                    found.setdefault(said, Message(said, "", name))
    return [found[key] for key in sorted(found, key=lambda x: (subject(found[x]), x))]


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(x.value) if isinstance(x, ast.Constant) else "…" for x in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "…"


def subject(of: Message) -> str:
    if of.where.startswith("drivers/"):
        return of.where.split("/")[1]
    return next(words for begin, words in SUBJECTS.items() if of.where.startswith(begin))


def says_what_to_do(refusal: Message) -> bool:
    return bool(_FIX.search(refusal.text))


def advice() -> dict[str, object]:
    return tomllib.loads(ADVICE.read_text(encoding="utf-8"))


def page() -> str:
    kept = advice()
    levels = {x.text: x.level for x in logged()}
    lines = ["# Troubleshooting", "", str(kept["about"]).strip()]
    for each in kept["subjects"]:
        lines += [
            "",
            f"## {each['title']}",
            "",
            *([each["about"].strip(), ""] if "about" in each else []),
            "| the log says | level | cause | what to do |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {_cell(text)} | {levels.get(text, '?')} | {cause} | {do} |"
            for text, (cause, do) in each["messages"].items()
        ]
    lines += [
        "",
        "## Exit codes",
        "",
        str(kept["exit_codes"]).strip(),
        "",
        "## Refusals",
        "",
        str(kept["refusals"]).strip(),
    ]
    last = ""
    for refusal in refusals():
        if subject(refusal) != last:
            last = subject(refusal)
            lines += ["", f"### {last}", ""]
        more = kept["more_about_refusals"].get(refusal.text, "")
        lines.append(f"- {_cell(refusal.text)}" + (f": {more}" if more else ""))
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """As code; a bar would end the cell of a table."""
    ticks = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text.strip()}{pad}{ticks}".replace("|", r"\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
