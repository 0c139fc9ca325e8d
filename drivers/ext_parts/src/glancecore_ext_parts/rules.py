"""Who may send parts: beside this rule the core's ``upload_image`` is asked each time."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import OWNING_MEMBER, rule

PARTS, PART = "/v2/images/{image_id}/parts", "/v2/images/{image_id}/parts/{number}"
RULES = [
    rule(
        "parts_upload",
        OWNING_MEMBER,
        "Send the data of an image in numbered parts, look at them, commit them, or give them up.",
        ("GET", PARTS),
        ("POST", PARTS),
        ("DELETE", PARTS),
        ("PUT", PART),
        ("DELETE", PART),
    )
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
