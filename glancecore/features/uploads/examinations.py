"""What is known of the bytes of uploads that came to this process: they are not read again when the next ones come to
it, too, or the image is made here."""

from __future__ import annotations

from threading import Lock

from glancecore.domain.image import Image
from glancecore.domain.upload_session import UploadSession
from glancecore.features.uploads.aims import Aims
from glancecore.kernel.transfer.examination import Examination
from glancecore.kernel.transfer.inspection import BEGINNING
from glancecore.kernel.transfer.uploads import Uploads

#: That are kept; of what is forgotten the bytes are read again in the end.
_MOST = 64


class Examinations:
    def __init__(self, uploads: Uploads, aims: Aims) -> None:
        self._uploads = uploads
        self._aims = aims
        self._kept: dict[str, Examination] = {}
        self._lock = Lock()

    def going_on(self, image: Image, session: UploadSession) -> Examination | None:
        """For the next bytes. One that has not seen what came before is to see that first; None: they are examined in
        the end. The caller ``keep``s it."""
        found = self.take(session)
        if found is not None or session.partial or session.offset >= BEGINNING:
            return found
        judge = self._aims.of(session).judge(image)
        return self._uploads.beginning(judge) if session.key is None else self._uploads.examination(image, judge)

    def keep(self, session: UploadSession, examination: Examination) -> None:
        """For the next request, if it has seen the bytes that count and no others."""
        examination.pause()
        if examination.seen != session.offset:
            return
        with self._lock:
            self._kept[session.id] = examination
            while len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]

    def take(self, session: UploadSession) -> Examination | None:
        """The one that has seen all bytes that count; it is the caller's."""
        with self._lock:
            found = self._kept.pop(session.id, None)
        return found if found is not None and found.seen == session.offset else None
