"""The ``audit`` notifier: from the outbox into the trail's files of the machine that delivers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from glancecore.domain.errors import ConfigError
from glancecore.ports.notifier import Destination, DurableNotifier, NotDelivered
from glancecore.ports.outbox_repository import OutboxEvent
from glancecore.sdk import event_types
from glancecore_notify_audit.chain import Broken
from glancecore_notify_audit.options import OPTIONS
from glancecore_notify_audit.trail import Busy, Trail

#: Bytes of a key.
SHORTEST_KEY = 32


class AuditNotifier(DurableNotifier):
    """Each event that is wanted is a line of one machine's trail, once its change is committed."""

    plugin_api = "1.0"
    options = OPTIONS

    def destinations(self) -> Sequence[Destination]:
        conf = self.conf
        if not conf.folder:
            raise ConfigError(
                "[notify_audit] folder: not set; name a folder for the trail, such as /var/log/glance/audit"
            )
        folder = Path(conf.folder)
        if not folder.is_absolute() or not _usable(folder):
            raise ConfigError(
                f"[notify_audit] folder = {folder}: no folder that can be written to, or no absolute path; make it, for"
                " the service alone (chmod 750)"
            )
        event_types.check("[notify_audit] events", conf.events)
        key = key_of(Path(conf.key_file), "[notify_audit] key_file") if conf.key_file else b""
        return [AuditTrail(Trail(folder, key, conf.file_size, conf.timeout), tuple(conf.events), conf.timeout)]


def _usable(folder: Path) -> bool:
    try:
        return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False


def key_of(path: Path, option: str) -> bytes:
    """Raises ConfigError."""
    try:
        key, mode = path.read_bytes(), path.stat().st_mode
    except OSError as exc:
        raise ConfigError(
            f"{option} = {path}: it can't be read ({exc.strerror}); name a file that the service may read"
        ) from exc
    if len(key) < SHORTEST_KEY:
        raise ConfigError(f"{option} = {path}: it has {len(key)} bytes; make one with: openssl rand -out {path} 32")
    if mode & 0o077:
        raise ConfigError(f"{option} = {path}: others may read it; run: chmod 600 {path}")
    return key


class AuditTrail(Destination):
    name = "audit"

    def __init__(self, trail: Trail, events: Sequence[str], timeout: float) -> None:
        self.timeout = timeout
        self._trail = trail
        self._events = events

    def wants(self, event_type: str) -> bool:
        return not self._events or any(event_types.matches(x, event_type) for x in self._events)

    def deliver(self, event: OutboxEvent) -> None:
        who = None if event.initiator is None else dataclasses.asdict(event.initiator)
        try:
            self._trail.append(
                {
                    "id": event.id,
                    "at": event.at.isoformat(),
                    "type": event.type,
                    "subject": event.subject,
                    "who": who,
                    "data": event.data,
                }
            )
        except Busy as exc:
            raise NotDelivered(str(exc), unreachable=True) from exc
        except OSError as exc:
            raise NotDelivered(f"the trail can't be written: {exc.strerror or exc}", unreachable=True) from exc
        except Broken as exc:
            raise NotDelivered(
                f"the trail's end is damaged: {exc}; see glance-audit verify, and move the folder's files away to begin"
                " a new trail",
                unreachable=True,
            ) from exc

    def close(self) -> None:
        self._trail.close()
