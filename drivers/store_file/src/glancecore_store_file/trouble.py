"""What the kernel's error numbers mean to the users of a store."""

from __future__ import annotations

import errno

from glancecore.domain import errors

_KINDS: dict[int, type[errors.StoreError]] = {
    errno.ENOSPC: errors.StoreFull,
    errno.EDQUOT: errors.StoreFull,
    errno.EFBIG: errors.StoreFull,
    errno.EACCES: errors.StoreForbidden,
    errno.EPERM: errors.StoreForbidden,
    errno.EROFS: errors.StoreForbidden,
    errno.EEXIST: errors.BlobExists,
}


def store_error(exc: OSError, store: str, operation: str) -> errors.StoreError:
    """The error to raise from ``exc``. Its text has the reason, but not the path that ``str(exc)`` shows."""
    kind = _KINDS.get(exc.errno or 0, errors.StoreUnavailable)
    reason = "the key is in use" if kind is errors.BlobExists else (exc.strerror or type(exc).__name__).lower()
    return kind(f"store {store}: {operation} failed: {reason}", store, operation)
