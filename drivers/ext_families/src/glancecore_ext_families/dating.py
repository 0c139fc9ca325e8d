"""Deprecating versions, with dates and a replacement, and taking that back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.ports.extension import Kernel
from glancecore.ports.record_repository import RecordChanged
from glancecore_ext_families.catalogue import Catalogue
from glancecore_ext_families.family import Family, Version, moment, stamp
from glancecore_ext_families.keeping import VERSIONED, Keeping
from glancecore_ext_families.references import Reference
from glancecore_ext_families.retrying import Stale, again

DATES = ("deprecated_at", "obsolete_at", "ends_at")
#: A date that is further away is a mistake.
_FARTHEST = timedelta(days=3653)


class Dating:
    def __init__(self, kernel: Kernel, catalogue: Catalogue, keeping: Keeping) -> None:
        self._kernel = kernel
        self._catalogue = catalogue
        self._keeping = keeping

    @again
    def deprecate(
        self, ctx: Context, family_id: str, label: str, wanted: Mapping[str, Any], expected: int | None = None
    ) -> Version:
        """In place of what was said of it before. ``expected``: only when the record of the version is at that version
        still. Raises RecordNotFound, Forbidden, Invalid; Conflict, unless forced, for what a channel points to and for
        the last version that could be ``latest``; ConcurrentChange."""
        family, version = self._of(ctx, family_id, label)
        if expected is not None and version.stored.version != expected:
            raise Stale(f"version {label} of family {family.name} has changed")
        dates = self._dates(wanted)
        replacement = wanted.get("replacement")
        if replacement is not None and Reference.parse(replacement) is None:
            raise errors.Invalid(
                f"replacement: {replacement!r} is no reference, such as debian/13, debian/13@stable or"
                " debian/13:20260101"
            )
        if not wanted.get("force", False):
            self._refuse_last(ctx, family, version)
        after = replace(
            version,
            deprecated_at=dates["deprecated_at"],
            obsolete_at=dates["obsolete_at"],
            ends_at=dates["ends_at"],
            replacement=replacement,
            reason=wanted.get("reason"),
        )
        return self._save(
            ctx, family, version, after, "deprecate", **dates, replacement=replacement, reason=after.reason
        )

    @again
    def restore(self, ctx: Context, family_id: str, label: str, reason: str) -> Version:
        """As if it had never been deprecated. Raises RecordNotFound, Forbidden."""
        family, version = self._of(ctx, family_id, label)
        after = replace(version, deprecated_at=None, obsolete_at=None, ends_at=None, replacement=None, reason=None)
        return version if after == version else self._save(ctx, family, version, after, "restore", reason=reason)

    # -- inside ------------------------------------------------------------------------------------
    def _of(self, ctx: Context, family_id: str, label: str) -> tuple[Family, Version]:
        family = self._catalogue.get(ctx, family_id)
        self._kernel.policy.authorize(ctx, "families_version", family.target)
        return family, self._catalogue.version(ctx, family, label)

    def _dates(self, wanted: Mapping[str, Any]) -> dict[str, str | None]:
        """As they are kept: stamps of one form, which compare as the times do. Raises Invalid."""
        now = self._kernel.clock()
        found: dict[str, str | None] = {x: wanted.get(x) for x in DATES}
        found["deprecated_at"] = found["deprecated_at"] or stamp(now)
        last, before = datetime.min.replace(tzinfo=UTC), ""
        for name, given in found.items():
            if given is None:
                continue
            try:
                at = moment(given)
            except ValueError:
                raise errors.Invalid(f"{name}: {given!r} is no time; write YYYY-MM-DDTHH:MM:SSZ, in UTC") from None
            if at > now + _FARTHEST:
                raise errors.Invalid(f"{name}: {given} is more than 10 years ahead")
            if at < last:
                raise errors.Invalid(f"{name}: {given} is before {before}, {stamp(last)}")
            last, before = at, name
            found[name] = stamp(at)
        return found

    def _refuse_last(self, ctx: Context, family: Family, version: Version) -> None:
        if pointing := family.pointing(version.image_id):
            raise errors.Conflict(f"{pointing} to version {version.label}: promote another one first, or force it")
        latest = self._catalogue.latest(ctx, family)
        if (
            latest is not None
            and latest.image_id == version.image_id
            and self._catalogue.latest(ctx, family, version.image_id) is None
        ):
            raise errors.Conflict(
                f"version {version.label} is the last one of family {family.name} that can be latest: add another one"
                " first, or force it"
            )

    def _save(
        self, ctx: Context, family: Family, version: Version, after: Version, action: str, **told: object
    ) -> Version:
        self._keeping.save(
            family,
            RecordChanged(version.stored, after.saved()),
            *self._keeping.unlisting([after]),
            events=[
                self._keeping.event(
                    ctx, VERSIONED, family, action=action, label=version.label, image_id=version.image_id, **told
                )
            ],
        )
        return after
