"""A task: one import as its user sees it, from the request to its end.

What a task does is recorded here as it happens: bytes, copies, why it failed. Who runs it is told by the lease on its
image; how far it has come inside is TaskFlow's logbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from glancecore.domain import errors
from glancecore.domain.context import Initiator
from glancecore.domain.staged import Staged

#: How long a finished task can be read.
KEPT = timedelta(hours=48)


class TaskType(StrEnum):
    API_IMAGE_IMPORT = "api_image_import"
    IMPORT = "import"
    LOCATION_IMPORT = "location_import"


class TaskStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


FINISHED = frozenset({TaskStatus.SUCCESS, TaskStatus.FAILURE})


class CopyState(StrEnum):
    WAITING = "waiting"
    WRITING = "writing"
    DONE = "done"
    FAILED = "failed"


#: What is told when a task gets a status.
@dataclass(frozen=True, slots=True)
class Copy:
    """One store that the task writes to. ``bytes`` written so far; ``error`` says in a user's words why it failed."""

    store: str
    state: CopyState = CopyState.WAITING
    bytes: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is. ``stage`` is the atom that runs (fetch, step:convert, write:fast …); ``bytes`` of ``total``
    (None: unknown) went through the stage. ``takeovers``: how often somebody took the task over in this stage from one
    who had not handed it over, which makes it one less again. Writes to several stores are one stage here, since they
    may go on at once."""

    stage: str = ""
    bytes: int = 0
    total: int | None = None
    copies: tuple[Copy, ...] = ()
    takeovers: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One task. Times are aware UTC. ``version`` counts saves and is the compare-and-set key.

    ``input`` is what the caller asked for, as JSON, without secrets; ``secrets`` are what must not be shown (they go
    when the task ends); ``error`` is a stable code for programs, ``message`` the sentence for people. ``trace`` is the
    context of the trace that it belongs to, in the words of W3C Trace Context; whoever works on it goes on in that.
    ``kept`` is the data that a failed import has fetched, and made something of, for another attempt until
    ``kept_until``."""

    id: str
    type: TaskType
    created_at: datetime
    updated_at: datetime
    status: TaskStatus = TaskStatus.PENDING
    owner: str | None = None
    image_id: str | None = None
    user_id: str | None = None
    request_id: str | None = None
    input: Mapping[str, object] = field(default_factory=dict)
    result: Mapping[str, object] | None = None
    message: str = ""
    error: str | None = None
    expires_at: datetime | None = None
    progress: Progress = field(default_factory=Progress)
    cancelled: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    kept: Staged | None = None
    kept_until: datetime | None = None
    version: int = 1
    trace: Mapping[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def initiator(self) -> Initiator:
        """Who asked for it; from where is not kept."""
        return Initiator(self.user_id, self.owner, self.request_id)

    @property
    def stores(self) -> tuple[str, ...]:
        """The stores that it was asked to write to."""
        return tuple(x.store for x in self.progress.copies)

    # -- transitions -------------------------------------------------------------------------------
    def begin(self) -> Task:
        """Somebody works on it."""
        if self.finished:
            raise errors.WrongStatus(f"task {self.id} has ended: {self.status.value}")
        return replace(self, status=TaskStatus.PROCESSING)

    def taken_over(self) -> Task:
        """Somebody else works on it from now on."""
        return replace(self.begin(), progress=replace(self.progress, takeovers=self.progress.takeovers + 1))

    def handed_over(self) -> Task:
        """Nobody works on it, and nobody has died of it."""
        return replace(self, progress=replace(self.progress, takeovers=self.progress.takeovers - 1))

    def cancel(self) -> Task:
        if self.finished:
            raise errors.WrongStatus(f"task {self.id} has ended: {self.status.value}")
        return replace(self, cancelled=True)

    def copy(self, store: str, **changes: object) -> Task:
        """With another state of the copy in ``store``."""
        copies = tuple(
            replace(x, **changes) if x.store == store else x  # type: ignore[arg-type]
            for x in self.progress.copies
        )
        return replace(self, progress=replace(self.progress, copies=copies))

    def at(self, stage: str, bytes: int = 0, total: int | None = None) -> Task:  # noqa: A002 (the field's name)
        same = (
            stage.partition(":")[0] == self.progress.stage.partition(":")[0] == "write" or stage == self.progress.stage
        )
        return replace(
            self,
            progress=replace(
                self.progress, stage=stage, bytes=bytes, total=total, takeovers=self.progress.takeovers if same else 0
            ),
        )

    def with_failure(self, error: str, message: str, kept: Staged | None = None) -> Task:
        """It has failed; what it left must still be removed before it ends, but for ``kept``."""
        return replace(self, error=error, message=message, kept=kept)

    def fail(self, at: datetime, keep_for: timedelta = timedelta()) -> Task:
        """``keep_for``: how long what is kept may be used by another attempt."""
        return replace(
            self,
            status=TaskStatus.FAILURE,
            expires_at=at + KEPT,
            updated_at=at,
            secrets={},
            kept_until=None if self.kept is None else at + keep_for,
        )

    def keeps(self, now: datetime) -> bool:
        """Something, for another attempt that begins now."""
        return self.kept_until is not None and self.kept_until > now

    def let_go(self) -> Task:
        """What it keeps is nobody's any more, and will be removed."""
        return replace(self, kept_until=self.created_at)

    def emptied(self) -> Task:
        """It keeps nothing: that has become an image's, or was removed."""
        return replace(self, kept=None, kept_until=None)

    def succeed(self, at: datetime, result: Mapping[str, object], message: str = "") -> Task:
        return replace(
            self,
            status=TaskStatus.SUCCESS,
            expires_at=at + KEPT,
            updated_at=at,
            result=result,
            message=message,
            error=None,
            secrets={},
        )
