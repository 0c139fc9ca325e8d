"""Threads of the background: one project's work leaves some to the others."""

from __future__ import annotations

import threading
from pathlib import Path

from glancecore.features.uploads.extension import UploadsExtension
from glancecore.testing import service as kit


def test_images_made_of_pieces_leave_others_a_thread(tmp_path: Path) -> None:
    conf = kit.read(kit.written(kit.basic(tmp_path), tmp_path))
    kit.synced(conf)
    with kit.built(conf) as service:
        workers = service.kernel.of(UploadsExtension)._workers
        end, done = threading.Event(), threading.Event()
        try:
            for _ in range(20):
                workers.submit(end.wait, "large")
            workers.submit(done.set, "small")
            assert done.wait(30)
        finally:
            end.set()
