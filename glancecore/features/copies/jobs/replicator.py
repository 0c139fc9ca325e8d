"""The replicator: keeps as many copies of each image as the operator has declared. It only adds: nobody's copy goes.

A copy in a store that drains does not count: it will go."""

from __future__ import annotations

import re
import time

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.features.copies import declared as rules
from glancecore.features.copies.copying import Copying
from glancecore.features.copies.options import REPLICATOR
from glancecore.features.copies.use_cases import WITH_DATA
from glancecore.kernel.core import CoreTools
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, PeriodicJob

_PAGE = 100
#: Seconds between two times that it is remembered how far the round is.
_REMEMBER = 5.0
_OPTION = "[periodic_replicator] rules"


class Replicator(PeriodicJob):
    """Copies images into more stores until the declared rules are met. A dry run is the plan."""

    options, interval = REPLICATOR, 600.0
    summary = "keeps the declared copies: rules by tag, property or field"

    def __init__(self, conf: Section, tools: CoreTools) -> None:
        super().__init__(conf, tools)
        self._tools = tools
        self._copying = Copying(tools)
        self._rules = [rules.parse(x, tools.stores.ids, _OPTION) for x in re.split(r"[;\n]", conf.rules) if x.strip()]

    def run(self, turn: JobContext) -> None:
        if not self._rules:
            return
        after, remembered = str(turn.state.get("after") or ""), time.monotonic()
        while page := self._tools.database.images.scan(WITH_DATA, after, _PAGE):
            for image in page:
                turn.check()
                for rule in self._rules:
                    if rule.holds(image):
                        image = self._keep(turn, image, rule)
                after = image.id
                if time.monotonic() - remembered >= _REMEMBER:
                    turn.remember({"after": after})
                    remembered = time.monotonic()
        turn.remember({})

    def _keep(self, turn: JobContext, image: Image, rule: rules.Rule) -> Image:
        """The image as it is afterwards, or would be."""
        turn.count("matched")
        having = {x.store for x in image.good_locations} - {x.id for x in self._tools.stores if x.draining}
        if rule.met(having):
            return image
        wanted = rule.missing(having, self._candidates())
        for store in wanted:
            if turn.dry_run:
                turn.find("planned", image.id, f"would be copied to store {store} ({rule.text})")
                image = image.copied(self._tools.stores.get(store).location(f"planned:{store}"))
                continue
            try:
                self._copying.copy(turn, image.id, store)
            except errors.JobStopped:
                raise
            except errors.ImageNotFound:
                return image
            except errors.GlanceError as exc:
                self._unmet(turn, image, rule, f"it could not be copied to store {store}: {exc}")
            else:
                turn.find("copied", image.id, f"copied to store {store} ({rule.text})")
                image = self._again(image)
        if len(wanted) < rule.count - len(having):
            self._unmet(
                turn,
                image,
                rule,
                "there are no more stores that take data: it is in"
                f" {', '.join(sorted(having | set(wanted))) or 'none'}",
            )
        return image

    def _again(self, image: Image) -> Image:
        try:
            return self._tools.database.images.get_any(image.id)
        except errors.ImageNotFound:
            return image

    def _unmet(self, turn: JobContext, image: Image, rule: rules.Rule, why: str) -> None:
        turn.find("unmet", image.id, f"{rule.text}: {why}")
        if rule.enforced:
            turn.fail(f"image {image.id}: {rule.text}: {why}")

    def _candidates(self) -> list[str]:
        """Stores that take data, the heavier ones first."""
        return [x.id for x in sorted((x for x in self._tools.stores if x.writable), key=lambda x: -x.settings.weight)]
