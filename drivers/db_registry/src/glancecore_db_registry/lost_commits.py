"""Commits whose answer was lost: were they saved?

A commit is all or nothing, so one change that can be told from others' is evidence for all. With a change in it that
can be applied once only, the commit is simply sent again: the second time is refused if the first was saved, and what
is stored then tells who it was. Without one it is not sent again: a member that was removed, and added anew by somebody
else meanwhile, must not be removed twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports import metadef_repository as metadefs
from glancecore.ports import repository as port
from glancecore.ports import task_repository as tasks
from glancecore.sdk.registry import codec as wire

#: Refused, or without effect, when they have been applied.
_ONCE = (
    port.ImageAdded,
    port.ImageChanged,
    port.ImageRemoved,
    port.LeaseTaken,
    port.LeaseChanged,
    port.LeaseEnded,
    tasks.TaskAdded,
    tasks.TaskChanged,
    metadefs.NamespaceChanged,
)

#: True: saved; False: not saved; None: this change does not tell.
Verdict = bool | None


def once_only(changes: Sequence[object]) -> bool:
    return any(isinstance(x, _ONCE) for x in changes)


def saved(changes: Sequence[object], database: port.Database) -> Verdict:
    """Whether a commit of these changes is what made the stored values what they are. Raises DatabaseUnavailable."""
    weak: Verdict = None
    for change in changes:
        look = _LOOKS.get(type(change))
        found = look(change, database) if look else None
        if found is not None and type(change) not in _WEAK:
            return found
        weak = weak if found is None else found
    return weak


def _image_added(change: port.ImageAdded, on: port.Database) -> Verdict:
    stored = _image(on, change.image.id)
    return (
        None if stored is None else stored.created_at == change.image.created_at and stored.owner == change.image.owner
    )


def _image_changed(change: port.ImageChanged, on: port.Database) -> Verdict:
    stored = _image(on, change.after.id)
    if stored is None or stored.version > change.after.version:
        return None
    return stored.version == change.after.version and _same(
        replace(stored, as_member=None), replace(change.after, as_member=None)
    )


def _image_removed(change: port.ImageRemoved, on: port.Database) -> Verdict:
    return _image(on, change.image.id) is None


def _image(on: port.Database, image_id: str) -> Image | None:
    try:
        return on.images.get_any(image_id)
    except errors.ImageNotFound:
        return None


def _member_added(change: port.MemberAdded, on: port.Database) -> Verdict:
    try:
        return on.images.member(change.member.image_id, change.member.member).created_at == change.member.created_at
    except errors.MemberNotFound:
        return None


def _member_changed(change: port.MemberChanged, on: port.Database) -> Verdict:
    try:
        stored = on.images.member(change.member.image_id, change.member.member)
    except errors.MemberNotFound:
        return None
    return True if (stored.status, stored.updated_at) == (change.member.status, change.member.updated_at) else None


def _member_removed(change: port.MemberRemoved, on: port.Database) -> Verdict:
    try:
        on.images.member(change.image_id, change.member)
    except errors.MemberNotFound:
        return True
    return None


def _lease_taken(change: port.LeaseTaken, on: port.Database) -> Verdict:
    stored = on.images.lease(change.lease.image_id)
    return stored is not None and stored.token == change.lease.token


def _lease_ended(change: port.LeaseEnded, on: port.Database) -> Verdict:
    stored = on.images.lease(change.lease.image_id)
    return True if stored is None else (False if stored.token == change.lease.token else None)


def _task_added(change: tasks.TaskAdded, on: port.Database) -> Verdict:
    try:
        return on.tasks.get(change.task.id).created_at == change.task.created_at
    except errors.TaskNotFound:
        return None


def _task_changed(change: tasks.TaskChanged, on: port.Database) -> Verdict:
    try:
        stored = on.tasks.get(change.after.id)
    except errors.TaskNotFound:
        return None
    return (
        None
        if stored.version > change.after.version
        else stored.version == change.after.version and _same(stored, change.after)
    )


def _namespace_added(change: metadefs.NamespaceAdded, on: port.Database) -> Verdict:
    try:
        return on.metadefs.get(change.namespace.name).id == change.namespace.id
    except errors.NamespaceNotFound:
        return None


def _namespace_changed(change: metadefs.NamespaceChanged, on: port.Database) -> Verdict:
    try:
        stored = on.metadefs.get(change.after.name)
    except errors.NamespaceNotFound:
        return None
    if stored.id != change.after.id or stored.version > change.after.version:
        return None
    return stored.version == change.after.version and _same(stored, change.after)


def _namespace_removed(change: metadefs.NamespaceRemoved, on: port.Database) -> Verdict:
    try:
        return None if on.metadefs.get(change.namespace.name).id == change.namespace.id else True
    except errors.NamespaceNotFound:
        return True


def _same(one: object, other: object) -> bool:
    """As they are stored: a tuple in a document comes back as a list."""
    same: bool = wire.loads(wire.dumps(one)) == wire.loads(wire.dumps(other))
    return same


_LOOKS: Mapping[type, Callable[[Any, port.Database], Verdict]] = {
    port.ImageAdded: _image_added,
    port.ImageChanged: _image_changed,
    port.ImageRemoved: _image_removed,
    port.MemberAdded: _member_added,
    port.MemberChanged: _member_changed,
    port.MemberRemoved: _member_removed,
    port.LeaseTaken: _lease_taken,
    port.LeaseEnded: _lease_ended,
    tasks.TaskAdded: _task_added,
    tasks.TaskChanged: _task_changed,
    metadefs.NamespaceAdded: _namespace_added,
    metadefs.NamespaceChanged: _namespace_changed,
    metadefs.NamespaceRemoved: _namespace_removed,
}
#: Somebody else can have had the same effect: they decide only when nothing else does.
_WEAK = (port.LeaseEnded, port.ImageRemoved, port.MemberRemoved, metadefs.NamespaceRemoved)
