"""All changes of one commit to metadata definitions, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError

from glancecore.domain import errors
from glancecore.domain.metadef import Association, Namespace
from glancecore.ports import metadef_repository as port
from glancecore.ports.outbox_repository import EventsRecorded
from glancecore_db_sql import metadef_rows, outbox
from glancecore_db_sql.engine import Session
from glancecore_db_sql.rows import micros

_ADD = " ".join(
    [
        "INSERT INTO metadef_namespaces (",
        ", ".join(metadef_rows.COLUMNS),
        ") VALUES (",
        ", ".join("?" * len(metadef_rows.COLUMNS)),
        ")",
    ]
)


def apply(db: Session, changes: Sequence[port.MetadefChange]) -> None:
    for change in changes:
        if isinstance(change, port.NamespaceAdded):
            _add(db, change.namespace)
        elif isinstance(change, port.NamespaceChanged):
            _change(db, change.before, change.after)
        elif isinstance(change, EventsRecorded):
            outbox.record(db, change)
        else:
            _remove(db, change.namespace)


def _add(db: Session, namespace: Namespace) -> None:
    try:
        db.change(_ADD, *metadef_rows.encode(namespace))
    except IntegrityError as error:
        raise _exists(namespace) from error
    _associate(db, namespace.id, namespace.associations)


def _change(db: Session, before: Namespace, after: Namespace) -> None:
    if (after.id, after.created_at, after.version) != (before.id, before.created_at, before.version + 1):
        raise ValueError("after must be the next version of before, with its id and created_at")
    new = [
        (name, value)
        for name, was, value in zip(
            metadef_rows.COLUMNS, metadef_rows.encode(before), metadef_rows.encode(after), strict=True
        )
        if value != was
    ]
    text = " ".join(
        ["UPDATE metadef_namespaces SET", ", ".join([f"{name} = ?" for name, _ in new]), "WHERE id = ? AND version = ?"]
    )
    try:
        changed = db.change(text, *(value for _, value in new), before.id, before.version)
    except IntegrityError as error:
        raise _exists(after) from error
    if not changed:
        raise _stale(db, before)
    old, now = {x.name for x in before.associations}, {x.name for x in after.associations}
    gone = sorted(old - now)
    if gone:
        db.change(
            " ".join(
                [
                    "DELETE FROM metadef_associations WHERE namespace_id = ? AND resource_type IN (",
                    ", ".join("?" * len(gone)),
                    ")",
                ]
            ),
            after.id,
            *gone,
        )
    _associate(db, after.id, [x for x in after.associations if x.name not in old])


def _remove(db: Session, namespace: Namespace) -> None:
    if not db.change("DELETE FROM metadef_namespaces WHERE id = ? AND version = ?", namespace.id, namespace.version):
        raise _stale(db, namespace)


def _associate(db: Session, namespace_id: str, associations: Sequence[Association]) -> None:
    # Sorted, so that two commits that make the same types known don't deadlock.
    for x in sorted(associations, key=lambda x: x.name):
        db.change(db.dialect.know_type, x.name, micros(x.created_at), micros(x.created_at))
        db.change("INSERT INTO metadef_associations (resource_type, namespace_id) VALUES (?, ?)", x.name, namespace_id)


def _stale(db: Session, namespace: Namespace) -> errors.GlanceError:
    if db.row("SELECT 1 FROM metadef_namespaces WHERE id = ?", namespace.id):
        return errors.ConcurrentChange(f"namespace {namespace.name} was changed by somebody else meanwhile")
    return errors.NamespaceNotFound(f"no namespace {namespace.name}")


def _exists(namespace: Namespace) -> errors.MetadefExists:
    return errors.MetadefExists(f"namespace {namespace.name} exists already")
