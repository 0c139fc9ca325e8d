"""Podman and buildah, with a store of their own, and the container image in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import distributions
import lab

IMAGE = "localhost/glancecore:test"
FOLDER = lab.LAB / "container"
#: No cgroup version 2 and no systemd are taken for granted; limits of this process are what a container gets.
_RUN = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:1024", "--no-healthcheck")
#: As Kubernetes runs it under the profile "restricted", as a user that the image does not know.
UNPRIVILEGED = (
    "--read-only",
    "--tmpfs",
    "/tmp:mode=1777",
    "--cap-drop",
    "all",
    "--security-opt",
    "no-new-privileges",
    "--user",
    "12345:0",
)


def call(*command: str | Path, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(x) for x in command],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "STORAGE_DRIVER": "vfs", **more},
    )
    assert done.returncode == 0 or not check, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done


@dataclass
class Containers:
    """Podman with a store of its own. What was started is removed at the end."""

    store: Path
    started: list[str] = field(default_factory=list)

    def __call__(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return call(
            "podman",
            "--root",
            self.store,
            "--runroot",
            self.store / "run",
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
            "--runtime",
            "runc",
            *words,
            check=check,
        )

    def run(
        self, *words: str, options: tuple[str | Path, ...] = (), network: str = "none", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """A command in a container of its own, until it ends."""
        return self("run", "--rm", "--network", network, *_RUN, *UNPRIVILEGED, *options, IMAGE, *words, check=check)

    def start(self, *words: str, options: tuple[str | Path, ...] = (), network: str = "none") -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        self.started.append(name)
        self("run", "--detach", "--name", name, "--network", network, *_RUN, *UNPRIVILEGED, *options, IMAGE, *words)
        return name

    def log(self, name: str) -> str:
        done = self("logs", name)
        return done.stdout + done.stderr

    def health(self, name: str) -> subprocess.CompletedProcess[str]:
        """The image's own check, as an engine calls it."""
        [configured] = json.loads(self("image", "inspect", "--format", "json", IMAGE).stdout)
        return self("exec", name, *configured["Healthcheck"]["Test"][1:], check=False)


def wheels(into: Path) -> None:
    """Ours, and all that they need, for the Python of the base."""
    built = distributions.build(distributions.find(), into)
    for each in built:
        if each.suffix != ".whl":
            each.unlink()
    call("/usr/bin/python3", "-m", "venv", FOLDER / "pip")
    call(
        FOLDER / "pip/bin/pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--dest",
        into,
        "--find-links",
        into,
        "glancecore[standard,redis]",
    )


@contextlib.contextmanager
def engine() -> Iterator[Containers]:
    """Builds the image as ``make image`` does, but from a base and from libraries that are fetched here: nothing in the
    build asks the network. KEEP=1: it stays, and is found by the next run."""
    made = Containers(FOLDER / "store")
    keep = bool(os.environ.get("KEEP"))
    try:
        if not keep or made("image", "exists", IMAGE, check=False).returncode:
            _build(made)
        yield made
    finally:
        for name in made.started:
            made("rm", "--force", "--time", "2", name, check=False)
        if not keep:
            made("image", "rm", "--all", "--force", check=False)
            call("rm", "-rf", made.store, FOLDER / "context", FOLDER / "pip", check=False)


def _build(into: Containers) -> None:
    base, context = call(lab.REPO / "tests/container/base.sh").stdout.strip(), FOLDER / "context"
    shutil.rmtree(context, ignore_errors=True)
    wheels(context / "dist")
    shutil.copytree(lab.REPO / "deploy", context / "deploy")
    shutil.copy(lab.REPO / ".dockerignore", context)
    into("import", "--quiet", base, "localhost/debian:12")
    call(
        "buildah",
        "--root",
        into.store,
        "--runroot",
        into.store / "run",
        "build",
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "--pull-never",
        "--layers=false",
        "--build-arg",
        "BASE=localhost/debian:12",
        "--build-arg",
        "PIP_NO_INDEX=1",
        "--tag",
        IMAGE,
        "--file",
        context / "deploy/container/Containerfile",
        context,
    )
