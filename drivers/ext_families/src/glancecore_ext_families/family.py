"""What is kept: families with their channels, versions, moves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from glancecore.ports.extension import Collection
from glancecore.ports.record_repository import Record
from glancecore_ext_families.references import LATEST

#: By owner; and all public ones together.
FAMILIES = Collection("families.families", keys=("owner", "public"))
#: Which family has a name: of a project's own ones, and of the public ones. By family.
NAMES = Collection("families.names", keys=("family",))
#: By the image's id, which it goes with: an image is a version of one family. By order and by label, behind the
#: family's id.
VERSIONS = Collection("families.versions", keys=("order", "label"), of_image=True)
#: Labels that were ever used, behind the family's id: none is used again.
LABELS = Collection("families.labels")
#: Moves of channels, behind the family's id; by channel.
MOVES = Collection("families.moves", keys=("channel",))
#: How many families a project has.
PROJECTS = Collection("families.projects")
#: Families that were deleted, of which something may be left.
GONE = Collection("families.gone")
COLLECTIONS = (FAMILIES, NAMES, VERSIONS, LABELS, MOVES, PROJECTS, GONE)
PUBLIC, PRIVATE = "public", "private"
#: Earlier targets of a channel that it can be rolled back to.
MOST_EARLIER = 20
#: From the check before an image is deleted until its status says so, at the most.
LEAVING = timedelta(seconds=60)


def stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def moment(given: str) -> datetime:
    return datetime.strptime(given, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def own_id(name: str, owner: str | None) -> str:
    """Of the record that says which family of ``owner``'s has the name."""
    return _digest("project", owner or "", name)


def public_id(name: str) -> str:
    """Of the record that says which public family has the name."""
    return _digest("public", name)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Target:
    """A version, as a channel remembers it."""

    image_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Channel:
    """``revision`` is the number of its last move, and what a compare-and-set compares. ``earlier``: where it pointed
    before, the last one first."""

    target: Target
    revision: int
    pinned: bool
    moved_at: str
    earlier: tuple[Target, ...] = ()

    def to(self, target: Target, at: datetime, earlier: tuple[Target, ...]) -> Channel:
        return replace(self, target=target, moved_at=stamp(at), earlier=earlier[:MOST_EARLIER])


@dataclass(frozen=True, slots=True)
class Family:
    """``default``: the channel that is meant by its bare name. ``versions`` and ``moves`` count those that it ever had.
    ``architecture``, ``firmware``: of the versions that may become ``latest``."""

    id: str
    name: str
    owner: str | None
    created_at: str
    visibility: str = PRIVATE
    description: str = ""
    default: str = LATEST
    architecture: str | None = None
    firmware: str | None = None
    versions: int = 0
    moves: int = 0
    channels: Mapping[str, Channel] = field(default_factory=dict)
    record: Record | None = None

    @property
    def target(self) -> dict[str, object]:
        """For policy rules."""
        return {"project_id": self.owner, "owner": self.owner, "visibility": self.visibility, "member_id": None}

    @property
    def stored(self) -> Record:
        """As it was read."""
        if self.record is None:
            raise TypeError(f"{self.id} was never read")
        return self.record

    def channels_of(self, image_id: str) -> list[str]:
        return sorted(name for name, x in self.channels.items() if x.target.image_id == image_id)

    def pointing(self, image_id: str) -> str:
        """In words, which channels point to the image, such as ``channel stable of family debian/13 points``; empty:
        none."""
        channels = self.channels_of(image_id)
        if len(channels) == 1:
            return f"channel {channels[0]} of family {self.name} points"
        return f"channels {', '.join(channels)} of family {self.name} point" if channels else ""

    def saved(self) -> Record:
        """As it is kept next."""
        data = {
            x: getattr(self, x)
            for x in (
                "name",
                "owner",
                "created_at",
                "visibility",
                "description",
                "default",
                "architecture",
                "firmware",
                "versions",
                "moves",
            )
        }
        data["channels"] = {
            name: {
                "target": _pair(x.target),
                "revision": x.revision,
                "pinned": x.pinned,
                "moved_at": x.moved_at,
                "earlier": [_pair(y) for y in x.earlier],
            }
            for name, x in self.channels.items()
        }
        keys = (self.owner or "", PUBLIC if self.visibility == PUBLIC else None)
        return Record(FAMILIES.name, self.id, data, keys, version=self.record.version + 1 if self.record else 1)

    @classmethod
    def of(cls, record: Record) -> Family:
        data = _known(cls, record)
        channels = {
            name: Channel(
                Target(*x["target"]), x["revision"], x["pinned"], x["moved_at"], tuple(Target(*y) for y in x["earlier"])
            )
            for name, x in data.pop("channels").items()
        }
        return cls(record.id, channels=channels, record=record, **data)


def _known(cls: type[Family | Version], record: Record) -> dict[str, Any]:
    """What of a record this release knows: a newer one may run beside it for a while."""
    return {x: y for x, y in record.data.items() if x in cls.__dataclass_fields__}


def _pair(target: Target) -> list[str]:
    return [target.image_id, target.label]


@dataclass(frozen=True, slots=True)
class Version:
    """An image of a family. ``number`` is its place in the order in which they were added. ``in_latest``: it may become
    ``latest``. Dates are those from which on it is deprecated, obsolete and at its end; ``replacement`` is a reference.
    ``leaving_at``: when somebody wanted to delete its image."""

    image_id: str
    family: str
    label: str
    number: int
    created_at: str
    architecture: str | None = None
    firmware: str | None = None
    in_latest: bool = True
    deprecated_at: str | None = None
    obsolete_at: str | None = None
    ends_at: str | None = None
    replacement: str | None = None
    reason: str | None = None
    leaving_at: str | None = None
    record: Record | None = None

    def leaves(self, now: datetime) -> bool:
        """Whether somebody has just begun to delete its image."""
        return self.leaving_at is not None and now < moment(self.leaving_at) + LEAVING

    def state(self, now: datetime) -> str:
        """current, deprecated, obsolete or ended."""
        for word, at in (("ended", self.ends_at), ("obsolete", self.obsolete_at), ("deprecated", self.deprecated_at)):
            if at is not None and moment(at) <= now:
                return word
        return "current"

    @property
    def stored(self) -> Record:
        """As it was read."""
        if self.record is None:
            raise TypeError(f"{self.image_id} was never read")
        return self.record

    @property
    def unlisted_from(self) -> datetime | None:
        """From when on it is not in the lists of others."""
        dates = [moment(x) for x in (self.deprecated_at, self.obsolete_at, self.ends_at) if x is not None]
        return min(dates) if dates else None

    @property
    def as_target(self) -> Target:
        return Target(self.image_id, self.label)

    def saved(self) -> Record:
        """As it is kept next."""
        data = {
            x: getattr(self, x)
            for x in (
                "family",
                "label",
                "number",
                "created_at",
                "architecture",
                "firmware",
                "in_latest",
                "deprecated_at",
                "obsolete_at",
                "ends_at",
                "replacement",
                "reason",
                "leaving_at",
            )
        }
        return Record(
            VERSIONS.name,
            self.image_id,
            data,
            (f"{self.family}:{self.number:010}", f"{self.family}:{self.label}"),
            self.image_id,
            version=self.record.version + 1 if self.record else 1,
        )

    @classmethod
    def of(cls, record: Record) -> Version:
        return cls(record.id, record=record, **_known(cls, record))
