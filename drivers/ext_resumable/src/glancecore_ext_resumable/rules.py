"""Who may go on with an upload: beside this rule the core's ``upload_image`` is asked each time."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.sdk.rules import OWNING_MEMBER, rule

_UPLOAD = "/v2/images/{image_id}/resumable/{upload_id}"
RULES = [
    rule(
        "resumable_upload",
        OWNING_MEMBER,
        "Go on with an upload of image data that broke off, where PUT …/file or PUT …/stage said that it may.",
        ("HEAD", _UPLOAD),
        ("PATCH", _UPLOAD),
        ("DELETE", _UPLOAD),
    )
]


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """For oslopolicy-sample-generator."""
    return RULES
