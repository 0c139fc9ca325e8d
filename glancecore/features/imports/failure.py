"""How an import fails: first that is written down, then what it did is undone, part by part; whoever finds it half done
goes on.

What a failed import leaves is said in docs/imports.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from glancecore.domain import errors
from glancecore.domain.image import LocationStatus, Status
from glancecore.domain.lease import BlobRef
from glancecore.domain.staged import Staged
from glancecore.features.imports.run import ImportRun
from glancecore.ports.import_method import Source
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: What a failed import has fetched is kept while there is room for so many more of that size.
_ROOM_FOR_OTHERS = 4
#: Failures for which the staged data is to blame: it is not kept for another attempt.
_REJECTED = (errors.BadContent, errors.HashMismatch, errors.SignatureInvalid, errors.StepFailed, errors.TooLarge)


def record_failure(run: ImportRun, cause: errors.GlanceError) -> None:
    """Write down that it has failed, and why, before anything is undone. Only the first cause counts.

    Raises LeaseLost when somebody else has the image: what they removed may be why we failed, and says nothing of the
    import."""
    checkpoint("fail.begun")
    rejected = isinstance(cause, _REJECTED)
    stable = Status.QUEUED if rejected and run.lease.stable is Status.UPLOADING else run.lease.stable
    keep = run.method.source is Source.FETCHED and not rejected and not isinstance(cause, errors.ImportCancelled)
    if run.record_failure(cause.code, str(cause), stable, _worth_keeping(run) if keep else None):
        LOG.info("image %s: import failed: %s: %s", run.image_id, type(cause).__name__, cause)
    checkpoint("fail.doomed")


def roll_back(run: ImportRun, undo: Callable[[ImportRun], None]) -> None:
    """``undo`` the steps, remove this run's copies and what is staged and not kept, put the image back. Each part may
    have been done already."""
    undo(run)
    services, stable = run.services, run.lease.stable
    ours = frozenset(run.task.stores)
    marked = run.save(
        image=lambda x: replace(
            x,
            locations=tuple(
                replace(y, status=LocationStatus.DELETING)
                if y.store in ours and y.status is not LocationStatus.DAMAGED
                else y
                for y in x.locations
            ),
        )
    )
    checkpoint("fail.marked")
    image = marked or run.image()
    try:
        for location in image.locations:
            if location.store in ours and location.status is LocationStatus.DELETING:
                services.stores.holding(location).delete(location.url)
        for ref in run.lease.blobs:
            services.stores.discard(ref)
        if stable is not Status.UPLOADING and run.task.kept is None and image.staged is not None:
            services.staged_data.discard(BlobRef(image.staged.store, image.staged.key))
    except errors.StoreError as exc:
        LOG.warning("image %s: what its import left can't be removed now (%s); trying again", run.image_id, exc)
        return
    checkpoint("fail.bytes_gone")
    at = datetime.now(UTC)
    run.save(
        image=lambda x: x.fail_import(stable, run.task.message, ours),
        task=lambda x: x.fail(at, services.settings.keep_for),
        end=True,
    )
    checkpoint("fail.recorded")


def _worth_keeping(run: ImportRun) -> Staged | None:
    """What is staged, unless the staging store has little room for others beside it."""
    staged = run.image().staged
    if staged is None or not run.services.settings.keep_for:
        return None
    try:
        free = run.services.staged_data.store.free()
    except errors.StoreError:
        return None
    return staged if free is None or free >= _ROOM_FOR_OTHERS * staged.digests.size else None
