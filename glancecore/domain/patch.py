"""Changing an image's attributes, operation by operation, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from glancecore.domain import errors, fields
from glancecore.domain.image import Attachment, Image, Location, Status


class Op(StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class PatchOperation:
    """One step of a patch. ``path`` is the decoded pointer: one token, or two below ``locations``.

    ``keep`` makes ``add`` fail on what exists already, as the v2.0 dialect has it. ``value`` has been checked against
    the image schema; for ``locations`` it is an Attachment, or a list of them."""

    op: Op
    path: tuple[str, ...]
    value: object = None
    keep: bool = False

    @property
    def name(self) -> str:
        return self.path[0]


@dataclass(frozen=True, slots=True)
class Rights:
    """What the caller may do beyond modifying the image; ``may`` asks property protection for (property, action).

    ``order`` puts locations in the order in which the caller sees them: ``/locations/N`` counts in it. ``read_only``:
    names that extensions show."""

    admin: bool
    may: Callable[[str, str], bool]
    order: Callable[[Sequence[Location]], Sequence[Location]] = tuple
    read_only: Collection[str] = ()


#: What the data is; fixed as soon as there is any.
FORMATS = frozenset({"container_format", "disk_format"})


def apply(image: Image, operations: Sequence[PatchOperation], rights: Rights) -> Image:
    """The image after all operations. Raises Forbidden, Conflict, Invalid; the image given is not changed.

    An operation costs the same however many there are: properties are copied once, and the image is made once."""
    draft = _Draft(image)
    for operation in operations:
        _apply(draft, operation, rights)
    return draft.image()


class _Draft:
    """An image that is being changed."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.fields: dict[str, object] = {}
        self._properties: dict[str, str | None] | None = None

    @property
    def status(self) -> Status:
        return self._image.status

    @property
    def properties(self) -> Mapping[str, str | None]:
        return self._image.properties if self._properties is None else self._properties

    def changed_properties(self) -> dict[str, str | None]:
        """Those of the draft, to be changed."""
        if self._properties is None:
            self._properties = dict(self._image.properties)
        return self._properties

    def image(self) -> Image:
        """As it is now."""
        if self._properties is not None:
            self.fields["properties"] = self._properties
        tags = self.fields.pop("tags", None)
        if self.fields:
            self._image = replace(self._image, **self.fields)  # type: ignore[arg-type]
        if tags is not None:
            self._image = self._image.tagged(*_strings(tags))
        self.fields, self._properties = {}, None
        return self._image

    def become(self, image: Image) -> None:
        self._image = image


def _apply(draft: _Draft, operation: PatchOperation, rights: Rights) -> None:
    name = operation.name
    if name in fields.READ_ONLY or name in fields.HASHES or name in {"id", "image_id"} or name in rights.read_only:
        raise errors.ReadOnlyProperty(f"{name} is set by the service and can't be changed")
    if fields.is_reserved(name):
        raise errors.ReservedProperty(f"{name} is a reserved name and can't be set")
    if name == fields.LOCATIONS:
        draft.become(_locations(draft.image(), operation, rights))
    elif name in fields.SETTABLE:
        _base(draft, operation, rights)
    else:
        _custom(draft, operation, rights)


def _base(draft: _Draft, operation: PatchOperation, rights: Rights) -> None:
    name = operation.name
    if operation.op is Op.REMOVE:
        raise errors.ReadOnlyProperty(f"{name} is a field of every image and can't be removed")
    if operation.op is Op.ADD and operation.keep:
        raise errors.Conflict(f"{name} exists already; use replace")
    if name == "owner" and not rights.admin:
        raise errors.Forbidden("only an admin may change the owner of an image")
    if name in FORMATS and draft.status is not Status.QUEUED:  # its data is judged by them from the first byte on
        raise errors.Forbidden(f"{name} can only be changed while the image is queued, not {draft.status.value}")
    draft.fields[fields.SETTABLE[name]] = operation.value


def _locations(image: Image, operation: PatchOperation, rights: Rights) -> Image:
    """What a change of ``locations`` makes of the image."""
    shown = rights.order(image.good_locations)
    if operation.op is Op.ADD and isinstance(operation.value, Attachment):
        at = _position(operation, len(shown))
        return image.attach(operation.value, image.locations.index(shown[at]) if at < len(shown) else None)
    if operation.op is Op.REMOVE:
        image.require(Status.ACTIVE)
        at = _position(operation, len(shown))
        if at >= len(shown):
            raise errors.Invalid(f"path /locations/{operation.path[1]}: the image has {len(shown)} locations")
        return image.drop(shown[at].url)
    wanted = operation.value if isinstance(operation.value, list) else []
    if not wanted:
        raise errors.LastLocation("locations can't be replaced by an empty list")
    if [x.location.url for x in wanted] == [x.url for x in shown]:  # the same copies; what is said of them may change
        said = {x.location.url: x.location for x in wanted}
        return replace(image, locations=tuple(said.get(x.url, x) for x in image.locations))
    if image.locations:
        raise errors.Invalid("locations can only be replaced as long as there are none; add or remove single ones")
    for attachment in wanted:
        image = image.attach(attachment)
    return image


def _position(operation: PatchOperation, end: int) -> int:
    token = operation.path[1]
    if token == "-" and operation.op is Op.ADD:  # noqa: S105 (of a JSON pointer)
        return end
    if not token.isdecimal() or len(token) > 9:
        raise errors.Invalid(
            f"path /locations/{token}: not a position; write a number from 0"
            + (", or - for the end" if operation.op is Op.ADD else "")
        )
    return int(token)


def _custom(draft: _Draft, operation: PatchOperation, rights: Rights) -> None:
    name = operation.name
    there = name in draft.properties
    exists = there and rights.may(name, "read")
    if operation.op is Op.ADD and exists and operation.keep:
        raise errors.Conflict(f"property {name} exists already; use replace")
    if operation.op is not Op.ADD and not exists:
        raise errors.Conflict(f"property {name} does not exist")
    action = {Op.ADD: "update" if exists else "create", Op.REPLACE: "update", Op.REMOVE: "delete"}[operation.op]
    if not rights.may(name, action) or (there and action == "create" and not rights.may(name, "update")):
        raise errors.ProtectedProperty(f"property {name} is protected: you may not {action} it")
    properties = draft.changed_properties()
    if operation.op is Op.REMOVE:
        del properties[name]
    else:
        if operation.value is not None and not isinstance(operation.value, str):
            raise errors.Invalid(f"property {name} must be a string")
        properties[name] = operation.value


def _strings(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
        raise errors.Invalid("tags must be a list of strings")
    return value
