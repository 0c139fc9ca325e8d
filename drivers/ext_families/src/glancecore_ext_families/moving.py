"""Moving channels: each move is on top of the one before, and is remembered with who did it and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from glancecore.domain import errors, text
from glancecore.domain.context import Context
from glancecore.domain.events import EventName
from glancecore.ports.extension import Kernel
from glancecore.ports.record_repository import Record, RecordAdded, RecordChange, RecordChanged, RecordQuery
from glancecore_ext_families.catalogue import Catalogue
from glancecore_ext_families.family import MOVES, Channel, Family, Version, stamp
from glancecore_ext_families.keeping import Keeping
from glancecore_ext_families.references import check_channel
from glancecore_ext_families.retrying import Stale, again

MOVED = EventName("families.move")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller says of a move. ``expected``: the channel's revision that he has seen, 0: that it is not there;
    None: whatever it is."""

    reason: str = ""
    expected: int | None = None


class Moving:
    def __init__(self, kernel: Kernel, catalogue: Catalogue, keeping: Keeping, most: int, history: timedelta) -> None:
        self._kernel = kernel
        self._catalogue = catalogue
        self._keeping = keeping
        self._most = most
        self._history = history

    # -- what callers do ---------------------------------------------------------------------------
    @again
    def promote(self, ctx: Context, family_id: str, name: str, label: str, asked: Asked) -> tuple[Family, Channel]:
        """Point the channel, which is made where it is not there, to that version. Raises RecordNotFound, Forbidden,
        Invalid, Conflict, ConcurrentChange."""
        family = self._of(ctx, family_id, name)
        version = self._usable(ctx, family, self._catalogue.version(ctx, family, label))
        channel = family.channels.get(name)
        _expect(name, channel, asked)
        if channel is None:
            if len(family.channels) >= self._most:
                raise errors.QuotaExceeded(
                    f"family {family.name} has {len(family.channels)} channels; it may have {self._most}"
                )
            return self._move(
                ctx,
                family,
                name,
                "promote",
                Channel(version.as_target, 1, pinned=False, moved_at=stamp(self._kernel.clock())),
                asked,
                version,
            )
        if channel.target == version.as_target:
            return family, channel
        _not_pinned(family, name, channel)
        after = channel.to(version.as_target, self._kernel.clock(), (channel.target, *channel.earlier))
        return self._move(ctx, family, name, "promote", after, asked, version)

    @again
    def roll_back(self, ctx: Context, family_id: str, name: str, asked: Asked) -> tuple[Family, Channel]:
        """To where the channel pointed before: earlier targets that are no versions any more are passed by. Raises what
        ``promote`` raises."""
        family = self._of(ctx, family_id, name)
        channel = _there(family, name)
        _expect(name, channel, asked)
        _not_pinned(family, name, channel)
        for at, target in enumerate(channel.earlier):
            version = self._catalogue.labelled(family, target.label)
            if version is None or target == channel.target:
                continue
            after = channel.to(
                self._usable(ctx, family, version).as_target, self._kernel.clock(), channel.earlier[at + 1 :]
            )
            return self._move(ctx, family, name, "rollback", after, asked, version)
        raise errors.Conflict(
            f"channel {name} of family {family.name} has no earlier version that is still there; promote one by its"
            " label"
        )

    @again
    def pin(self, ctx: Context, family_id: str, name: str, asked: Asked, *, pinned: bool) -> tuple[Family, Channel]:
        """While it is pinned it is not moved. Raises RecordNotFound, Forbidden, Conflict, ConcurrentChange."""
        family = self._of(ctx, family_id, name)
        channel = _there(family, name)
        _expect(name, channel, asked)
        if channel.pinned == pinned:
            return family, channel
        after = replace(channel, pinned=pinned)
        return self._move(ctx, family, name, "pin" if pinned else "unpin", after, asked, None)

    @again
    def delete(self, ctx: Context, family_id: str, name: str) -> None:
        """Raises RecordNotFound, Forbidden, Conflict."""
        family = self._of(ctx, family_id, name)
        _not_pinned(family, name, _there(family, name))
        if family.default == name:
            raise errors.Conflict(
                f"channel {name} is the default of family {family.name}; set default to another one first"
            )
        self._move(ctx, family, name, "delete", None, Asked(), None)

    def history(self, family: Family, name: str, before: int | None, limit: int) -> list[Record]:
        """Moves of a channel, the last one first, behind (before in time) that number."""
        key = (f"{family.id}:{name}:{before:010}", f"{family.id}:{before:010}") if before is not None else None
        return self._kernel.records.find(
            RecordQuery(MOVES.name, 0, prefix=f"{family.id}:{name}:", after=key, descending=True, limit=limit)
        )

    # -- inside ------------------------------------------------------------------------------------
    def _of(self, ctx: Context, family_id: str, name: str) -> Family:
        family = self._catalogue.get(ctx, family_id)
        self._kernel.policy.authorize(ctx, "families_move", family.target)
        check_channel(name)
        return family

    def _usable(self, ctx: Context, family: Family, version: Version) -> Version:
        """Raises Conflict."""
        try:
            why = self._catalogue.why_not(self._kernel.images.show(ctx, version.image_id), version)
        except errors.ImageNotFound:
            why = "not there any more: its image is deleted"
        if why is None and version.leaves(self._kernel.clock()):
            raise errors.ImageBusy(
                f"version {version.label} of family {family.name}: somebody deletes its image; try again in a minute if"
                " it stays"
            )
        if why is not None:
            raise errors.Conflict(
                f"version {version.label} of family {family.name} is {why}: no channel can lead to it"
            )
        return version

    def _move(
        self,
        ctx: Context,
        family: Family,
        name: str,
        action: str,
        after: Channel | None,
        asked: Asked,
        version: Version | None,
    ) -> tuple[Family, Channel]:
        """``version``: where to, when it is moved; it must still be one in the commit."""
        before = family.channels.get(name)
        at = self._kernel.clock()
        number = family.moves + 1
        after = replace(after, revision=number) if after else None
        told = {
            "channel": name,
            "action": action,
            "from": _label(before),
            "to": _label(after),
            "from_image": _image(before),
            "to_image": _image(after),
            "revision": after.revision if after else None,
            "reason": asked.reason,
            "at": stamp(at),
        }
        move = Record(
            MOVES.name,
            f"{family.id}:{number:010}",
            {**told, "number": number, "user": ctx.user, "project": ctx.project},
            (f"{family.id}:{name}:{number:010}",),
            expires_at=at + self._history,
        )
        changes: list[RecordChange] = [RecordAdded(move)]
        if version is not None:
            changes.append(
                RecordChanged(version.stored, version.saved())
            )  # fails when it was deprecated, taken out or deleted meanwhile
        channels = {x: y for x, y in family.channels.items() if x != name} | ({name: after} if after else {})
        try:
            saved = self._keeping.save(
                replace(family, channels=channels, moves=number),
                *changes,
                events=[self._keeping.event(ctx, MOVED, family, **told)],
            )
        except errors.RecordNotFound:
            raise errors.ConcurrentChange(f"family {family.name} was changed meanwhile") from None
        return saved, after or before  # type: ignore[return-value]


def _there(family: Family, name: str) -> Channel:
    if name not in family.channels:
        raise errors.RecordNotFound(f"family {family.name} has no channel {text.shortened(name)}")
    return family.channels[name]


def _expect(name: str, channel: Channel | None, asked: Asked) -> None:
    """Raises Stale."""
    revision = channel.revision if channel else 0
    if asked.expected is not None and asked.expected != revision:
        where = f"points to version {channel.target.label}" if channel else "is not there"
        raise Stale(f"expected_revision: channel {name} is at revision {revision}, not {asked.expected}; it {where}")


def _not_pinned(family: Family, name: str, channel: Channel) -> None:
    if channel.pinned:
        raise errors.Conflict(
            f"channel {name} of family {family.name} is pinned to version {channel.target.label}; unpin it first"
        )


def _label(channel: Channel | None) -> str | None:
    return channel.target.label if channel else None


def _image(channel: Channel | None) -> str | None:
    return channel.target.image_id if channel else None
