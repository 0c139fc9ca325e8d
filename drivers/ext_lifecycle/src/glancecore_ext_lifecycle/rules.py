"""Who may see and write policies, and apply their plans."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import OWNING_MEMBER, PROJECT_READER, rule

_MANY, _ONE, _PLAN = "/lifecycle/policies", "/lifecycle/policies/{policy_id}", "/lifecycle/plans/{plan_id}"
RULES = [
    rule(
        "lifecycle_show",
        PROJECT_READER,
        "See the project's policies and plans.",
        ("GET", _MANY),
        ("GET", _ONE),
        ("GET", f"{_ONE}/plans"),
        ("GET", _PLAN),
    ),
    rule(
        "lifecycle_change",
        OWNING_MEMBER,
        "Write and delete policies of the project.",
        ("POST", _MANY),
        ("PUT", _ONE),
        ("DELETE", _ONE),
    ),
    rule("lifecycle_plan", OWNING_MEMBER, "Make a plan of what a policy would do now.", ("POST", f"{_ONE}/plans")),
    rule(
        "lifecycle_apply",
        OWNING_MEMBER,
        "Do what a plan says; what it does to an image one must be allowed oneself.",
        ("POST", f"{_PLAN}/actions/apply"),
    ),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
