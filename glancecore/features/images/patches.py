"""Both JSON patch dialects of the Image API, as operations."""

from __future__ import annotations

from typing import Any

from flask import Request

from glancecore.domain import errors, fields
from glancecore.domain.image import Visibility
from glancecore.domain.patch import Op, PatchOperation
from glancecore.domain.text import shortened
from glancecore.features.images import schemas
from glancecore.features.images.locations_api import named
from glancecore.sdk import request_body as body

V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"
_OPS = ", ".join(Op)
#: Characters of a path: a name of 255 that are all written ~0 or ~1.
MOST_PATH = 2 * fields.MAX_NAME + 1


class PatchParser:
    def __init__(self, formats: schemas.Formats) -> None:
        base = schemas.fields(formats)
        self._shown = frozenset(formats.shown)
        self._checkers = {
            name: body.Checker({"type": "object", "properties": {name: schemas.bounded(schema)}})
            for name, schema in {**schemas.common(), **base}.items()
        }

    def parse(self, request: Request, limit: int) -> list[PatchOperation]:
        """Raises Invalid, LimitExceeded; a read-only or reserved name is the use case's to refuse."""
        steps = body.read_json(request, limit, (V20, V21))
        if not isinstance(steps, list):
            raise errors.Invalid("the body must be a list of operations")
        if len(steps) > schemas.MOST_OPERATIONS:
            raise errors.LimitExceeded(f"{len(steps)} operations; a patch may have {schemas.MOST_OPERATIONS}")
        read = self._modern if request.mimetype == V21 else self._old
        return [read(step) for step in steps]

    def _modern(self, step: Any) -> PatchOperation:
        if not isinstance(step, dict):
            raise errors.Invalid("each operation must be an object")
        for key in ("op", "path"):
            if key not in step:
                raise errors.Invalid(f"an operation lacks {key}")
        if step["op"] not in list(Op):
            raise errors.Invalid(f"op: {shortened(repr(step['op']))} is not one of {_OPS}")
        return self._operation(Op(step["op"]), step["path"], step, keep=False)

    def _old(self, step: Any) -> PatchOperation:
        if not isinstance(step, dict):
            raise errors.Invalid("each operation must be an object")
        found = [op for op in Op if op.value in step]
        if len(found) != 1:
            raise errors.Invalid(f"each operation needs exactly one of {_OPS}")
        return self._operation(found[0], step[found[0].value], step, keep=found[0] is Op.ADD)

    def _operation(self, op: Op, path: Any, step: dict[str, Any], *, keep: bool) -> PatchOperation:
        tokens = _tokens(op, path)
        name = tokens[0]
        if op is Op.REMOVE:
            return PatchOperation(op, tokens)
        if "value" not in step:
            raise errors.Invalid(f"path {path}: {op.value} needs a value")
        value = step["value"]
        refused = (
            name in fields.READ_ONLY
            or name in fields.HASHES
            or fields.is_reserved(name)
            or name in ("id", "image_id")
            or name in self._shown
        )
        if refused:
            return PatchOperation(op, tokens, value, keep)
        if name == fields.LOCATIONS:
            self._checkers[name].check({name: value if op is Op.REPLACE else [value]})
            found = [named(x, errors.Conflict) for x in (value if op is Op.REPLACE else [value])]
            return PatchOperation(op, tokens, found if op is Op.REPLACE else found[0], keep)
        if name in self._checkers:
            self._checkers[name].check({name: value})
        if name not in fields.SETTABLE:
            value = property_value(property_name(name), value)
        else:
            value = base_value(name, value)
        return PatchOperation(op, tokens, value, keep)


def check_type(request: Request) -> None:
    """Raises UnsupportedContentType unless the body is said to be a patch."""
    if request.mimetype not in (V20, V21):
        raise errors.UnsupportedContentType(
            f"Content-Type must be {V20} or {V21}, not {shortened(request.mimetype) or 'absent'}", (V20, V21)
        )


def base_value(name: str, value: Any) -> object:
    """The value of a base field that has passed its schema: JSON schema takes 2.0 for an integer."""
    if name == "visibility":
        return Visibility(value)
    return int(value) if isinstance(value, float) else value


def property_name(name: str) -> str:
    """Raises Invalid when it is too long for a custom property."""
    if len(name) > fields.MAX_NAME:
        raise errors.Invalid(f"property name {shortened(name)}: at most {fields.MAX_NAME} characters")
    return name


def property_value(name: str, value: Any) -> str | None:
    """Raises Invalid unless it is a string, or null where the common properties allow it."""
    if isinstance(value, str):
        if len(value.encode("utf-8", "surrogatepass")) > 65535:
            raise errors.Invalid(f"property {name}: longer than 65535 bytes")
        return value
    if value is None and name in ("kernel_id", "ramdisk_id"):
        return None
    raise errors.Invalid(f"property {name} must be a string")


def _tokens(op: Op, path: Any) -> tuple[str, ...]:
    if not isinstance(path, str):
        raise errors.Invalid("path must be a string")
    if len(path) > MOST_PATH:
        raise errors.Invalid(f"path {shortened(path)}: longer than {MOST_PATH} characters")
    if not path.startswith("/"):
        raise errors.Invalid(f"path {path!r} must begin with /")
    if "//" in path or (path.endswith("/") and path != "/"):
        raise errors.Invalid(f"path {path!r} has an empty part")
    if "~" in path.replace("~0", "").replace("~1", ""):
        raise errors.Invalid(f"path {path!r}: ~ must be written ~0 (for ~) or ~1 (for /)")
    tokens = tuple(x.replace("~1", "/").replace("~0", "~") for x in path[1:].split("/"))
    wanted = {1}
    if tokens[0] == fields.LOCATIONS:
        wanted = {1} if op is Op.REPLACE else {2}
    if len(tokens) not in wanted:
        raise errors.Invalid(f"path {path!r} has {len(tokens)} parts; {op.value} takes {min(wanted)} here")
    return tokens
