"""The helpers of the end-to-end tests, and of these, can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "tests" / "e2e")]
