"""Rules that others are made of."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_policy import policy

RULES: list[policy.RuleDefault] = [
    policy.RuleDefault("default", "!", "Rules that are asked for but not defined anywhere: nobody."),
    policy.RuleDefault("context_is_admin", "role:admin", "Who is an administrator of the image service."),
    policy.RuleDefault(
        "service_api", "role:service or role:admin", "Other services of the cloud, by their service role."
    ),
]


def names(rules: Sequence[policy.RuleDefault]) -> list[str]:
    return [x.name for x in rules]
