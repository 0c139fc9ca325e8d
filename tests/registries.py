"""glance-registry as a process of its own, for whoever tests through it."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import signal
import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lab

SECRET = "a secret for the tests only"


@dataclass
class Registry:
    folder: Path
    port: int
    config: lab.Config
    tls: ssl.SSLContext | None = None
    process: lab.Process | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def config_file(self) -> Path:
        return self.folder / "glance-registry.conf"

    @property
    def log(self) -> str:
        path = self.folder / "glance-registry.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def client(self) -> dict[str, Any]:
        """Section [database] of an API node."""
        return {"driver": "registry", "registry_urls": self.url, "registry_secret": SECRET}

    def start(self) -> None:
        with (self.folder / "glance-registry.log").open("ab") as log:
            self.process = lab.launch("glance-registry", "--config-file", self.config_file, cwd=self.folder, log=log)
        end = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > end or self.process.poll() is not None:
                self.stop()
                raise RuntimeError(f"glance-registry does not answer on port {self.port}:\n{self.log[-4000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self.tls)
            if self.tls
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        )
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            lab.end(self.process, how)
            self.process = None


@contextlib.contextmanager
def registry(
    database: str, config: lab.Config | None = None, tls: ssl.SSLContext | None = None, *, start: bool = True
) -> Iterator[Registry]:
    """A registry on the SQL database at that URL, whose schema is made here."""
    (lab.LAB / "services").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=lab.LAB / "services"))
    made = Registry(folder, lab.free_port(), {}, tls)
    made.config = lab.merged(
        {
            "DEFAULT": {"bind_port": made.port, "workers": 2},
            "database": {"connection": database},
            "registry": {"secrets": SECRET},
        },
        config or {},
    )
    made.config_file.write_text(lab.config_text(made.config))
    try:
        lab.command("glance-manage", "--config-file", made.config_file, "db", "sync").check_returncode()
        if start:
            made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
