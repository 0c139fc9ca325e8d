"""Who may see how images are used."""

from __future__ import annotations

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

RULES = [
    rule(
        "get_image_use",
        rules.PROJECT_READER,
        "Show how often an image is used, and when it was last.",
        ("GET", "/v2/images/{image_id}/use"),
    )
]
