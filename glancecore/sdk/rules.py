"""What policy rules are made of."""

from __future__ import annotations

from oslo_policy import policy

OWN = "project_id:%(project_id)s"
ADMIN = "rule:context_is_admin"
#: A member (or reader) of the project that owns the target.
OWNING_MEMBER = f"{ADMIN} or (role:member and {OWN})"
PROJECT_READER = f"{ADMIN} or (role:reader and {OWN})"
_SEEN = (
    "({own} or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or"
    " 'shared':%(visibility)s)"
)
READER_OF_VISIBLE = f"{ADMIN} or (role:reader and {_SEEN.format(own=OWN)})"
MEMBER_OF_VISIBLE = f"{ADMIN} or (role:member and {_SEEN.format(own=OWN)})"
SERVICE = "rule:service_api"


def rule(name: str, check: str, description: str, *operations: tuple[str, str]) -> policy.DocumentedRuleDefault:
    """A documented rule; ``operations`` are (method, path)."""
    return policy.DocumentedRuleDefault(
        name,
        check,
        description,
        [{"method": method, "path": path} for method, path in operations],
        scope_types=["project"],
    )
