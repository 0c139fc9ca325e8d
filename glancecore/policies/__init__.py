"""Default policies, one file a noun. Names and strings are those that operators of Glance know."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.policies import base, cache, discovery, images, members, metadefs, tasks


def list_rules() -> list[policy.RuleDefault]:
    """Every rule of the core, for the enforcer and for oslopolicy-sample-generator. Extensions have others."""
    return [*base.RULES, *images.RULES, *members.RULES, *discovery.RULES, *tasks.RULES, *metadefs.RULES, *cache.RULES]
