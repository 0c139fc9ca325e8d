"""The operator's choice to hold images' properties against the metadata definitions: refuse, or tell the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from glancecore.domain.errors import PropertiesInvalid
from glancecore.domain.image import Image
from glancecore.features.metadefs.validation import MetadefValidation
from glancecore.kernel import metrics

LOG = logging.getLogger(__name__)
RESOURCE_TYPE = "OS::Glance::Image"


class ImageProperties:
    """``enforce``: what breaks a rule is refused; else it is logged and counted."""

    def __init__(self, validation: MetadefValidation, *, enforce: bool) -> None:
        self._validation = validation
        self._enforce = enforce

    def check(self, after: Image, before: Image | None = None) -> None:
        """What is new or changed is checked, by the definitions that the image's owner sees. Raises
        PropertiesInvalid."""
        had: Mapping[str, str | None] = before.properties if before else {}
        new = {name: value for name, value in after.properties.items() if name not in had or had[name] != value}
        if not new:
            return
        verdict = self._validation.check(after.owner, RESOURCE_TYPE, new)
        for x in verdict.violations:
            metrics.METADEF_VIOLATIONS.labels(x.namespace, x.property, "refused" if self._enforce else "reported").inc()
            if not self._enforce:
                LOG.warning(
                    "image %s: property %s breaks rule %s of namespace %s: %s",
                    after.id,
                    x.property,
                    x.rule,
                    x.namespace,
                    x.message,
                )
        if self._enforce and verdict.violations:
            raise PropertiesInvalid(
                "; ".join(
                    f"property {x.property} breaks rule {x.rule} of namespace {x.namespace}: {x.message}"
                    for x in verdict.violations
                )
            )
