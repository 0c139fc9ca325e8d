"""Who may see what operators look at. All else that the console shows is asked by the rules of the API itself."""

from __future__ import annotations

from oslo_policy import policy

RULES: list[policy.DocumentedRuleDefault] = []


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
