"""The helpers of the end-to-end tests can be imported by these."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "e2e"))
