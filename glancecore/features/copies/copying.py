"""More copies, for the jobs' own reasons: each is an import as a user's copy-image is, so it survives whatever happens
to us."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.domain.task import TaskStatus
from glancecore.kernel.core import CoreTools
from glancecore.ports.periodic import JobContext

#: Seconds between two looks at a running import.
_LOOK = 0.2


class Copying:
    def __init__(self, tools: CoreTools) -> None:
        self._tasks = tools.database.tasks
        self._hooks = tools.core.hooks

    def copy(self, turn: JobContext, image_id: str, store: str) -> None:
        """Copy an image's data into one more store, and wait until that is done; when the turn is cut off, it goes on
        without us.

        Raises ImportFailed and what ``Imports.copy`` raises."""
        task = self._hooks.copy_image(image_id, store)
        while not task.finished:
            turn.pause(_LOOK)
            task = self._tasks.get(task.id)
        if task.status is TaskStatus.FAILURE:
            raise errors.ImportFailed(task.message)
        turn.count("bytes copied", sum(x.bytes for x in task.progress.copies))
