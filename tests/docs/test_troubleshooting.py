"""docs/troubleshooting.md has every message of the code, and no other."""

from __future__ import annotations

import ast
import re

import messages
import pytest

KEPT = messages.advice()
ROWS = {text: row for each in KEPT["subjects"] for text, row in each["messages"].items()}


def test_every_message_at_warning_or_above_has_a_row() -> None:
    assert [f"{x.where}: {x.text}" for x in messages.logged() if x.text not in ROWS] == []


def test_every_row_has_a_message() -> None:
    assert sorted(set(ROWS) - {x.text for x in messages.logged()}) == []


def test_every_row_has_a_cause_and_what_to_do() -> None:
    assert [text for text, row in ROWS.items() if len(row) != 2 or not all(x.endswith((".", "…")) for x in row)] == []
    assert len(ROWS) == sum(len(x["messages"]) for x in KEPT["subjects"]), "one row for each message"


def test_every_refusal_says_what_to_do() -> None:
    """In its own words, or on the page."""
    more = KEPT["more_about_refusals"]
    assert [
        f"{x.where}: {x.text}" for x in messages.refusals() if not messages.says_what_to_do(x) and x.text not in more
    ] == []
    assert sorted(set(more) - {x.text for x in messages.refusals()}) == []


def test_the_code_is_really_looked_at() -> None:
    assert len(messages.logged()) > 100
    assert len(messages.refusals()) > 150
    assert {x.level for x in messages.logged()} == {"WARNING", "ERROR", "WARNING or ERROR"}


def test_a_message_that_nobody_could_look_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "sources", lambda: [("glancecore/x.py", ast.parse('LOG.warning("%s", exc)'))])
    with pytest.raises(ValueError, match=r"glancecore/x\.py:1: a message needs words"):
        messages.logged()


def test_options_that_the_advice_names_exist() -> None:
    sample = (messages.REPO / "etc" / "glance-api.conf.sample").read_text()
    text = messages.ADVICE.read_text()
    named = re.findall(r"`\[(\w+)\] (\w+)", text)
    assert named
    assert [x for x in named if f"[{x[0]}]" not in sample or f"#{x[1]} =" not in sample] == []


def test_exit_codes_of_the_commands_are_there() -> None:
    table = (
        (messages.REPO / "docs" / "operating.md")
        .read_text()
        .partition("## Commands")[2]
        .partition("## Configuration")[0]
    )
    rows = [x.split(" | ") for x in table.splitlines() if x.startswith("| `")]
    used = {code for row in rows for code in re.findall(r"(?:^|[;,] )(\d+)\b", row[-1].removesuffix(" |"))}
    assert {"0", "1", "3", "4", "5"} <= used
    assert used <= set(re.findall(r"^\| (\d+) \|", str(KEPT["exit_codes"]), re.MULTILINE))
