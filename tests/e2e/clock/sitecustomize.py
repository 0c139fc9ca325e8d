"""Python loads this at its start in the processes whose clock a test moves: see moved_clock.py."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

_file = Path(os.environ["GLANCECORE_TEST_CLOCK"])
_ahead = timedelta(minutes=int(_file.read_text()))
_clock = time_machine.travel(datetime.now(UTC) + _ahead, tick=True).start()


def _follow() -> None:
    global _ahead
    while True:
        ahead = timedelta(minutes=int(_file.read_text()))
        _clock.shift(ahead - _ahead)
        _ahead = ahead
        time.sleep(0.05)


def _begin() -> None:
    threading.Thread(target=_follow, daemon=True).start()


os.register_at_fork(after_in_child=_begin)
_begin()
