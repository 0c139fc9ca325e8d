"""What the deployment tells about itself."""

from __future__ import annotations

from glancecore.policies import base
from glancecore.policies.base import rule

RULES = [
    rule("stores_info_detail", base.SERVICE, "List stores with their type, weight and properties.",
         ("GET", "/v2/info/stores/detail")),
]
