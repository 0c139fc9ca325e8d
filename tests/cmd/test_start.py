"""What every command prints."""

from __future__ import annotations

import json
import sys

import pytest

from glancecore.cmd import start
from glancecore.domain.errors import ConfigError

#: An override that shows the rest of the line backwards, an escape that clears the screen, a space without width, a
#: tag.
NAME = "debian-\u202egnp.exe\x1b[2J\u200b\U000e0041\r"
SHOWN = "debian-\\u202egnp.exe\\u001b[2J\\u200b\\U000e0041\\r"


def test_a_name_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert start.run(lambda: print(f"image\t{NAME}\nnext")) == 0
    assert capsys.readouterr().out == f"image\t{SHOWN}\nnext\n"


def test_who_has_closed_standard_output_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert start.run(lambda: print("image")) == 0


def test_nor_does_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise ConfigError(f"[{NAME}]: wrong")

    assert start.run(fails) == 1
    assert capsys.readouterr().err == f"error: [{SHOWN.removesuffix(chr(92) + 'r')} ]: wrong\n"


def test_json_and_what_people_write_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    start.run(lambda: print(json.dumps({"name": NAME})))
    assert json.loads(capsys.readouterr().out) == {"name": NAME}
    start.run(lambda: print("Größe 東京 דביאן 🐧"))
    assert capsys.readouterr().out == "Größe 東京 דביאן 🐧\n"
