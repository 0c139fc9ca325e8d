"""What uploads in pieces may be."""

from __future__ import annotations

from dataclasses import dataclass

from glancecore.domain import errors
from glancecore.domain.upload_session import UploadSession


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The operator's choices. ``keep_for`` and ``patience`` in seconds, ``cap`` in bytes; ``per_project`` None: no
    limit."""

    keep_for: float
    per_project: int | None
    patience: float
    cap: int

    def check(self, session: UploadSession, size: int | None) -> None:
        """What a request of ``size`` bytes says of itself, before its first byte is read. Raises TooLarge,
        SizeMismatch."""
        if session.length is not None:
            self.check_length(session.length)
        if size is not None and session.length is not None and session.offset + size > session.length:
            raise errors.SizeMismatch(
                f"the upload was declared to have {session.length} bytes; with these it has {session.offset + size}"
            )
        if size is not None and session.offset + size > self.cap:
            raise errors.TooLarge(
                f"with these bytes the data has {session.offset + size}; image_size_cap is {self.cap}"
            )

    def check_partial(self, length: int | None) -> None:
        """Of a partial session. Raises Invalid, TooLarge."""
        if length is None:
            raise errors.Invalid("a partial upload must tell its length at its beginning")
        self.check_length(length)

    def check_length(self, length: int) -> None:
        """Raises TooLarge."""
        if length > self.cap:
            raise errors.TooLarge(f"the data has {length} bytes; image_size_cap is {self.cap}")
