"""Who may count, and who may see what was counted."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import OWNING_MEMBER, READER_OF_VISIBLE, rule

RULES = [
    rule("census_count", OWNING_MEMBER, "Count how much of an image is zeros.", ("POST", "/census/{image_id}")),
    rule("census_show", READER_OF_VISIBLE, "Show how much of an image is zeros.", ("GET", "/census/{image_id}")),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
