"""Who may upload in pieces: beside these rules the core's ``upload_image`` is asked each time."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import OWNING_MEMBER, rule

UPLOADS, UPLOAD = "/v2/images/{image_id}/uploads", "/v2/images/{image_id}/uploads/{upload_id}"
RULES = [
    rule(
        "tus_upload",
        OWNING_MEMBER,
        "Upload image data in pieces.",
        ("POST", UPLOADS),
        ("GET", UPLOADS),
        ("HEAD", UPLOAD),
        ("PATCH", UPLOAD),
        ("DELETE", UPLOAD),
        ("POST", UPLOAD),
    ),
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
