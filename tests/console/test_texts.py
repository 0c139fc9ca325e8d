"""The console's texts are in one catalogue, and all of it is used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import lab

UI = lab.REPO / "drivers/ext_console/ui"
TEXTS: dict[str, str] = json.loads((UI / "src/texts/en.json").read_text(encoding="utf-8"))
SOURCES = {x: x.read_text(encoding="utf-8") for x in sorted((UI / "src").rglob("*.ts*")) if x.name != "schema.d.ts"}
#: Keys that begin so are chosen by a word of the service.
BY_WORD = (
    "action.",
    "channel.",
    "copy.",
    "done.channel.",
    "evacuation.",
    "events.by.",
    "failure.",
    "job.outcome.",
    "login.field.",
    "login.method.",
    "member.",
    "method.",
    "move.",
    "nav.",
    "past.",
    "plan.",
    "quotas.field.",
    "stage.",
    "status.",
    "step.",
    "task.",
    "theme.",
    "todo.",
    "upload.state.",
    "usage.",
    "version.",
    "visibility.",
)


def literals(text: str) -> Iterator[str]:
    """Words between tags, and in attributes that people read."""
    yield from re.findall(r"<(?!pre\b)\w[^<>]*(?<!=)>\s*([A-Za-z][^<>{}=;()]*[a-z]{2}[^<>{}=;()]*)</", text)
    yield from re.findall(r'(?:aria-label|title|alt)="([^"]*)"', text)


def test_no_text_is_outside_of_the_catalogue() -> None:
    assert {
        x.name: found for x, text in SOURCES.items() if x.suffix == ".tsx" and (found := list(literals(text)))
    } == {}


def test_the_look_for_literals_finds_some() -> None:
    assert list(
        literals(
            "<p class='x'>Some words</p> <Button onClick={() => go()}>\n  Go there\n</Button> <a title=\"A"
            ' title">{t("x")}</a>'
        )
    ) == ["Some words", "A title"]


def test_each_text_is_used() -> None:
    whole = "\n".join(SOURCES.values())
    unused = [
        key for key in TEXTS if not key.startswith(BY_WORD) and f'"{re.sub("_(one|other)$", "", key)}"' not in whole
    ]
    assert unused == []


def test_counted_texts_come_in_pairs() -> None:
    counted = {re.sub("_(one|other)$", "", x) for x in TEXTS if re.search("_(one|other)$", x)}
    assert [x for x in counted if not {f"{x}_one", f"{x}_other"} <= TEXTS.keys()] == []


def test_the_lock_file_names_no_address_to_download_from() -> None:
    lock = json.loads((UI / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, x in lock["packages"].items() if "resolved" in x] == []
    assert [name for name, x in lock["packages"].items() if name and "integrity" not in x] == []
    assert "registry=" not in Path(UI / ".npmrc").read_text(encoding="utf-8")
