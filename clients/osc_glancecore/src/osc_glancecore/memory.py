"""What this user has begun and not ended: a command that is run again goes on with it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from osc_glancecore.files import Source, read_json, write_json
from osc_glancecore.service import Service


class Begun:
    """The image that an upload of a file to a service was begun for. ``purpose``: all that was said of it; with other
    words it is another one."""

    def __init__(self, service: Service, source: Source, *purpose: object) -> None:
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        name = hashlib.sha256(
            "\0".join(
                [
                    service.root,
                    service.project,
                    str(source.path),
                    source.fingerprint,
                    json.dumps(purpose, sort_keys=True),
                ]
            ).encode()
        ).hexdigest()[:32]
        self._path = home / "osc-glancecore" / f"{name}.json"

    @property
    def image_id(self) -> str | None:
        found = read_json(self._path)
        return str(found["image_id"]) if isinstance(found, dict) and "image_id" in found else None

    def remember(self, image_id: str) -> None:
        """Raises OSError."""
        write_json(self._path, {"image_id": image_id})

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)
