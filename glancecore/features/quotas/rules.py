"""Who may see and set the limits of projects."""

from __future__ import annotations

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

QUOTAS = "/v2/quotas"

RULES = [
    rule(
        "get_quotas", rules.ADMIN, "Show the limits of projects.", ("GET", QUOTAS), ("GET", f"{QUOTAS}/{{project_id}}")
    ),
    rule(
        "modify_quotas",
        rules.ADMIN,
        "Set the limits of projects.",
        ("PATCH", f"{QUOTAS}/{{project_id}}"),
        ("DELETE", f"{QUOTAS}/{{project_id}}"),
    ),
]
