"""Of the images that one is counted with, those that are newer and can be used: each is looked at once for a plan that
is applied, and again only when it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.ports.extension import Kernel
from glancecore_ext_lifecycle.deciding import enough
from glancecore_ext_lifecycle.policy import Fact, selected

#: Images that are asked for in one question.
_ASKED = 1000
#: Of which one request looks whether they have changed, at most: a second or two.
MOST_LOOKS = 1_000_000
#: From then on a version of a family is not current.
_ENDS = ("deprecated_at", "obsolete_at", "ends_at")


class Known(NamedTuple):
    """``chosen``: the policy selects it."""

    version: int
    order: tuple[int, datetime, str]
    chosen: bool


@dataclass(slots=True)
class Group:
    """Those that can be used, from the newest on, down to ``most`` that the policy selects; ``whole``: all. ``family``:
    its id and the version of its record, None: they are counted by their name. ``until``: when one ceases to be
    current."""

    most: int
    family: tuple[str, int] | None
    whole: bool = False
    until: datetime | None = None
    known: dict[str, Known] = field(default_factory=dict)


class Reading(Protocol):
    """What ``Facts`` reads."""

    def group(self, ctx: Context, fact: Fact) -> Iterator[Sequence[Image]]: ...

    def active(self, ctx: Context, ids: Sequence[str]) -> Iterator[Sequence[Image]]: ...

    def known(self, policy: Mapping[str, Any], images: Sequence[Image]) -> list[Fact]: ...

    def family_of(self, fact: Fact) -> tuple[str, int] | None: ...


class Groups:
    """For one plan that is applied, by one thread."""

    def __init__(self, kernel: Kernel, families: Any, reading: Reading) -> None:
        self._kernel = kernel
        self._families = families
        self._reading = reading
        self._groups: dict[str, Group] = {}
        self._looks = 0

    def newer(self, ctx: Context, policy: Mapping[str, Any], fact: Fact) -> tuple[int, bool]:
        """How many newer ones than it can be used that the policy selects, as far as they make a difference; and
        whether there are any, selected or not. As it is now. Raises LimitExceeded when that would cost one request too
        much."""
        most, group = enough(policy, fact), self._groups.get(fact.group)
        if group is not None and (group.whole or most <= group.most) and self._refreshed(ctx, policy, fact, group):
            newer = _newer(group, fact)
            if group.whole or sum(x.chosen for x in newer) >= most:
                return sum(x.chosen for x in newer), bool(newer)
        group = self._groups[fact.group] = self._look(
            ctx, policy, fact, most if group is None else max(most, 2 * group.most)
        )
        newer = _newer(group, fact)
        return sum(x.chosen for x in newer), bool(newer)

    def changed(self, image_id: str, group: str, *, family: bool) -> None:
        """By the plan itself: the image counts no more. ``family``: that was one change of its family."""
        kept = self._groups.get(group)
        if kept is not None:
            kept.known.pop(image_id, None)
            if family and kept.family is not None:
                kept.family = (kept.family[0], kept.family[1] + 1)

    def _look(self, ctx: Context, policy: Mapping[str, Any], fact: Fact, most: int) -> Group:
        group = Group(most, self._reading.family_of(fact))  # first: what changes afterwards is seen then
        for page in self._reading.group(ctx, fact):
            self._count(len(page))
            self._add(policy, fact, group, page)
            if sum(x.chosen for x in _newer(group, fact)) >= most:
                return group
        group.whole = True
        return group

    def _refreshed(self, ctx: Context, policy: Mapping[str, Any], fact: Fact, group: Group) -> bool:
        """What has changed is looked at again; False: all of it must be."""
        if self._reading.family_of(fact) != group.family or (
            group.until is not None and self._kernel.clock() >= group.until
        ):
            return False
        self._count(len(group.known))
        changed: list[str] = []
        for ids in _parts(group.known):
            now = self._kernel.rows.versions(ids)
            joined = set() if group.family is not None else set(self._families.catalogue.versions_by_image(ids))
            changed += [x for x in ids if now.get(x) != group.known[x].version or x in joined]
        for image_id in changed:
            del group.known[image_id]
        for ids in _parts(changed):
            for page in self._reading.active(ctx, ids):
                self._count(len(page))
                self._add(policy, fact, group, page)
        return True

    def _add(self, policy: Mapping[str, Any], fact: Fact, group: Group, images: Sequence[Image]) -> None:
        for x in self._reading.known(policy, images):
            if x.group != fact.group or not x.usable:
                continue
            group.known[x.image_id] = Known(x.version, x.order, selected(policy["selector"], x))
            ends = [x.dates[y] for y in _ENDS if y in x.dates and x.family is not None]
            group.until = min([*ends, *([group.until] if group.until is not None else [])], default=None)

    def _count(self, looks: int) -> None:
        self._looks += looks
        if self._looks > MOST_LOOKS:
            raise errors.LimitExceeded("the policy counts too many images for one request: the next plan has it")


def _newer(group: Group, fact: Fact) -> list[Known]:
    order = fact.order
    return [x for x in group.known.values() if x.order > order]


def _parts(ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(list(ids))
    return iter(lambda: list(islice(left, _ASKED)), [])
