"""Which file descriptors the loop waits for, and what for."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator

from glancecore.server.connection import Connection


class Poller:
    """For a file descriptor there is a call, to be made each time, or a connection, whose ``callback`` is to be made
    once."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._targets: dict[int, Connection | Callable[[], None]] = {}

    def always(self, number: int, call: Callable[[], None]) -> None:
        """Each time that there is something to read, until it is forgotten."""
        self._targets[number] = call
        self._epoll.register(number, select.EPOLLIN)

    def once(self, connection: Connection, events: int) -> None:
        """At the next of ``events``; what was waited for before is not any more."""
        number = connection.sock.fileno()
        if number in self._targets:
            self._epoll.modify(number, events | select.EPOLLONESHOT)
        else:
            self._targets[number] = connection
            self._epoll.register(number, events | select.EPOLLONESHOT)

    def forget(self, number: int) -> None:
        """Before it is closed. Nothing when it is not waited for."""
        if self._targets.pop(number, None) is not None:
            self._epoll.unregister(number)

    def ready(self, seconds: float) -> Iterator[Connection | Callable[[], None]]:
        """What has come within that time; what was forgotten since is left out."""
        for number, _ in self._epoll.poll(seconds):
            target = self._targets.get(number)
            if target is not None:
                yield target
