"""A database that can't be reached: why, for the operator, and when that began and ended."""

from __future__ import annotations

import logging
import re
import threading

from sqlalchemy import URL, exc

LOG = logging.getLogger(__name__)
#: What they say when all is well but others are in the way: that is no outage.
_HELD_UP = re.compile(
    r"lock wait|lock timeout|statement timeout|deadlock|\b(is|are) locked\b|could not serialize|execution (was"
    r" interrupted|time exceeded)",
    re.IGNORECASE,
)
#: What servers and clients say, in the words of PyMySQL, psycopg and psycopg2, and what to do about it.
_FIXES = (
    (
        re.compile(
            r"access denied|authentication failed|no password supplied|no pg_hba\.conf entry|role .* does not"
            r" exist|permission denied for database|"
            r"auth(entication)? plugin",
            re.IGNORECASE,
        ),
        "correct its user and password, or let this user of this machine use the database",
    ),
    (
        re.compile(r"unknown database|database .* does not exist", re.IGNORECASE),
        "correct the name of the database, or create it",
    ),
    (
        re.compile(
            r"can't connect|refused|translate host name|resolve host|name or service not known|no"
            r" route|unreachable|timed? ?out|timeout|lost connection|"
            r"gone away|closed the connection|shutting down|starting up",
            re.IGNORECASE,
        ),
        "correct its host and port, or start the server and let this machine reach it",
    ),
    (
        re.compile(r"too many (connections|clients)|remaining connection slots", re.IGNORECASE),
        "let the server take more connections, or lower [database] max_pool_size and max_overflow",
    ),
    (
        re.compile(r"unable to open database file|readonly database|disk is full|disk I/O", re.IGNORECASE),
        "correct the path, its permissions, or make room",
    ),
)


def cause(error: exc.DBAPIError, url: URL) -> str:
    """Which option, what the database or its client says, and what to do; without the password."""
    text = _said(error)
    if url.password:
        text = text.replace(str(url.password), "***")
    fix = "another transaction holds what this one needs, or the server is slow; look what runs there for long"
    if not held_up(error):
        fix = next((fix for words, fix in _FIXES if words.search(text)), "see the log of the database")
    return f"[database] connection = {url.render_as_string(hide_password=True)}: {text}; {fix}"


def held_up(error: exc.DBAPIError) -> bool:
    """Whether the database works, and a statement waited too long: for a lock of another transaction, or to be done."""
    return not error.connection_invalidated and _HELD_UP.search(_said(error)) is not None


def _said(error: exc.DBAPIError) -> str:
    said = " ".join(str(x) for x in error.orig.args if isinstance(x, str)) if error.orig is not None else ""
    return " ".join((said or str(error.orig or error)).split())


class Outages:
    """One ERROR when the database goes away, one WARNING when it is back, however many ask in between."""

    def __init__(self) -> None:
        self._away = False
        self._turn = threading.Lock()

    def began(self, why: str) -> None:
        with self._turn:
            if not self._away:
                self._away = True
                LOG.error("the database can't be used: %s", why)

    def ended(self) -> None:
        """Costs nothing while all is well."""
        if self._away:
            with self._turn:
                if self._away:
                    self._away = False
                    LOG.warning("the database can be used again")

    def in_child(self) -> None:
        """After a fork: another thread of the parent may have had the turn."""
        self._turn = threading.Lock()
