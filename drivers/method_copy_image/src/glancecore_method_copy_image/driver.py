"""An active image gets copies in more stores; its data, hashes and status stay as they are."""

from __future__ import annotations

from glancecore.domain.image import Status
from glancecore.ports.import_method import ImportMethod, Source


class CopyImage(ImportMethod):
    """Read from the copies that there are, and proved to be the recorded data while it is written."""

    plugin_api = "1.0"
    source = Source.COPIES
    statuses = frozenset({Status.ACTIVE})
    policy = "copy_image"
