"""Orphans: data in a store that no image has, and no running operation names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.domain.staged import Staged
from glancecore.features.copies.options import ORPHANS
from glancecore.kernel.core import CoreTools
from glancecore.kernel.restored import restored_at
from glancecore.kernel.transfer.blobs import image_named_by, names_in
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, PeriodicJob
from glancecore.ports.store import Cap, StoredBlob


class Orphans(PeriodicJob):
    """Lists the stores, reports data that belongs to nobody, and deletes it when it is told to. Staged leftovers go in
    any case, but for those from before the database was brought back from a backup: it does not know whose they
    were."""

    options, interval = ORPHANS, 86400.0
    summary = "finds data in the stores that belongs to no image"

    def __init__(self, conf: Section, tools: CoreTools) -> None:
        super().__init__(conf, tools)
        self._tools = tools

    def run(self, turn: JobContext) -> None:
        for store in self._tools.stores:
            if store.offers(Cap.LIST):
                self._search(turn, store, "orphan", delete=self.conf.delete)
        try:
            staging = self._tools.stores.staging
        except errors.StoreUnavailable:
            return  # there are no imports here
        if staging.offers(Cap.LIST):
            self._search(turn, staging, "leftover", delete=True)

    def _search(self, turn: JobContext, store: StoreFacade, kind: str, *, delete: bool) -> None:
        before = datetime.now(UTC) - timedelta(seconds=self.conf.grace)
        unknown = restored_at(self._tools.database)
        try:
            for blob in store.list():
                turn.check()
                turn.count("blobs")
                if blob.modified < before and not self._belongs(store.id, blob, turn):
                    known = unknown is None or blob.modified > unknown
                    self._found(turn, store, kind, blob, delete=delete and (known or self.conf.delete))
        except errors.StoreError as exc:
            turn.fail(f"store {store.id} can't be listed to its end: {exc}")

    def _found(self, turn: JobContext, store: StoreFacade, kind: str, blob: StoredBlob, *, delete: bool) -> None:
        turn.count(f"{kind} bytes", blob.size)
        gone = False
        if delete and not turn.dry_run:
            try:
                store.delete(blob.url)
                gone = True
                turn.count("deleted")
            except errors.StoreError as exc:
                turn.fail(f"{store.id}/{blob.key} can't be deleted: {exc}")
        done = "was deleted" if gone else "would be deleted" if delete and turn.dry_run else "is left where it is"
        turn.find(
            kind,
            f"{store.id}/{blob.key}",
            f"{blob.size} bytes of {blob.modified:%Y-%m-%d %H:%M:%S} that no image has: {done}",
        )

    def _belongs(self, store_id: str, blob: StoredBlob, turn: JobContext) -> bool:
        """To an image, a running operation, or somebody else altogether. The lease is asked for first: an operation
        names its data there before the first byte, and ends the lease in the commit that gives the data to the
        image."""
        named = image_named_by(blob.key)
        if named is None:
            turn.count("foreign")
            return True
        images = self._tools.database.images
        lease = images.lease(named)
        if lease is not None and any(x.store == store_id for x in lease.blobs):
            return True
        if images.located(blob.url):
            return True
        try:
            image = images.get_any(named)
        except errors.ImageNotFound:
            return False
        if _has(image, store_id, blob.key) or any(
            _is(x.kept, store_id, blob.key) for x in self._tools.database.tasks.of_image(image.id, datetime.now(UTC))
        ):
            return True
        try:
            return _has(images.get_any(image.id), store_id, blob.key)  # a retry has taken it from its task just now
        except errors.ImageNotFound:
            return False


def _has(image: Image, store_id: str, key: str) -> bool:
    """Also by an address that is written in another way than the store tells it now."""
    return _is(image.staged, store_id, key) or any(
        key in names_in(x.url) for x in image.locations if x.store == store_id
    )


def _is(staged: Staged | None, store_id: str, key: str) -> bool:
    return staged is not None and (staged.store, staged.key) == (store_id, key)
