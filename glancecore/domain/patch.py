"""Changing an image's attributes, operation by operation, all or nothing (contract 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from glancecore.domain import errors, fields
from glancecore.domain.image import Image, Status


class Op(StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a patch. ``path`` is the decoded pointer: one token, or two below ``locations``.

    ``keep`` makes ``add`` fail on what exists already, as the v2.0 dialect has it. ``value`` has been checked against the
    image schema.
    """

    op: Op
    path: tuple[str, ...]
    value: object = None
    keep: bool = False

    @property
    def name(self) -> str:
        return self.path[0]


@dataclass(frozen=True, slots=True)
class Rights:
    """What the caller may do beyond modifying the image; ``may`` asks property protection for (property, action)."""

    admin: bool
    may: Callable[[str, str], bool]


_FORMATS = frozenset({"container_format", "disk_format"})


def apply(image: Image, operations: Sequence[Operation], rights: Rights) -> Image:
    """The image after all operations. Raises Forbidden, Conflict, Invalid; the image given is not changed."""
    for operation in operations:
        image = _apply(image, operation, rights)
    return image


def _apply(image: Image, operation: Operation, rights: Rights) -> Image:
    name = operation.name
    if name in fields.READ_ONLY or name in fields.HASHES or name in {"id", "image_id"}:
        raise errors.ReadOnlyProperty(f"{name} is set by the service and can't be changed")
    if fields.is_reserved(name):
        raise errors.ReservedProperty(f"{name} is a reserved name and can't be set")
    if name in fields.SETTABLE:
        return _base(image, operation, rights)
    return _custom(image, operation, rights)


def _base(image: Image, operation: Operation, rights: Rights) -> Image:
    name = operation.name
    if operation.op is Op.REMOVE:
        raise errors.ReadOnlyProperty(f"{name} is a field of every image and can't be removed")
    if operation.op is Op.ADD and operation.keep:
        raise errors.Conflict(f"{name} exists already; use replace")
    if name == "owner" and not rights.admin:
        raise errors.Forbidden("only an admin may change the owner of an image")
    if name in _FORMATS and image.status not in (Status.QUEUED, Status.IMPORTING):
        raise errors.Forbidden(f"{name} can only be changed while the image is queued or importing, not {image.status.value}")
    if name == "tags":
        return image.tagged(*_strings(operation.value))
    return replace(image, **{fields.SETTABLE[name]: operation.value})  # type: ignore[arg-type]


def _custom(image: Image, operation: Operation, rights: Rights) -> Image:
    name = operation.name
    exists = name in image.properties and rights.may(name, "read")
    if operation.op is Op.ADD and exists and operation.keep:
        raise errors.Conflict(f"property {name} exists already; use replace")
    if operation.op is not Op.ADD and not exists:
        raise errors.Conflict(f"property {name} does not exist")
    action = {Op.ADD: "update" if exists else "create", Op.REPLACE: "update", Op.REMOVE: "delete"}[operation.op]
    if not rights.may(name, action):
        raise errors.ProtectedProperty(f"property {name} is protected: you may not {action} it")
    properties = dict(image.properties)
    if operation.op is Op.REMOVE:
        del properties[name]
    else:
        if operation.value is not None and not isinstance(operation.value, str):
            raise errors.Invalid(f"property {name} must be a string")
        properties[name] = operation.value
    return replace(image, properties=properties)


def _strings(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
        raise errors.Invalid("tags must be a list of strings")
    return value
