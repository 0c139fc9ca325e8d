"""What the deployment tells about itself."""

from __future__ import annotations

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

RULES = [
    rule(
        "stores_info_detail",
        rules.SERVICE,
        "List stores with their type, weight and properties.",
        ("GET", "/v2/info/stores/detail"),
    ),
]
