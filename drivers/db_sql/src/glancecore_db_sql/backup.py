"""A copy of an SQLite database that is in use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

from sqlalchemy import URL

from glancecore.domain import errors


def copy(url: URL, file: Path) -> None:
    """By SQLite's own call: as the database was at one moment; who writes meanwhile does not wait. The file appears
    whole or not at all, mode 0600. Raises ConfigError."""
    if url.get_backend_name() != "sqlite":
        raise errors.ConfigError(
            f"db backup: this database is {url.get_backend_name()}, whose own tools make backups: mariadb-dump or"
            " pg_dump, as docs/backup.md has it"
        )
    source = Path(url.database or "")
    if not url.database or url.database == ":memory:" or not source.is_file():
        raise errors.ConfigError(
            f"[database] connection: {url.database or 'a database in memory'} is no file that could be copied; name the"
            " database's file"
        )
    if os.path.lexists(file):
        raise errors.ConfigError(f"FILE: {file} is there already, and is left as it is; name another one")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)  # 0600
    except OSError as exc:
        raise errors.ConfigError(
            f"FILE: nothing can be written to {file.parent}: {exc.strerror}; name another place, or run this as a user"
            " who may"
        ) from exc
    os.close(descriptor)
    part = Path(name)
    try:
        _copy(source, part)
        _publish(part, file)
    except FileExistsError as exc:
        raise errors.ConfigError(f"FILE: {file} is there already, and is left as it is; name another one") from exc
    except (OSError, sqlite3.Error) as exc:
        raise errors.ConfigError(
            f"FILE: {file} can't be written: {exc}; see that there is room, and that {source} is whole"
        ) from exc
    finally:
        for each in (part, Path(f"{part}-wal"), Path(f"{part}-shm"), Path(f"{part}-journal")):
            each.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> None:
    """Raises sqlite3.Error, also when the copy is not whole."""
    with (
        contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as read,
        contextlib.closing(sqlite3.connect(part)) as written,
    ):
        read.backup(written)  # in one step: several would begin anew whenever another process has written
        found = written.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {found}")


def _publish(part: Path, file: Path) -> None:
    """Durable, under its name, unless something else has that by now. Raises OSError."""
    for path in (part, file.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == part:
            os.link(part, file)
