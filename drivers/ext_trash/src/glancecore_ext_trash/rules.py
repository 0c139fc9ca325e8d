"""Who may look into the trash, and take things out."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import ADMIN, OWNING_MEMBER, PROJECT_READER, rule

_ONE = "/trash/{image_id}"
RULES = [
    rule("trash_show", PROJECT_READER, "See the project's deleted images.", ("GET", "/trash"), ("GET", _ONE)),
    rule(
        "trash_restore",
        OWNING_MEMBER,
        "Have an image back that somebody of its project has deleted.",
        ("POST", f"{_ONE}/actions/restore"),
    ),
    rule(
        "trash_overrule",
        ADMIN,
        "Have an image back that somebody else has deleted, an admin of another project.",
        ("POST", f"{_ONE}/actions/restore"),
    ),
    rule("trash_purge", ADMIN, "Delete a deleted image for good before its time.", ("DELETE", _ONE)),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
