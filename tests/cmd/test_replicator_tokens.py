"""Tokens come from places that others on the machine can't read."""

from pathlib import Path

import pytest

from glancecore.cmd import replicator
from glancecore.domain.errors import ConfigError

PLACES = ["livecopy", "http://one.example:9292", "http://two.example:9292"]


def token(side: str, *words: str) -> str:
    return replicator._token(replicator.parser().parse_args([*words, *PLACES]), side)


@pytest.mark.parametrize("side", ["source", "target"])
def test_the_environment_and_files_have_tokens(side: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert token(side) == ""
    monkeypatch.setenv(f"GLANCE_{side.upper()}_TOKEN", "from the environment")
    assert token(side) == "from the environment"
    file = tmp_path / "token"
    file.write_text("from a file\n")
    assert token(side, f"--{side}-token-file", str(file)) == "from a file"
    assert token(side, f"--{side}-token", "as Glance has it") == "as Glance has it"
    with pytest.raises(ConfigError, match=f"--{side}-token-file"):
        token(side, f"--{side}-token-file", str(tmp_path / "none"))


def test_the_help_names_no_token_in_the_command_line() -> None:
    text = replicator.parser().format_help()
    assert "--source-token-file" in text
    assert "--source-token " not in text
