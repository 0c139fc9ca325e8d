"""Who may see what operators look at, and take stores out of service. All else that the console shows is asked by the
rules of the API itself."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import ADMIN, rule

RULES = [
    rule(
        "console_operate",
        ADMIN,
        "Look at stores, periodic jobs, events and work that goes on, and run jobs dry.",
        ("GET", "/v2/console/stores"),
        ("GET", "/v2/console/jobs"),
        ("POST", "/v2/console/jobs/{job}/trial"),
        ("GET", "/v2/console/events"),
        ("GET", "/v2/console/work"),
    ),
    rule(
        "console_maintain",
        ADMIN,
        "Drain and empty stores.",
        ("POST", "/v2/console/stores/{store}/actions/drain"),
        ("POST", "/v2/console/stores/{store}/actions/undrain"),
        ("POST", "/v2/console/stores/{store}/evacuation"),
        ("DELETE", "/v2/console/stores/{store}/evacuation"),
    ),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
