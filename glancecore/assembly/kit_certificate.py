"""The certificate that a plugin's package may ship: what the kit tested of it, and what not."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "certificate.json"


def certificate(target: str) -> Mapping[str, Any] | None:
    """Of the package that an entry point names; None when it ships none, or nothing that is one. Nothing is
    imported."""
    try:
        spec = importlib.util.find_spec(target.partition(":")[0].partition(".")[0])
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (file := Path(folder, NAME)).is_file():
                told = json.loads(file.read_text(encoding="utf-8"))
                return told if isinstance(told, dict) and isinstance(told.get("setups"), list) else None
    except (ImportError, ValueError, OSError):
        return None
    return None


def summary(told: Mapping[str, Any] | None, distribution: str) -> str:
    """In one line; empty without a certificate. One of another version than is installed says so."""
    if told is None:
        return ""
    setups = [x for x in told["setups"] if isinstance(x, dict)]
    gaps = {
        "no back door": not all(x.get("back_door", True) for x in setups),
        f"{len(told.get('not_tested_anywhere', ()))} rules not tested": bool(told.get("not_tested_anywhere")),
        "rules switched off": any(x.get("switched_off") for x in setups),
    }
    words = [
        (
            f"{'passed' if told.get('passed') is True else 'not passed'} the {told.get('certificate', 'kit')} of"
            f" glancecore {told.get('glancecore', '?')}"
        ),
        *(x for x, there in gaps.items() if there),
    ]
    made_for = sorted({str(x.get("distribution")) for x in setups} - {distribution})
    return ", ".join(words + [f"but as {', '.join(made_for)}"] * bool(made_for))
