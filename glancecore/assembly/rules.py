"""The policy rules of the core. Names and strings are those that operators of Glance know."""

from __future__ import annotations

from oslo_policy import policy

from glancecore.features.cache import rules as cache
from glancecore.features.discovery import rules as discovery
from glancecore.features.images import rules as images
from glancecore.features.members import rules as members
from glancecore.features.metadefs import rules as metadefs
from glancecore.features.tasks import rules as tasks
from glancecore.policies import base


def list_rules() -> list[policy.RuleDefault]:
    """Every rule of the core, for the enforcer and for oslopolicy-sample-generator. Extensions have others."""
    return [*base.RULES, *images.RULES, *members.RULES, *discovery.RULES, *tasks.RULES, *metadefs.RULES, *cache.RULES]
