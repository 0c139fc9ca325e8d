"""One of our commands as the next release has it, as far as its schema goes: run.py api|manage|status WORD…"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from glancecore_db_sql import schema

schema.OLDEST = schema.REVISIONS[-1]
schema.REVISIONS = (*schema.REVISIONS, "9001", "9002")
schema.CONTRACTS = frozenset({"9002"})
schema.FOLDERS = [*schema.FOLDERS, str(Path(__file__).parent / "versions")]

if __name__ == "__main__":
    name = sys.argv.pop(1)
    importlib.import_module(f"glancecore.cmd.{name}").main()
