"""Named steps of the operations that must survive a kill at any of them.

In production ``checkpoint`` does nothing. The crash tests set ``GLANCECORE_TEST_KILL_AT=<name>`` and the process kills
itself there with SIGKILL, the first time it comes by; with ``<name>*N`` the Nth time.
``GLANCECORE_TEST_SLEEP_AT=<name>``: it stops itself there instead, until somebody continues it, as a machine does that
is moved or starved. The list of names is the tests' list of cases."""

from __future__ import annotations

import os
import signal

#: Every step, in the order in which an operation passes them.
STEPS = (
    "create.before_commit",
    "create.after_commit",
    "upload.before_intent",
    "upload.after_intent",
    "upload.first_piece",
    "upload.all_pieces",
    "upload.after_put",
    "upload.before_finish",
    "upload.after_finish",
    "location.after_intent",
    "hash.begin",
    "hash.before_finish",
    "drop.after_bytes",
    "delete.before_intent",
    "delete.after_intent",
    "delete.after_bytes",
    "delete.before_row",
    "delete.after_row",
)
#: The same for staging and imports, whose steps depend on the method: staging has the first group, copy-image no fetch.
STAGE_STEPS = (
    "stage.before_intent",
    "stage.after_intent",
    "stage.first_piece",
    "stage.all_pieces",
    "stage.before_finish",
    "stage.after_finish",
)
IMPORT_STEPS = (
    "import.before_intent",
    "import.after_intent",
    "import.begun",
    "fetch.intent",
    "fetch.first_piece",
    "fetch.all_pieces",
    "fetch.before_record",
    "fetch.recorded",
    "step.begun",
    "step.intent",
    "step.replaced",
    "step.recorded",
    "step.done",
    "write.intent",
    "write.first_piece",
    "write.after_put",
    "write.recorded",
    "finish.begun",
    "finish.staged_gone",
    "finish.recorded",
)
POST_STEPS = ("import.before_post", "import.after_post")
FAIL_STEPS = ("fail.begun", "fail.doomed", "fail.marked", "fail.bytes_gone", "fail.recorded")
#: A step of a failed import has been undone, by TaskFlow.
UNDO_STEPS = ("fail.undone",)
#: What a failed import has kept is removed.
KEPT_STEPS = ("kept.let_go", "kept.gone")
#: An event between its commit and its receiver.
EVENT_STEPS = ("events.recorded", "outbox.claimed", "outbox.sent")
REPAIR_STEPS = ("repair.marked", "repair.copied", "repair.before_drop", "repair.after_drop")
#: An upload in pieces: its beginning, a piece, the end, and giving it up.
SESSION_STEPS = (
    "session.before_begin",
    "session.after_begin",
    "session.taken",
    "session.first_piece",
    "session.part_stored",
    "session.part_noted",
    "session.rested",
    "session.commit_begun",
    "session.completed",
    "session.before_finish",
    "session.after_finish",
)
#: Where the store wants parts of some size: what waited is its last part.
SESSION_REST_STEPS = ("session.end_stored", "session.ended")
#: Those of its end where the image's store has not taken the parts, beside the steps of an upload from its first piece
#: on.
SESSION_COPY_STEPS = ("session.commit_begun", "session.before_finish", "session.after_finish", "session.parts_gone")
SESSION_END_STEPS = ("session.before_end", "session.end_bytes_gone", "session.after_end")
#: Beside these, uploads in pieces that are joined: one more of them, the join, and giving one of them up.
JOIN_STEPS = ("join.before_partial", "join.after_partial", "join.before_join", "join.after_join")
JOIN_END_STEPS = ("join.partial_ended", "join.partial_bytes_gone")
#: An image's data is moved into another store.
MOVE_STEPS = ("move.held", "move.first_piece", "move.after_put", "move.copied", "move.marked")
VARIABLE = "GLANCECORE_TEST_KILL_AT"
SLEEP_VARIABLE = "GLANCECORE_TEST_SLEEP_AT"
_at = {
    os.environ[variable].partition("*")[0]: how
    for variable, how in ((VARIABLE, signal.SIGKILL), (SLEEP_VARIABLE, signal.SIGSTOP))
    if variable in os.environ
}
_left = {
    name: int(times or 1)
    for name, _, times in (os.environ.get(x, "").partition("*") for x in (VARIABLE, SLEEP_VARIABLE))
}


def checkpoint(step: str) -> None:
    """Note that ``step`` has been reached."""
    if step in _at:
        _left[step] -= 1
        if _left[step]:
            return
        os.kill(os.getpid(), _at.pop(step))
