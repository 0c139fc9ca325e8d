"""Configuration files of another encoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glancecore import conf as configuration
from glancecore.domain.errors import ConfigError


@pytest.mark.parametrize(
    "read",
    [
        lambda file: configuration.new(["--config-file", file]),
        lambda file: configuration.new(files=[file]),
        lambda file: configuration.read([file]),
    ],
    ids=["named", "found", "looked at"],
)
def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path, read: Callable[[str], object]) -> None:
    file = tmp_path / "glance-api.conf"
    file.write_bytes("[DEFAULT]\nworkers = 3\n# Küche im Keller\nbind_port = 9292\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"not UTF-8, where it says '# Küche im Keller'; save it as UTF-8$"):
        read(str(file))
