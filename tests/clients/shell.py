"""Commands of the stock clients, as somebody."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A real bootable image (Debian package ipxe).
ISO = Path("/usr/lib/ipxe/ipxe.iso")


@dataclass(frozen=True)
class Shell:
    """Commands of the clients, as somebody."""

    bin: Path
    env: dict[str, str]

    def run(self, *words: str | Path, ok: bool = True, errors: bool = False) -> str:
        """What a command prints; what it says beside that, when it is to fail, or with ``errors``. Run on a terminal: the clients read an image from standard input when it is none."""
        master, slave = pty.openpty()
        try:
            done = subprocess.run([str(self.bin / str(words[0])), *map(str, words[1:])], stdin=slave, capture_output=True, text=True,
                                  env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **self.env},
                                  timeout=120, check=False)
        finally:
            os.close(master)
            os.close(slave)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout if ok and not errors else done.stdout + done.stderr

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.run(*words, "-f", "json"))

    def python(self, code: str) -> str:
        """Run a piece of Python with the SDK."""
        return self.run("python", "-c", code)
