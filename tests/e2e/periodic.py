"""A service with two file stores, and its periodic jobs by hand."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab
from client import HEADERS_AUTH, Client

#: Seconds for which a process that was killed has a job.
HOLD = 6
ALONE: dict[str, dict[str, object]] = {
    "periodic": {"embedded": False, "leader_ttl": HOLD},
    "lease": {"ttl": 2, "reap_interval": 0.2},
}


def two_stores(folder: Path) -> dict[str, dict[str, object]]:
    """Two file stores in the service's folder: fast (the default one) and cheap."""
    return {
        "DEFAULT": {"enabled_backends": "fast:file, cheap:file"},
        "glance_store": {"default_backend": "fast"},
        "fast": {"filesystem_store_datadir": folder / "fast"},
        "cheap": {"filesystem_store_datadir": folder / "cheap"},
    }


def config(folder: Path, *more: lab.Config) -> dict[str, dict[str, object]]:
    return lab.merged(HEADERS_AUTH, ALONE, two_stores(folder), *more)


@dataclass
class Jobs:
    service: lab.Service

    def command(self, name: str, *args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return lab.command(name, "--config-file", self.service.config_file, *args, env={**os.environ, **(env or {})})

    def free(self, name: str, *args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command, run when a job that a killed process holds is free."""
        end = time.monotonic() + 10 * HOLD
        while "is running elsewhere" in (done := self.command(name, *args, env=env)).stderr:
            assert time.monotonic() < end, done.stderr
            time.sleep(0.5)
        return done

    def run(self, job: str, *args: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The report of one run."""
        done = self.command("glance-periodic", "run", job, "--json", *args, env=env)
        assert done.stdout, done.stderr
        return dict(json.loads(done.stdout))


def kinds(report: Mapping[str, Any]) -> list[str]:
    return sorted(x["kind"] for x in report["findings"])


def copied(client: Client, image_id: str, store: str) -> None:
    body = {"method": {"name": "copy-image"}, "stores": [store]}
    assert client.call("POST", f"/v2/images/{image_id}/import", body).status_code == 202
    end = time.monotonic() + 60
    while store not in (image := client.show(image_id))["stores"].split(",") or "os_glance_import_task" in image:
        assert time.monotonic() < end, client.call("GET", f"/v2/images/{image_id}/tasks").text
        time.sleep(0.1)
