"""What a process does to stay small."""

from __future__ import annotations

import ctypes
import gc

#: Of malloc.h.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
#: Blocks of this many bytes, or more, go back to the system when they are freed.
LARGE_BLOCK = 512 << 10


def keep_memory_small() -> None:
    """Keep glibc from holding what is not used any more: memory of its own for each thread, which libraries with many
    threads (Ceph's) fill, and holes where large buffers were.

    Python's threads allocate one at a time, so two arenas are as fast. Other C libraries don't know the call."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(
            M_MMAP_THRESHOLD, LARGE_BLOCK
        )  # glibc raises it by itself to the size of whatever was freed, unless it is set


def freeze_memory() -> None:
    """What is loaded by now stays until the end: no collection looks at it again, and children share it."""
    gc.collect()
    gc.freeze()
