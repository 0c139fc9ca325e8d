"""What is known of a project's images, for the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from glancecore.domain import errors
from glancecore.domain.context import Context, Viewer
from glancecore.domain.image import Image, Status
from glancecore.ports.extension import Kernel
from glancecore.ports.repository import ImageQuery
from glancecore_ext_lifecycle.groups import Groups
from glancecore_ext_lifecycle.policy import DATES, Fact, moment, selected, wants_uses

_PAGE = 500
#: Versions of a family, from its newest on.
_LOOK = 500
_NEWEST = "the newest of its family that can be used"


class Facts:
    def __init__(self, kernel: Kernel, families: Any) -> None:
        """``families``: the extension of that name."""
        self._kernel = kernel
        self._families = families

    def of_project(
        self, ctx: Context, policy: Mapping[str, Any], turn: Callable[[], None] = lambda: None
    ) -> list[Fact]:
        """Of the selected images of the caller's project that have data. Pages of images are looked at, each after a
        call of ``turn``; only what is selected is kept, and of it what matters to the policy. Raises Forbidden when it
        names a property that the caller does not see."""
        self._check(ctx, policy)
        found: list[Fact] = []
        newest: dict[str, tuple[int, str]] = {}
        for hidden in (False, True):
            for page in self._pages(ctx, hidden, {}, _PAGE):
                turn()
                for fact in self.known(policy, page):
                    if fact.usable and fact.family is not None:
                        newest[fact.group] = max(newest.get(fact.group, (0, "")), (fact.number, fact.image_id))
                    if selected(policy["selector"], fact):
                        found.append(fact)
        last = {image_id for _, image_id in newest.values()}
        return [replace(x, held=x.held or _NEWEST) if x.image_id in last else x for x in found]

    def absent(self, ctx: Context, policy: Mapping[str, Any]) -> list[str]:
        """Families that it selects and the project has not."""
        names: list[str] = policy["selector"].get("families", [])
        return [
            x
            for x in dict.fromkeys(names)
            if all(y.owner != ctx.project for y in self._families.catalogue.by_name(ctx, x))
        ]

    def groups(self) -> Groups:
        """For a plan that is applied."""
        return Groups(self._kernel, self._families, self)

    def around(self, ctx: Context, policy: Mapping[str, Any], image_id: str, groups: Groups) -> tuple[Fact, int] | None:
        """Enough for the decision on one image: itself, and of how many newer ones that can be used it is told as far
        as they make a difference; None: it can't be planned. Raises ImageNotFound, Forbidden, LimitExceeded."""
        self._check(ctx, policy)
        facts = self.known(policy, _whole(ctx, [self._kernel.images.show(ctx, image_id)]))
        if not facts:
            return None
        fact = facts[0]
        newer, any_newer = groups.newer(ctx, policy, fact)
        if not any_newer and fact.usable and fact.family is not None:
            fact = replace(fact, held=fact.held or _NEWEST)
        return fact, newer

    def _check(self, ctx: Context, policy: Mapping[str, Any]) -> None:
        named = {
            *policy["selector"].get("properties", ()),
            *(policy.get("keep") or {}).get("properties", ()),
            *(x["past"] for x in policy["steps"] if "past" in x),
        }
        if hidden := sorted(x for x in named if not self._kernel.images.may_read(ctx, x)):
            raise errors.Forbidden(f"the policy looks at {', '.join(hidden)}, which you may not read")

    # -- images ------------------------------------------------------------------------------------
    def group(self, ctx: Context, fact: Fact) -> Iterator[Sequence[Image]]:
        """Active images that are listed, among them all of its group that are newer; the newest of it first."""
        if fact.family is None:
            named = {"name": (fact.name,)} if fact.name else {}
            for page in self._pages(ctx, hidden=False, equal={"status": (Status.ACTIVE.value,), **named}, limit=_PAGE):
                yield page
                if page and page[-1].created_at < fact.created_at:
                    return
            return
        catalogue = self._families.catalogue
        own = catalogue.version_of(fact.image_id)
        family = catalogue.by_id([own.family]).get(own.family) if own is not None else None
        after: Any = None
        while family is not None:
            versions = catalogue.newest(family, after, _LOOK)
            yield [x for page in self.active(ctx, [x.image_id for x in versions]) for x in page]
            if len(versions) < _LOOK:
                return
            after = versions[-1]

    def active(self, ctx: Context, ids: Sequence[str]) -> Iterator[Sequence[Image]]:
        """Those of them that are listed, and active."""
        return (
            self._pages(ctx, hidden=False, equal={"id": tuple(ids), "status": (Status.ACTIVE.value,)}, limit=_PAGE)
            if ids
            else iter(())
        )

    def family_of(self, fact: Fact) -> tuple[str, int] | None:
        """The id of its family, and the version of that: each change of it, or of one of its versions, is one of
        this."""
        own = self._families.catalogue.version_of(fact.image_id) if fact.family is not None else None
        found = self._families.catalogue.by_id([own.family]) if own is not None else {}
        return next(((x, y.stored.version) for x, y in found.items()), None)

    def _pages(
        self, ctx: Context, hidden: bool, equal: Mapping[str, tuple[str | int | bool, ...]], limit: int
    ) -> Iterator[Sequence[Image]]:
        """Of the project's own images, those with data, the newest first."""
        if ctx.project is None:
            return
        marker: str | None = None
        while True:
            page = self._kernel.images.find(
                ctx,
                ImageQuery(
                    Viewer(ctx.project),
                    all_visible=True,
                    member_status=None,
                    hidden=hidden,
                    marker=marker,
                    equal={"owner": (ctx.project,), **equal},
                    limit=limit,
                ),
            )
            yield _whole(ctx, page.images)
            marker = page.marker
            if marker is None:
                return

    def known(self, policy: Mapping[str, Any], images: Sequence[Image]) -> list[Fact]:
        """In a fixed number of questions."""
        versions, idle = self._families.versions(images), self._idle(images) if wants_uses(policy) else {}
        return [
            replace(_fact(policy, x, versions.get(x.id), self._kernel.clock()), idle_since=idle.get(x.id))
            for x in images
        ]

    def _idle(self, images: Sequence[Image]) -> dict[str, datetime]:
        """Since when nobody has used or changed each; at the earliest since uses are counted: nothing is known of the
        time before."""
        since = self._kernel.uses.counted_since()
        if since is None:
            return {}
        last = self._kernel.uses.last_of([x.id for x in images])
        return {x.id: max(since, x.updated_at, last.get(x.id, since)) for x in images}


def _whole(ctx: Context, images: Iterable[Image]) -> list[Image]:
    return [x for x in images if x.owner == ctx.project and x.status in (Status.ACTIVE, Status.DEACTIVATED)]


def _fact(policy: Mapping[str, Any], image: Image, version: Any, now: datetime) -> Fact:
    """``version``: the family's Version of the image, with the Family; None: it is in none."""
    said = [policy["selector"], policy.get("keep") or {}]
    names = {"uuid_validity", *(y for x in said for y in x.get("properties", ()))}
    tags = {y for x in said for y in x.get("tags", ())}
    dates = {x: at for x in DATES if (at := moment(image.properties.get(x)))}
    fact = Fact(
        image.id,
        image.version,
        image.created_at,
        f"name {image.name or ''}",
        image.name or "",
        frozenset(tags.intersection(image.tags)),
        {x: y for x, y in image.properties.items() if x in names},
        image.status is Status.ACTIVE,
        image.hidden,
        held="protected" if image.protected else None,
    )
    if version is None:
        return replace(fact, dates=dates)
    family, own = version
    dates |= {x: at for x in ("deprecated_at", "obsolete_at", "ends_at") if (at := moment(getattr(own, x)))}
    pointing = family.pointing(image.id)
    held = fact.held or (f"{pointing} to it" if pointing else None)
    kind = f"latest {own.in_latest} architecture {own.architecture} firmware {own.firmware}"
    return replace(
        fact,
        group=f"family {family.id} {kind}",
        family=family.name,
        label=own.label,
        number=own.number,
        link=own.stored.version,
        current=own.state(now) == "current",
        held=held,
        dates=dates,
    )
