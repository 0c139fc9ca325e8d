"""Commands of the stock clients, as somebody."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm

#: A real bootable image (Debian package ipxe).
ISO = Path("/usr/lib/ipxe/ipxe.iso")
#: Started with their libraries loaded.
WARM = ("openstack", "glance")


@dataclass(frozen=True)
class Shell:
    """Commands of the clients, as somebody."""

    bin: Path
    env: dict[str, str]

    def run(self, *words: str | Path, ok: bool = True, errors: bool = False) -> str:
        """What a command prints; what it says beside that, when it is to fail, or with ``errors``. Run on a terminal:
        the clients read an image from standard input when it is none."""
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **self.env}
        master, slave = pty.openpty()
        try:
            run = self._warm if os.environ.get(warm.VARIABLE) and words[0] in WARM else self._cold
            code, out, err = run([str(x) for x in words], env, slave)
        finally:
            os.close(master)
            os.close(slave)
        assert (code == 0) == ok, out + err
        return out if ok and not errors else out + err

    def _cold(self, words: list[str], env: dict[str, str], terminal: int) -> tuple[int, str, str]:
        done = subprocess.run(
            [str(self.bin / words[0]), *words[1:]],
            stdin=terminal,
            capture_output=True,
            text=True,
            env=env,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def _warm(self, words: list[str], env: dict[str, str], terminal: int) -> tuple[int, str, str]:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with warm.start_client(
                self.bin / "python", *words, env=env, streams=[terminal, out.fileno(), err.fileno()]
            ) as process:
                try:
                    code = process.wait(120)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise
            out.seek(0)
            err.seek(0)
            return code, out.read().decode(), err.read().decode()

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.run(*words, "-f", "json"))

    def python(self, code: str) -> str:
        """Run a piece of Python with the SDK."""
        return self.run("python", "-c", code)
