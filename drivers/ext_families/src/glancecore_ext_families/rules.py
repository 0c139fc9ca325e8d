"""Who may see, change and publish families, and move their channels."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import ADMIN, OWNING_MEMBER, PROJECT_READER, READER_OF_VISIBLE, rule

_ONE = "/families/{family_id}"
_VERSION, _CHANNEL = f"{_ONE}/versions/{{label}}", f"{_ONE}/channels/{{channel}}"

RULES = [
    rule(
        "families_show",
        READER_OF_VISIBLE,
        "See a family, and of its versions and channels those whose images one may see.",
        ("GET", "/families"),
        ("GET", _ONE),
        ("GET", f"{_ONE}/versions"),
        ("GET", _VERSION),
        ("GET", f"{_ONE}/channels"),
        ("GET", _CHANNEL),
    ),
    rule(
        "families_inspect",
        PROJECT_READER,
        "See all versions and channels of a family, and who has moved them and why.",
        ("GET", f"{_CHANNEL}/history"),
        ("GET", f"{_ONE}/versions"),
        ("GET", f"{_ONE}/channels"),
    ),
    rule(
        "families_change",
        OWNING_MEMBER,
        "Create, change and delete a family.",
        ("POST", "/families"),
        ("PATCH", _ONE),
        ("DELETE", _ONE),
    ),
    rule(
        "families_publish",
        ADMIN,
        "Make a family public, or a public one private.",
        ("POST", "/families"),
        ("PATCH", _ONE),
    ),
    rule(
        "families_version",
        OWNING_MEMBER,
        "Add versions to a family, take them out, deprecate and restore them.",
        ("PUT", _VERSION),
        ("DELETE", _VERSION),
        ("POST", f"{_VERSION}/actions/deprecate"),
        ("POST", f"{_VERSION}/actions/restore"),
    ),
    rule(
        "families_move",
        OWNING_MEMBER,
        "Move a channel: promote, roll back, pin, unpin, delete.",
        ("PUT", _CHANNEL),
        ("DELETE", _CHANNEL),
        *(("POST", f"{_CHANNEL}/actions/{x}") for x in ("rollback", "pin", "unpin")),
    ),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
