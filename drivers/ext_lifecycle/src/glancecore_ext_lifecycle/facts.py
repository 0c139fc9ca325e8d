"""What is known of a project's images, for the decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from glancecore.domain.context import Context
from glancecore.domain.image import Image, Status
from glancecore.ports.extension import Kernel
from glancecore.ports.repository import ImageQuery
from glancecore_ext_lifecycle.policy import DATES, Fact, moment, selected

_PAGE = 500


class Facts:
    def __init__(self, kernel: Kernel, families: Any) -> None:
        """``families``: the extension of that name."""
        self._kernel = kernel
        self._families = families

    def of_project(self, ctx: Context, selector: Mapping[str, Any]) -> list[Fact]:
        """Of the selected images of the caller's project that have data. Pages of images are looked at; only what is selected is kept."""
        found: list[Fact] = []
        newest: dict[str, tuple[int, str]] = {}
        for page in self._pages(ctx):
            for fact in self._known(page):
                if fact.usable and fact.family is not None:
                    newest[fact.group] = max(newest.get(fact.group, (0, "")), (fact.number, fact.image_id))
                if selected(selector, fact):
                    found.append(fact)
        last = {image_id for _, image_id in newest.values()}
        return [replace(x, held=x.held or "the newest of its family that can be used") if x.image_id in last else x for x in found]

    def _pages(self, ctx: Context) -> Iterator[Sequence[Image]]:
        if ctx.project is None:
            return
        for hidden in (False, True):
            marker: str | None = None
            while True:
                page = self._kernel.images.find(ctx, ImageQuery(ctx.viewer, all_visible=True, member_status=None, hidden=hidden, equal={"owner": (ctx.project,)}, marker=marker,
                                                                limit=_PAGE))
                yield [x for x in page.images if x.owner == ctx.project and x.status in (Status.ACTIVE, Status.DEACTIVATED)]
                marker = page.marker
                if marker is None:
                    break

    def _known(self, images: Sequence[Image]) -> list[Fact]:
        """In a fixed number of questions."""
        versions = self._families.versions(images)
        return [_fact(x, versions.get(x.id), self._kernel.clock()) for x in images]


def _fact(image: Image, version: Any, now: datetime) -> Fact:
    """``version``: the family's Version of the image, with the Family; None: it is in none."""
    dates = {x: at for x in DATES if (at := moment(image.properties.get(x)))}
    fact = Fact(image.id, image.version, image.created_at, f"name {image.name or ''}", image.name or "", frozenset(image.tags), image.properties,
                image.status is Status.ACTIVE, image.hidden, held="protected" if image.protected else None)
    if version is None:
        return replace(fact, dates=dates)
    family, own = version
    dates |= {x: at for x in ("deprecated_at", "obsolete_at", "ends_at") if (at := moment(getattr(own, x)))}
    channels = family.channels_of(image.id)
    held = fact.held or (f"channel {', '.join(channels)} points to it" if channels else None)
    return replace(fact, group=f"family {family.id}", family=family.name, label=own.label, number=own.number, link=own.stored.version,
                   current=own.state(now) == "current", held=held, dates=dates)
