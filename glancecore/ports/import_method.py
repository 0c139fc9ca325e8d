"""What an import method implements: where the data of an image comes from.

A method that fetches streams pieces; the service stages, hashes, limits and inspects them once for all methods. The kit
``glancecore.testing.import_method`` checks each rule.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from oslo_config import cfg

from glancecore.domain.image import Image, Status
from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin


class Source(Enum):
    """Where the bytes are when the import begins."""

    #: Staged by an earlier request: ``fetch`` is not called.
    STAGED = "staged"
    #: ``fetch`` brings them.
    FETCHED = "fetched"
    #: In the stores that have the image already: ``fetch`` is not called, steps don't run.
    COPIES = "copies"


@dataclass(frozen=True, slots=True)
class MethodRequest:
    """What a caller asks of a method. ``method`` is the object that he sent; ``secrets`` what must never be shown (a
    token); ``roles`` his roles in lower case."""

    method: Mapping[str, object]
    roles: Sequence[str] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class FetchedBody:
    """Bytes from ``offset`` on. ``total`` is the length of the whole, None when it is not known. ``validator`` names
    this very content (an ETag); a later ``fetch`` from an offset is handed it."""

    offset: int
    total: int | None
    pieces: Iterator[bytes]
    validator: str | None = None


class FetchWork(Protocol):
    """What a method is handed while it fetches."""

    @property
    def image(self) -> Image:
        """The image as it is now."""

    @property
    def request(self) -> MethodRequest: ...

    def check_alive(self) -> None:
        """Raises ImportCancelled, LeaseLost, ImportSuspended; call it at least once a second while no piece comes."""

    def set_properties(self, **properties: str) -> None:
        """Give the image custom properties, in place of what it has. When the import fails, it has its own again."""

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        """What the data is; the image must not say so itself. Raises Invalid for a format that the operator does not
        allow: the import fails by it."""


class ImportMethod(Plugin, ABC):
    """One import method. Thread-safe: one instance serves all imports of a process."""

    options: Options = ()
    #: Section of its options, when operators know one by another name than method_NAME.
    section: str | None = None
    source: Source = Source.FETCHED
    #: Statuses that the image must have.
    statuses: frozenset[Status] = frozenset({Status.QUEUED})
    #: Policy that the caller needs.
    policy: str = "upload_image"
    #: Keep the caller's token with the task until it ends, for requests in his name.
    wants_token = False
    #: JSON schema (2020-12) of what the ``method`` object has beside name, expected and signature: ``required`` and
    #: ``properties``, with descriptions for readers. A request that breaks it is refused (400, with the field and what
    #: is allowed) before ``check`` is called, and it is published in the OpenAPI document. Names that are not in
    #: ``properties`` are refused, unless it has ``additionalProperties``, ``unevaluatedProperties`` or
    #: ``patternProperties``; those of Glance's other methods are left out (``uri`` and the like, which clients send
    #: with each). Give lists, objects and texts bounds; those without get wide ones.
    schema: Mapping[str, object] = {}

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        """``conf`` is the method's own section; ``config`` the whole, for oslo libraries with sections of their own."""
        self.conf = conf
        self.config = config

    def start(self) -> None:
        """Check the settings, once per process. Raises ConfigError naming option and fix."""

    def check(self, request: MethodRequest) -> None:
        """Refuse what the schema can't, at once, before anything is recorded. Raises Invalid, BadLocation,
        Forbidden."""

    def prepare(self, work: FetchWork) -> None:
        """Once before the first byte: metadata and the like. May be called again after a crash."""

    def expected(self, work: FetchWork) -> Mapping[str, str]:
        """Digests (algorithm to lower-case hex) that the data must have, beside those that the caller gave himself:
        from a checksum file and the like. May be called several times. Raises FetchFailed."""
        return {}

    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        """The data from ``offset`` on.

        You must guarantee: the bytes are those of one content only: with a ``validator`` that does not hold any more,
        or when you can't start at ``offset``, return a part that begins at 0. A source that ends early raises
        FetchFailed (retryable), never ends quietly. ``pieces`` is closed when it is not read to its end. Texts of
        errors name neither URL nor credentials. Raises: FetchFailed (``retryable`` says whether asking again may help),
        BadLocation, StoreUnavailable."""
        raise NotImplementedError(f"{type(self).__name__} fetches nothing")


class StagedMethod(ImportMethod):
    """The data was staged by its user."""

    source = Source.STAGED
    statuses = frozenset({Status.UPLOADING})
