"""The ``registry`` database driver."""

from __future__ import annotations

import abc
import threading
from datetime import datetime
from typing import Any

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.repository import Database
from glancecore.sdk.registry.calls import OWN, Call, calls, repositories
from glancecore_db_registry.client import RegistryClient
from glancecore_db_registry.options import OPTIONS
from glancecore_db_registry.remote import method, repository


class RegistryDatabase(Database):
    """Every repository of the port, and of what will be added to it. Raises ConfigError for wrong options at once."""

    plugin_api = "1.0"
    options = OPTIONS

    def __init__(self, conf: Section) -> None:
        super().__init__(conf)
        self.client = RegistryClient(conf)
        self._shaking_hands = threading.Lock()
        self._connected = False
        for name, port in repositories().items():
            setattr(self, name, repository(name, port, self.client, self))

    def ping(self) -> None:
        with self._shaking_hands:
            if not self._connected:
                self.client.handshake()
                self._connected = True
        try:
            self._own("ping")
        except errors.DatabaseUnavailable:
            self._connected = False  # it may be another release when it comes back
            raise

    def sync(self, revision: str = "head") -> None:
        """The schema is made where its credentials are; here it can only be looked at."""
        version = self.version()
        if version != (self.head() if revision == "head" else revision):
            raise errors.ConfigError(
                f"[database] driver = registry: the schema is at {version}; this node can't change it. Run"
                " glance-manage --config-file glance-registry.conf db sync where glance-registry runs"
            )

    def version(self) -> str | None:
        found: str | None = self._own("version")
        return found

    def head(self) -> str:
        return str(self._own("head"))

    def purge(self, before: datetime, limit: int | None = 100) -> int:
        return int(self._own("purge", before, limit))

    def close(self) -> None:
        self.client.close()

    def _own(self, name: str, *args: Any) -> Any:
        return self.client.run(calls()[f"{OWN}/{name}"], args)


def _serve_what_is_added() -> None:
    """Methods that the port has gained since, when they have a body there: here they are calls, too."""

    def added(call: Call) -> Any:
        return lambda self, *args, **named: method(call, self.client)(self, *args, **named)

    for call in calls().values():
        if call.repository == OWN and call.method not in vars(RegistryDatabase):
            setattr(RegistryDatabase, call.method, added(call))
    abc.update_abstractmethods(RegistryDatabase)


_serve_what_is_added()
