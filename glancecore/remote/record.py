"""An image as it is carried from one place to another, and what a place must be able to do."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from glancecore.domain.errors import GlanceError

#: Set by the service, not by who writes an image.
READ_ONLY = frozenset(
    {
        "status",
        "created_at",
        "updated_at",
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "self",
        "file",
        "schema",
        "direct_url",
        "locations",
        "stores",
    }
)
INTERNAL = "os_glance_"
#: What would let others see the image before it is whole, or keep a half one from being removed: set last.
LAST = ("visibility", "protected", "os_hidden")
WITH_DATA = frozenset({"active", "deactivated"})
#: An id is also a file's name in a dump.
_ID = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]{0,200}")


class RemoteError(GlanceError):
    """A place did not do what it was asked; the text says which and why."""


@dataclass(frozen=True, slots=True)
class RemoteRecord:
    """``fields``: what a writer sets, as JSON. ``hash_algo`` is hashlib's name, ``hash_value`` hex; ``size`` bytes."""

    id: str
    status: str
    fields: Mapping[str, object]
    size: int | None = None
    checksum: str | None = None
    hash_algo: str | None = None
    hash_value: str | None = None
    members: tuple[str, ...] = ()
    #: Names of fields that are not carried: at the target they stay as they are.
    left_out: frozenset[str] = frozenset()

    @classmethod
    def of(cls, document: Mapping[str, Any], members: Iterable[str] = ()) -> RemoteRecord:
        """``document``: an image as API v2 shows it. Raises RemoteError when its id is none."""
        if not _ID.fullmatch(str(document["id"])):
            raise RemoteError(f"an image has the id {document['id']!r}: it is not copied")
        fields = {
            name: value
            for name, value in document.items()
            if name not in READ_ONLY and not name.startswith(INTERNAL) and name != "id" and value is not None
        }
        return cls(
            str(document["id"]),
            str(document["status"]),
            fields,
            document.get("size"),
            document.get("checksum"),
            document.get("os_hash_algo"),
            document.get("os_hash_value"),
            tuple(members),
        )

    @property
    def has_data(self) -> bool:
        return self.status in WITH_DATA

    @property
    def digest(self) -> tuple[str, str] | None:
        """Algorithm and value to check the data by; None when the image has none."""
        if self.hash_algo and self.hash_value:
            return self.hash_algo, self.hash_value
        return ("md5", self.checksum) if self.checksum else None

    def without(self, names: Iterable[str]) -> RemoteRecord:
        left_out = frozenset(names)
        return replace(
            self, fields={name: value for name, value in self.fields.items() if name not in left_out}, left_out=left_out
        )


class RemotePlace(ABC):
    """A service, or a folder of dumped images. Raises RemoteError."""

    name: str

    @abstractmethod
    def images(self) -> Iterator[RemoteRecord]:
        """All that can be seen there."""

    @abstractmethod
    def find(self, image_id: str) -> RemoteRecord | None: ...

    @abstractmethod
    def read(self, record: RemoteRecord, offset: int = 0) -> Iterator[bytes]:
        """The data from that byte on."""

    @abstractmethod
    def create(self, record: RemoteRecord) -> None:
        """The image without data; nobody else sees it yet."""

    def held(self, image_id: str) -> int:  # noqa: ARG002 - a folder has some
        """Bytes of its data that an earlier, broken write has left and that need not be sent again."""
        return 0

    def begun(self, record: RemoteRecord) -> Iterator[bytes]:  # noqa: ARG002
        """Those bytes."""
        return iter(())

    @abstractmethod
    def write(self, record: RemoteRecord, chunks: Iterable[bytes]) -> None:
        """Its data, from byte ``held`` on. The source has checked the data when ``chunks`` end without an error."""

    @abstractmethod
    def finish(self, record: RemoteRecord) -> bool:
        """Fields and members as the record has them; whether anything had to be changed."""

    @abstractmethod
    def remove(self, image_id: str) -> None:
        """An image that was begun here, and whose data came out wrong."""
