"""The last parts of an import: a copy in each store, then the image is active."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from glancecore.domain import errors
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Location
from glancecore.domain.lease import BlobRef
from glancecore.domain.staged import Digests
from glancecore.domain.task import CopyState
from glancecore.features.imports.run import ImportRun
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.ports.import_method import Source
from glancecore.ports.store import Cap
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)


def write(run: ImportRun, store_id: str) -> None:
    """One copy. A store that fails for a while is tried again; one that fails in the end fails the import, or with
    ``all_stores_must_succeed = false`` is noted."""
    settings = run.services.settings
    if any(x.store == store_id for x in run.image().good_locations):
        return  # written before a crash
    run.save(
        task=lambda x: x.at(f"write:{store_id}", total=_size(run.image())).copy(
            store_id, state=CopyState.WRITING, bytes=0, error=None
        )
    )
    failures = 0
    while True:
        try:
            _write_once(run, store_id)
        except errors.StoreError as exc:
            failures += 1
            if exc.retryable and failures < settings.attempts and exc.store == store_id:
                LOG.warning("image %s: store %s: %s; trying again", run.image_id, store_id, exc)
                run.pause(settings.pause * 2 ** min(failures, 5))
                continue
            if run.must_succeed:
                raise
            _note_failure(run, store_id, str(exc))
            return
        else:
            return


def _note_failure(run: ImportRun, store_id: str, reason: str) -> None:
    run.save(
        image=lambda x: x.not_copied(store_id), task=lambda x: x.copy(store_id, state=CopyState.FAILED, error=reason)
    )


def _write_once(run: ImportRun, store_id: str) -> None:
    image = run.image()
    store = run.services.stores.recorded(store_id)
    if not store.available:
        run.services.stores.revive(rest=0)
    ref = BlobRef(store_id, image.blob_key, run.lease.project)  # the owner when it began: the same in each attempt
    run.services.stores.discard(ref)  # of an attempt that failed in a way that its driver could not clean up
    run.save(add=ref)
    checkpoint("write.intent")
    location = _copy(run, store, image, ref)
    checkpoint("write.after_put")
    size = _size(image) or 0
    try:
        run.save(
            image=lambda x: x.copied(location),
            drop=ref,
            freed=size,
            task=lambda x: x.copy(store_id, state=CopyState.DONE, bytes=size),
        )
    except errors.LeaseLost:
        _remove_unless_taken(run, store, location)
        raise
    checkpoint("write.recorded")


def _copy(run: ImportRun, store: StoreFacade, image: Image, ref: BlobRef) -> Location:
    staged = image.staged
    if staged is None:
        return store.put(
            ref.key,
            _counted(run, store.id, _copies(run, image), image.hash_algo, image.hash_value, image.size),
            image.size,
            owner=ref.owner,
        )
    area = run.services.stores.recorded(staged.store)
    path = area.local_path(staged.url)
    # one copy may be the staged file itself; a second name for the same bytes would be no second copy
    if path is not None and store.offers(Cap.ADOPT) and run.task.stores[0] == store.id:
        try:
            return store.adopt(ref.key, path)
        except errors.Unsupported:
            LOG.debug("store %s can't link staged data: it is copied", store.id)
    found = staged.digests
    return store.put(
        ref.key,
        _counted(run, store.id, area.open(staged.url), found.hash_algo, found.hash_value, found.size),
        found.size,
        owner=ref.owner,
    )


def _copies(run: ImportRun, image: Image) -> Iterator[bytes]:
    """The data from the first copy that gives it whole."""
    ordered = run.services.stores.readable(image)
    if not ordered:
        raise errors.DataDamaged(f"the data of image {image.id} is damaged, and there is no good copy")
    at = 0
    for number, location in enumerate(ordered):
        try:
            for piece in run.services.stores.holding(location).open(location.url, at, None):
                at += len(piece)
                yield piece
        except errors.StoreError as exc:
            if number == len(ordered) - 1:
                raise errors.StoreUnavailable(
                    f"the data of image {image.id} can't be read now", location.store, "read"
                ) from exc
            LOG.warning("image %s: reading from store %s failed at byte %d: %s", image.id, location.store, at, exc)
        else:
            return


def _counted(
    run: ImportRun, store_id: str, pieces: Iterator[bytes], algo: str | None, expected: str | None, size: int | None
) -> Iterator[bytes]:
    """The pieces, told as progress, and proved to be what was hashed when they came in: damage is not spread."""
    digest = hashlib.new(algo, usedforsecurity=False) if algo and expected else None
    seen = 0
    first = True
    try:
        for piece in pieces:
            if digest is not None:
                digest.update(piece)
            seen += len(piece)
            run.progress(seen, size, store_id)
            if run.task.error is not None:
                raise errors.ImportFailed("another part of the import has failed")
            yield piece
            if first:
                first = False
                checkpoint("write.first_piece")
        if digest is not None and not hmac.compare_digest(digest.hexdigest(), expected or ""):
            raise errors.HashMismatch(
                f"the stored data of image {run.image_id} is damaged: its {algo} is not the recorded one"
            )
    finally:
        close = getattr(pieces, "close", None)
        if close:
            close()


def _remove_unless_taken(run: ImportRun, store: StoreFacade, location: Location) -> None:
    """Our bytes, unless the commit whose answer said otherwise has made them the image's after all."""
    try:
        image = run.services.database.images.get_any(run.image_id)
        taken = any(x.url == location.url for x in image.locations)
    except errors.ImageNotFound:
        taken = False
    if not taken:
        store.delete(location.url)


def _size(image: Image) -> int | None:
    return image.staged.digests.size if image.staged is not None else image.size


def finish(run: ImportRun) -> None:
    """Staged data goes, the image is active, the task and the lease end: in one commit. Staged data that can't be
    removed now stays named by the lease, which is then the reaper's."""
    image = run.image()
    copied = {x.store for x in image.good_locations} & set(run.task.stores)
    if not copied:
        failed = next((x.error for x in run.task.progress.copies if x.error), None)
        raise errors.ImportFailed(f"no store took the data: {failed or 'none was named'}")
    checkpoint("finish.begun")
    left: BlobRef | None = None
    digests: Digests | None = None
    if image.staged is not None:
        digests, ref = image.staged.digests, BlobRef(image.staged.store, image.staged.key)
        try:
            run.services.staged_data.discard(ref)
        except errors.StoreError as exc:
            LOG.warning("image %s: staged data can't be removed now (%s); the reaper will", run.image_id, exc)
            left = ref
    checkpoint("finish.staged_gone")
    at = datetime.now(UTC)
    result = {"image_id": run.image_id}
    size = (digests.size if digests else image.size) or 0
    events = (
        [EventType.IMAGE_UPLOAD, EventType.IMAGE_ACTIVATE]
        if run.method.source is not Source.COPIES
        else [EventType.IMAGE_UPDATE]
    )
    run.save(
        image=lambda x: x.finish_import(digests),
        add=left,
        reserved=0,
        end=left is None,
        task=lambda x: x.at("finished", size, size).succeed(at, result, f"Copied {size >> 20} MiB"),
        events=lambda x: [ImageEvent(event, x) for event in events],
    )
    checkpoint("finish.recorded")
