"""The ``families`` extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from email.utils import format_datetime
from typing import ClassVar

from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.ports.extension import CommandTree, Extension, Kernel, Subscriptions
from glancecore.ports.http import Route, Schema
from glancecore.ports.options import Section
from glancecore.ports.periodic import PeriodicJob
from glancecore_ext_families import commands
from glancecore_ext_families.catalogue import Catalogue
from glancecore_ext_families.dating import DATES, Dating
from glancecore_ext_families.family import COLLECTIONS, Family, Version, moment
from glancecore_ext_families.jobs import Forget, Unlist
from glancecore_ext_families.keeping import CHANGED, VERSIONED, Keeping
from glancecore_ext_families.moving import MOVED, Moving
from glancecore_ext_families.options import OPTIONS
from glancecore_ext_families.rules import RULES


class Families(Extension):
    """Families of images, their versions and channels, and references to them."""

    plugin_api = "1.0"
    title = "Families of images, their versions and channels"
    options = OPTIONS
    rules = RULES
    collections = COLLECTIONS
    unlists = True
    events = (CHANGED.value, VERSIONED.value, MOVED.value)
    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"families_forget": Forget, "families_unlist": Unlist}
    shows: ClassVar[Mapping[str, Schema]] = {
        "family": {"type": "string", "description": "The family that it is a version of."},
        "family_version": {"type": "string", "description": "Its label in that family."},
        "channel": {"type": "string", "description": "Channels of the family that point to it, comma-separated."},
        "deprecated_at": {
            "type": "string",
            "description": "From when on nobody is led to it: UTC, YYYY-MM-DDTHH:MM:SSZ.",
        },
        "obsolete_at": {"type": "string", "description": "From when on it should not be used any more."},
        "ends_at": {"type": "string", "description": "When it may be deleted."},
        "replacement": {"type": "string", "description": "What to use in its place: a reference."},
    }

    def __init__(self, conf: Section, kernel: Kernel) -> None:
        super().__init__(conf, kernel)
        self.catalogue = Catalogue(kernel)
        self.keeping = Keeping(kernel, self.catalogue, conf)
        self.moving = Moving(
            kernel, self.catalogue, self.keeping, conf.channels_per_family, timedelta(days=conf.history_days)
        )
        self.dating = Dating(kernel, self.catalogue, self.keeping)

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_families.routes import Routes  # it loads the web framework

        return Routes(self.kernel, self.catalogue, self.keeping, self.moving, self.dating).table()

    def subscribe(self, on: Subscriptions) -> None:
        on.checks_image(self.keeping.check_image)
        on.committed(self.keeping.image_changed)

    def resolve(self, ctx: Context, reference: str) -> str | None:
        return self.catalogue.resolve(ctx, reference)

    def named(self, ctx: Context, name: str) -> str | None:
        return self.catalogue.resolve(ctx, name) if self.conf.resolve_names else None

    def versions(self, images: Sequence[Image]) -> dict[str, tuple[Family, Version]]:
        """For other extensions: by image, whatever a caller may see; in two questions."""
        versions = self.catalogue.versions_of(images)
        families = self.catalogue.by_id(x.family for x in versions.values())
        return {x: (families[y.family], y) for x, y in versions.items() if y.family in families}

    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        """Nothing of families that the caller may not see."""
        led = self.catalogue.led_to(ctx, images[0].id) if len(images) == 1 else None
        versions = self.versions(images) if led is None else {images[0].id: led}
        rows: list[Mapping[str, object]] = []
        for image in images:
            family, version = versions.get(image.id, (None, None))
            if version is None or family is None or not (led is not None or self.catalogue.sees(ctx, family)):
                rows.append({})
                continue
            row = {
                "family": family.name,
                "family_version": version.label,
                "channel": ",".join(family.channels_of(image.id)) or None,
                "replacement": version.replacement,
                **{x: getattr(version, x) for x in DATES},
            }
            rows.append({x: y for x, y in row.items() if y is not None})
        return rows

    def headers(self, shown: Mapping[str, object]) -> Mapping[str, str]:
        """``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594)."""
        found: dict[str, str] = {}
        if "deprecated_at" in shown:
            found["Deprecation"] = f"@{int(moment(str(shown['deprecated_at'])).timestamp())}"
            if end := shown.get("ends_at", shown.get("obsolete_at")):
                found["Sunset"] = format_datetime(moment(str(end)), usegmt=True)
        return found

    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        commands.declare(manage)
