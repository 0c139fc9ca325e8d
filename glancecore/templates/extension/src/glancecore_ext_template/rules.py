"""Who may write notes."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import OWNING_MEMBER, rule

RULES = [rule("template_write", OWNING_MEMBER, "Write the note on an image.", ("PUT", "/template/{image_id}"))]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
