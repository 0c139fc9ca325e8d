"""What `make run` starts."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import lab
import requests


def test_each_run_serves_on_the_port_that_it_is_given(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for port in (lab.free_port(), lab.free_port()):
        with log.open("ab") as out:
            server = subprocess.Popen(
                [lab.REPO / "tests/run-server.sh"],
                env={**os.environ, "LAB_DIR": str(tmp_path), "GLANCE_PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            assert lab.answers(port, 120, server), log.read_text()
            assert f"console: http://127.0.0.1:{port}/console/" in log.read_text()
            answer = requests.get(f"http://127.0.0.1:{port}/console/session", timeout=30)
            assert [x["name"] for x in answer.json()["methods"]] == ["none"]
        finally:
            lab.end(server, signal.SIGTERM)
