"""Sharing with other projects."""

from __future__ import annotations

from glancecore.sdk import rules
from glancecore.sdk.rules import rule

MEMBERS = "/v2/images/{image_id}/members"
_SEES = f"{rules.ADMIN} or (role:reader and ({rules.OWN} or project_id:%(member_id)s))"

RULES = [
    rule("add_member", rules.OWNING_MEMBER, "Share an image with a project.", ("POST", MEMBERS)),
    rule(
        "delete_member",
        rules.OWNING_MEMBER,
        "Stop sharing an image with a project.",
        ("DELETE", f"{MEMBERS}/{{member}}"),
    ),
    rule("get_member", _SEES, "Show a member of an image.", ("GET", f"{MEMBERS}/{{member}}")),
    rule("get_members", _SEES, "List the members of an image.", ("GET", MEMBERS)),
    rule(
        "modify_member",
        f"{rules.ADMIN} or (role:member and project_id:%(member_id)s)",
        "Accept or reject a shared image.",
        ("PUT", f"{MEMBERS}/{{member}}"),
    ),
]
