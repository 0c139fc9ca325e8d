"""Every distribution of the project, built once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest

sys.path.insert(0, str(lab.REPO / "tools"))

import distributions


@dataclass(frozen=True)
class Built:
    folder: Path
    distributions: Sequence[distributions.Distribution]
    files: Sequence[Path]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder, everything = tmp_path_factory.mktemp("dist"), distributions.find()
    return Built(folder, everything, distributions.build(everything, folder))
