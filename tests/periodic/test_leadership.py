"""Where the leader's lock is, as the operator names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from glancecore.domain.errors import ConfigError
from glancecore.periodic.leadership import check_url


def test_a_folder_is_named_with_three_slashes(tmp_path: Path) -> None:
    check_url(f"file://{tmp_path}", "[periodic] coordination_url")
    with pytest.raises(ConfigError, match="three slashes"):
        check_url("file://var/lib/glance/locks", "[periodic] coordination_url")
