"""Reading: which families the caller sees, what is in them, and which image a reference means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace

from glancecore.domain import errors, text
from glancecore.domain.context import Context
from glancecore.domain.image import Image, Status
from glancecore.ports.extension import Kernel
from glancecore.ports.record_repository import RecordQuery
from glancecore.ports.repository import ImageQuery
from glancecore_ext_families.family import FAMILIES, NAMES, PUBLIC, VERSIONS, Family, Version, own_id, public_id
from glancecore_ext_families.hints import Hints
from glancecore_ext_families.references import LATEST, Reference

#: How many of the newest versions are looked at for ``latest``, one look after the other, behind the very newest.
_LOOKS = (4, 50, 100, 100, 100)
#: What the request that is being answered has been led to: it is shown next.
_LED_TO: ContextVar[tuple[Context, Family, Version] | None] = ContextVar("families_led_to", default=None)


class Catalogue:
    """Thread-safe. A family that the caller may not see is not there, nor is a version or a channel whose image he may
    not see."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._records = kernel.records
        self._hints = Hints()

    # -- families ----------------------------------------------------------------------------------
    def sees(self, ctx: Context, family: Family) -> bool:
        return self._kernel.policy.allows(ctx, "families_show", family.target)

    def inspects(self, ctx: Context, family: Family) -> bool:
        """Whether all that is in it is shown."""
        return self._kernel.policy.allows(ctx, "families_inspect", family.target)

    def get(self, ctx: Context, family_id: str) -> Family:
        """Raises RecordNotFound."""
        try:
            family = Family.of(self._records.get(FAMILIES.name, family_id.lower()))
        except errors.RecordNotFound:
            family = None
        if family is None or not self.sees(ctx, family):
            raise errors.RecordNotFound(f"no family {text.shortened(family_id)}")
        return family

    def by_id(self, family_ids: Iterable[str]) -> dict[str, Family]:
        """Whatever the caller may see; in one question."""
        ids = sorted(set(family_ids))
        return (
            {x.id: Family.of(x) for x in self._records.find(RecordQuery(FAMILIES.name, equal=ids, limit=len(ids)))}
            if ids
            else {}
        )

    def by_name(self, ctx: Context, name: str) -> list[Family]:
        """The caller's project's own one, then the public one."""
        return self._named(ctx, name, [])[0]

    def _named(self, ctx: Context, name: str, likely: Sequence[tuple[str, str]]) -> tuple[list[Family], Version | None]:
        """The same, and what is there of the likely version. ``likely``: records that are read with the names, in one
        question."""
        ids = [own_id(name, ctx.project), public_id(name)]
        found = {(x.collection, x.id): x for x in self._records.several([*((NAMES.name, x) for x in ids), *likely])}
        wanted = list(dict.fromkeys(str(found[NAMES.name, x].data["family"]) for x in ids if (NAMES.name, x) in found))
        if left := [(FAMILIES.name, x) for x in wanted if (FAMILIES.name, x) not in found]:
            found.update({(x.collection, x.id): x for x in self._records.several(left)})
        families = [Family.of(found[FAMILIES.name, x]) for x in wanted if (FAMILIES.name, x) in found]
        version = next((Version.of(x) for x in found.values() if x.collection == VERSIONS.name), None)
        return [x for x in families if self.sees(ctx, x)], version

    def page(self, ctx: Context, marker: str | None, limit: int) -> list[Family]:
        """The caller's project's own families, then public ones of others. ``marker``: the id of the last one of the
        page before. Raises UnknownMarker."""
        behind: Family | None = None
        if marker is not None:
            try:
                behind = self.get(ctx, marker)
            except errors.RecordNotFound:
                raise errors.UnknownMarker(f"marker: no family {text.shortened(marker)}") from None
        found: list[Family] = []
        own = ctx.project or ""
        if behind is None or behind.owner == ctx.project:
            after = (own, behind.id) if behind else None
            found = [
                Family.of(x) for x in self._records.find(RecordQuery(FAMILIES.name, 0, [own], after=after, limit=limit))
            ]
            behind = None
        last = (PUBLIC, behind.id) if behind else None
        while len(found) < limit:
            page = self._records.find(RecordQuery(FAMILIES.name, 1, [PUBLIC], after=last, limit=limit))
            found += [x for x in map(Family.of, page) if x.owner != ctx.project]
            if len(page) < limit:
                break
            last = (PUBLIC, page[-1].id)
        return [x for x in found if self.sees(ctx, x)][:limit]

    def hides_default(self, ctx: Context, families: Iterable[Family]) -> set[str]:
        """Ids of those whose default is a channel that the caller is not shown."""
        targets = {
            x.id: x.channels[x.default].target.image_id
            for x in families
            if x.default != LATEST and x.default in x.channels and not self.inspects(ctx, x)
        }
        visible = self.images(ctx, sorted(set(targets.values())))
        return {x for x, image_id in targets.items() if image_id not in visible}

    # -- versions ----------------------------------------------------------------------------------
    def version_of(self, image_id: str) -> Version | None:
        """Whatever the caller may see."""
        try:
            return Version.of(self._records.get(VERSIONS.name, image_id))
        except errors.RecordNotFound:
            return None

    def versions_of(self, images: Sequence[Image]) -> dict[str, Version]:
        """By image, whatever the caller may see; in one question."""
        return self.versions_by_image([x.id for x in images])

    def versions_by_image(self, image_ids: Sequence[str]) -> dict[str, Version]:
        """The same, by ids."""
        query = RecordQuery(VERSIONS.name, equal=image_ids, limit=len(image_ids))
        return {x.id: Version.of(x) for x in self._records.find(query)} if image_ids else {}

    def led_to(self, ctx: Context, image_id: str) -> tuple[Family, Version] | None:
        """Its family, which the caller may see, and version, when it is what a reference of this request has led to."""
        found = _LED_TO.get()
        return found[1:] if found is not None and found[0] is ctx and found[2].image_id == image_id else None

    def version(self, ctx: Context, family: Family, label: str) -> Version:
        """Raises RecordNotFound."""
        found = self.labelled(family, label)
        if found is None or not self.shown(ctx, family, [found]):
            raise errors.RecordNotFound(f"family {family.name} has no version {text.shortened(label)}")
        return found

    def labelled(self, family: Family, label: str) -> Version | None:
        """Whatever the caller may see."""
        found = self._records.find(RecordQuery(VERSIONS.name, 1, [f"{family.id}:{label}"], limit=1))
        return Version.of(found[0]) if found else None

    def newest(self, family: Family, after: Version | None, limit: int) -> list[Version]:
        """Those behind ``after``, the newest first, whatever the caller may see."""
        key = (f"{family.id}:{after.number:010}", after.image_id) if after else None
        return [
            Version.of(x)
            for x in self._records.find(
                RecordQuery(VERSIONS.name, 0, prefix=f"{family.id}:", after=key, descending=True, limit=limit)
            )
        ]

    def shown(self, ctx: Context, family: Family, versions: Sequence[Version]) -> list[Version]:
        """Those that the caller is shown."""
        if self.inspects(ctx, family):
            return list(versions)
        visible = self.images(ctx, [x.image_id for x in versions])
        return [x for x in versions if x.image_id in visible]

    def images(self, ctx: Context, ids: Sequence[str]) -> dict[str, Image]:
        """Those that the caller may see."""
        return {
            x.id: x
            for hidden in ((False, True) if ids else ())
            for x in self._found(ctx, {"id": tuple(ids)}, hidden=hidden)
        }

    def _found(self, ctx: Context, equal: Mapping[str, tuple[str, ...]], *, hidden: bool) -> Iterator[Image]:
        """Of those ids: a page may end before all are found."""
        query = ImageQuery(
            ctx.viewer, all_visible=True, member_status=None, hidden=hidden, equal=equal, limit=len(equal["id"])
        )
        while True:
            page = self._kernel.images.find(ctx, query)
            yield from page.images
            if page.marker is None:
                return
            query = replace(query, marker=page.marker)

    # -- references --------------------------------------------------------------------------------
    def resolve(self, ctx: Context, given: str) -> str | None:
        """The id of the image that ``given`` means; None: it is no reference, or a bare name of no family, or one that
        a listed image has.

        Raises ImageNotFound, and Conflict when what is meant can't be used."""
        reference = Reference.parse(given)
        if reference is None:
            return None
        _LED_TO.set(None)
        families, likely = self._named(ctx, reference.family, self._hints.of(ctx, given))
        bare = reference.channel is None and reference.label is None
        if bare and (not families or self._kernel.images.has_name(ctx, given)):
            return None
        if not families:
            raise errors.ImageNotFound(f"no image {given}: there is no family {reference.family}")
        family = families[0]
        if likely is not None and likely.family != family.id:
            likely = None
        if reference.label is not None:
            image_id = self._labelled(ctx, family, given, reference.label, likely)
        elif (channel := reference.channel or family.default) != LATEST:
            image_id = self._channel(ctx, family, given, channel, likely, bare=bare)
        elif (latest := self.latest(ctx, family, likely=likely)) is not None:
            image_id = _led(ctx, family, latest)
        else:
            raise errors.ImageNotFound(f"no image {given}: family {family.name} has no version that can be used")
        self._hints.note(ctx, given, family.id, image_id)
        return image_id

    def latest(
        self, ctx: Context, family: Family, without: str | None = None, *, likely: Version | None = None
    ) -> Version | None:
        """The newest version whose image the caller sees, is active and not hidden, and which may be it. ``without``:
        an image that is not asked for. ``likely``: one of the family's that was read with it."""
        if (
            likely is not None and likely.number == family.versions and self._is_latest(ctx, likely, without)
        ):  # there never was a newer one
            return likely
        after: Version | None = None
        for limit in _LOOKS:
            page = self.newest(family, after, limit)
            if after is None and page and self._is_latest(ctx, page[0], without):  # as it nearly always is
                return page[0]
            wanted = [
                x for x in page if x.in_latest and x.image_id != without and x.state(self._kernel.clock()) == "current"
            ]
            if wanted:
                equal = {"id": tuple(x.image_id for x in wanted), "status": (Status.ACTIVE.value,)}
                visible = {x.id for x in self._found(ctx, equal, hidden=False)}
                if found := next((x for x in wanted if x.image_id in visible), None):
                    return found
            if len(page) < limit:
                return None
            after = page[-1]
        return None

    def _is_latest(self, ctx: Context, newest: Version, without: str | None) -> bool:
        if not newest.in_latest or newest.image_id == without or newest.state(self._kernel.clock()) != "current":
            return False
        try:
            image = self._kernel.images.show(ctx, newest.image_id)
        except errors.ImageNotFound:
            return False
        return image.status is Status.ACTIVE and not image.hidden

    def why_not(self, image: Image, version: Version | None) -> str | None:
        """Why nobody is led to it, in a word or two; None: it can be used."""
        if image.status is not Status.ACTIVE:
            return image.status.value
        if version is None:
            return "no version any more"
        state = version.state(self._kernel.clock())
        return None if state == "current" else state

    def _channel(
        self, ctx: Context, family: Family, given: str, channel: str, likely: Version | None, *, bare: bool
    ) -> str:
        """``likely``: a version of the family that was read with it. ``bare``: the caller has not named the channel,
        and is told its name only when he sees where it leads."""
        found = family.channels.get(channel)
        try:
            if found is None:
                raise errors.ImageNotFound("no such channel")
            image = self._kernel.images.show(ctx, found.target.image_id)
        except errors.ImageNotFound:
            which = "its default is no channel" if bare else f"it has no channel {channel}"
            raise errors.ImageNotFound(
                f"no image {given}: family {family.name} is there, but {which} that leads you to an image"
            ) from None
        version = likely if likely is not None and likely.image_id == image.id else self.version_of(image.id)
        if why := self.why_not(image, version if version is not None and version.family == family.id else None):
            raise errors.Conflict(
                f"{given}: channel {channel} points to version {found.target.label}, which is {why}; image {image.id}"
                " is what it is by id"
            )
        return image.id if version is None else _led(ctx, family, version)

    def _labelled(self, ctx: Context, family: Family, given: str, label: str, likely: Version | None) -> str:
        version = likely if likely is not None and likely.label == label else self.labelled(family, label)
        try:
            if version is None:
                raise errors.ImageNotFound("no such version")
            image = self._kernel.images.show(ctx, version.image_id)
        except errors.ImageNotFound:
            raise errors.ImageNotFound(
                f"no image {given}: family {family.name} has no version {label} for you"
            ) from None
        if why := self.why_not(image, version):
            raise errors.Conflict(f"{given}: this version is {why}; image {image.id} is what it is by id")
        return image.id if version is None else _led(ctx, family, version)


def _led(ctx: Context, family: Family, version: Version) -> str:
    _LED_TO.set((ctx, family, version))
    return version.image_id
