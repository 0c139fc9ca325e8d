"""Takes over what a Glance database tells of: each image in one commit, each of its copies looked at in its store
first.

Can be run again: what is there already is left alone. No byte in any store is written, moved or removed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from glancecore.adoption import translate
from glancecore.adoption.source import GlanceDatabase
from glancecore.adoption.translate import Adopted, AdoptionFinding, Trouble
from glancecore.domain import errors
from glancecore.domain.image import Image, Location
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.metadef_repository import NamespaceAdded
from glancecore.ports.repository import Change, Database, ImageAdded, ImageRemoved, MemberAdded


class CopyCheck(StrEnum):
    """How each copy is looked at: not at all, whether it is there with its size, or by reading it all."""

    NONE = "none"
    SIZE = "size"
    HASH = "hash"


@dataclass(slots=True)
class AdoptionReport:
    """Numbers by name, and what an operator should look at. ``dry_run``: nothing was written."""

    dry_run: bool
    images: Counter[str] = field(default_factory=Counter)
    namespaces: Counter[str] = field(default_factory=Counter)
    findings: list[AdoptionFinding] = field(default_factory=list)


class Adoption:
    """``renamed``: store ids of Glance whose store has another id here."""

    def __init__(self, source: GlanceDatabase, database: Database, stores: Stores, renamed: Mapping[str, str]) -> None:
        self._source, self._database, self._stores, self._renamed = source, database, stores, renamed

    def run(self, check: CopyCheck, *, dry_run: bool, told: Callable[[int], None] = lambda _: None) -> AdoptionReport:
        """``told``: called with the number of images so far."""
        report = AdoptionReport(dry_run)
        for number, found in enumerate(self._source.images(), 1):
            try:
                adopted = translate.image(found, self._place)
            except (ValueError, KeyError, TypeError) as exc:
                report.images["refused"] += 1
                report.findings.append(
                    AdoptionFinding(Trouble.REFUSED, str(found.row["id"]), f"its rows can't be understood: {exc}")
                )
                continue
            adopted = replace(adopted, image=self._stores.renamed(adopted.image))
            outcome = (
                "already here" if self._is_here(adopted.image.id) else self._write(adopted, report, dry_run=dry_run)
            )
            report.images[outcome] += 1
            if outcome not in {"already here", "refused"}:
                report.findings += [*adopted.findings, *self._looked_at(adopted.image, check)]
            told(number)
        for space in self._source.namespaces():
            try:
                namespace = translate.namespace(space)
                if dry_run:
                    self._check_free(namespace.name)
                else:
                    self._database.metadefs.commit(NamespaceAdded(namespace))
                report.namespaces["taken over"] += 1
            except errors.MetadefExists:
                report.namespaces["already here"] += 1
            except (errors.GlanceError, ValueError) as exc:
                report.namespaces["refused"] += 1
                report.findings.append(AdoptionFinding(Trouble.REFUSED, str(space.row["namespace"]), str(exc)))
        return report

    # -- writing -----------------------------------------------------------------------------------
    def _write(self, adopted: Adopted, report: AdoptionReport, *, dry_run: bool) -> str:
        image = adopted.image
        changes: list[Change] = [ImageAdded(image), *(MemberAdded(x) for x in adopted.members)]
        if adopted.removed_at is not None:
            changes.append(ImageRemoved(image, adopted.removed_at))
        if not dry_run:
            try:
                self._database.images.commit(*changes)
            except errors.ImageExists:  # one whose removal is remembered here
                return "already here"
            except errors.Invalid as exc:
                report.findings.append(AdoptionFinding(Trouble.REFUSED, image.id, str(exc)))
                return "refused"
        return "deleted" if adopted.removed_at is not None else image.status.value

    def _is_here(self, image_id: str) -> bool:
        try:
            self._database.images.get_any(image_id)
        except errors.ImageNotFound:
            return False
        return True

    def _check_free(self, name: str) -> None:
        try:
            self._database.metadefs.get(name)
        except errors.NamespaceNotFound:
            return
        raise errors.MetadefExists(name)

    # -- stores ------------------------------------------------------------------------------------
    def _place(self, url: str, named: str | None) -> str | None:
        if named is not None:
            store_id = self._renamed.get(named, named)
            return store_id if store_id in self._stores.ids else None
        # a deployment from before many stores: whichever store knows this location
        readers = self._stores.reading(url.partition("://")[0])
        return next((x.id for x in readers if len(readers) == 1 or _has(x, url)), None)

    def _looked_at(self, image: Image, check: CopyCheck) -> list[AdoptionFinding]:
        if check is CopyCheck.NONE:
            return []
        found = (self._trouble(image, x, check) for x in image.locations if x.store in self._stores.ids)
        return [AdoptionFinding(trouble, image.id, text) for trouble, text in filter(None, found)]

    def _trouble(self, image: Image, location: Location, check: CopyCheck) -> tuple[Trouble, str] | None:
        store = self._stores.get(location.store)
        try:
            size = store.size(location.url)
            if image.size is not None and size != image.size:
                return Trouble.DIFFERENT, f"its copy in store {store.id} has {size} bytes, the image {image.size}"
            if check is CopyCheck.HASH and not _same(image, store, location):
                return Trouble.DIFFERENT, f"its copy in store {store.id} has another hash than the image"
        except errors.BlobNotFound:
            return Trouble.MISSING, f"its data is not in store {store.id}"
        except errors.BadLocation:
            return (
                Trouble.UNREADABLE_LOCATION,
                f"store {store.id} does not take its location: does its configuration name the same place as Glance's?",
            )
        except errors.StoreError as exc:
            return Trouble.UNCHECKED, str(exc)
        return None


def _has(store: StoreFacade, url: str) -> bool:
    try:
        store.size(url)
    except errors.StoreError:
        return False
    return True


def _same(image: Image, store: StoreFacade, location: Location) -> bool:
    name, expected = (image.hash_algo, image.hash_value) if image.hash_value else ("md5", image.checksum)
    if not name or not expected:
        return True
    digest = hashlib.new(name, usedforsecurity=False)
    for piece in store.open(location.url):
        digest.update(piece)
    return digest.hexdigest() == expected
