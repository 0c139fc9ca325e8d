"""What a project may have of uploads in pieces: so many at once, and so many bytes."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.domain.quota import Limits
from glancecore.features.uploads.records import UploadRecords
from glancecore.features.uploads.turns import Turn
from glancecore.kernel.operations import Reservation
from glancecore.ports.quota import Quota
from glancecore.ports.repository import WithinLimits


class UploadAllowance:
    """``most``: uploads of a project that were begun and not ended; None for no limit."""

    def __init__(self, quota: Quota, records: UploadRecords, most: int | None) -> None:
        self._quota = quota
        self._records = records
        self._most = most

    def check_number(self, owner: str | None, more: int) -> None:
        """Whether it may have ``more`` uploads. Raises LimitExceeded."""
        if self._most is not None and self._records.live_of(owner, self._most + 1) + more > self._most:
            raise errors.LimitExceeded(
                f"the project has {self._most} uploads that were begun and not ended, and may have no more; end one, or"
                " wait for it to expire"
            )

    def at_beginning(self, owner: str | None) -> list[WithinLimits]:
        """For the commit that begins an upload."""
        limits = self._quota.limits(owner)
        within = Limits(bytes=limits.bytes, uploading=limits.uploading)
        return [] if within == Limits() else [WithinLimits(owner, within)]

    def of_bytes(self, owner: str | None) -> list[WithinLimits]:
        """For a commit that reserves more."""
        limit = self._quota.limits(owner).bytes
        return [] if limit is None else [WithinLimits(owner, Limits(bytes=limit))]

    def reservation(self, owner: str | None, turn: Turn) -> Reservation | None:
        """How room is reserved for data whose length is not known; None when there is no limit, or all is reserved."""
        if turn.session.length is not None:
            return None
        within = self.of_bytes(owner)
        if not within:
            return None
        return Reservation(lambda: turn.lease.reserved, lambda size: turn.save(turn.session, *within, reserved=size))
