"""The decision: what a policy wants done to which images. A function of its arguments; nothing here asks or changes
anything."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from glancecore_ext_lifecycle.policy import Action, Entry, Fact, days, moment, selected

_LAST = re.compile(r"last-([0-9]{1,4})")
#: What takes an image away from those who know its id.
_TAKES_AWAY = frozenset({Action.DEACTIVATE, Action.DELETE})


def decide(policy: Mapping[str, Any], facts: Iterable[Fact], now: datetime) -> list[Entry]:
    """At most one entry for each selected image, the oldest images first. Keeping is stronger than every step; what is
    held is kept."""
    groups: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if selected(policy["selector"], fact):
            groups[fact.group].append(fact)
    entries: list[tuple[tuple[int, datetime, str], Entry]] = []
    for members in groups.values():
        members.sort(key=lambda x: x.order, reverse=True)
        newer = 0  # that can be used
        for fact in members:
            entry = _entry(policy, fact, newer, now)
            if entry is not None:
                entries.append((fact.order, entry))
            newer += fact.usable
    return [entry for _, entry in sorted(entries, key=lambda x: (x[0][1], x[0][2]))]


def due(policy: Mapping[str, Any], fact: Fact, newer: int, now: datetime) -> Entry | None:
    """What is wanted for one image. ``newer``: how many newer selected ones of its group can be used."""
    return _entry(policy, fact, newer, now) if selected(policy["selector"], fact) else None


def enough(policy: Mapping[str, Any], fact: Fact) -> int:
    """How many newer ones that can be used make a difference to the image: more of them change nothing."""
    last = _LAST.fullmatch(fact.properties.get("uuid_validity") or "")
    counts: list[int] = [
        1,
        (policy.get("keep") or {}).get("newest", 0),
        int(last[1]) if last else 0,
        *(x.get("beyond", 0) for x in policy["steps"]),
    ]
    return max(counts)


def _entry(policy: Mapping[str, Any], fact: Fact, newer: int, now: datetime) -> Entry | None:
    if fact.held is not None or _kept(policy.get("keep") or {}, fact, newer, now):
        return None
    step = _next(policy["steps"], fact)
    if step is None or (why := _holds(step, fact, newer, now)) is None:
        return None
    action = Action(step["action"])
    if action in _TAKES_AWAY and _valid(fact, newer, now):
        return None
    return Entry(fact.image_id, fact.version, fact.link, action, why)


def _kept(keep: Mapping[str, Any], fact: Fact, newer: int, now: datetime) -> bool:
    used = keep.get("used_within_days")
    if used is not None and (fact.idle_since is None or fact.idle_since > now - days(used)):
        return True
    return (
        newer < keep.get("newest", 0)
        or fact.created_at > now - days(keep.get("younger_than_days", 0))
        or bool(fact.tags & set(keep.get("tags", ())))
        or any(fact.properties.get(x) == y for x, y in keep.get("properties", {}).items())
    )


def _valid(fact: Fact, newer: int, now: datetime) -> bool:
    """Whether ``uuid_validity`` says that the id is good still."""
    said = fact.properties.get("uuid_validity") or ""
    last = _LAST.fullmatch(said)
    until = moment(said)
    return said == "forever" or (last is not None and newer < int(last[1])) or (until is not None and until > now)


def _next(steps: Sequence[Mapping[str, Any]], fact: Fact) -> Mapping[str, Any] | None:
    """The first step that the image has not taken, of those that it can take."""
    taken = {
        Action.DEPRECATE: fact.family is None or not fact.current,
        Action.HIDE: fact.hidden,
        Action.DEACTIVATE: not fact.active,
        Action.DELETE: False,
    }
    return next((x for x in steps if not taken[Action(x["action"])]), None)


def _holds(step: Mapping[str, Any], fact: Fact, newer: int, now: datetime) -> str | None:
    """Why, when all that the step says is so."""
    why: list[str] = []
    if (age := step.get("age_days")) is not None:
        if fact.created_at > now - days(age):
            return None
        why.append(f"older than {age} days")
    if (unused := step.get("unused_days")) is not None:
        if fact.idle_since is None or fact.idle_since > now - days(unused):
            return None
        why.append(f"not used for {unused} days")
    if (beyond := step.get("beyond")) is not None:
        if newer < beyond:
            return None
        why.append(f"{newer} newer ones can be used")
    if (name := step.get("past")) is not None:
        at = fact.dates.get(name)
        if at is None or at > now - days(step.get("days", 0)):
            return None
        why.append(f"{name} was {at:%Y-%m-%d}")
    return ", ".join(why) or None
