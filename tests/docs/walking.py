"""A newcomer's walk through a page: its blocks are typed as they stand there, on a machine of their own, in the page's
order.

Where the page says pip, the machine has an empty environment, and pip finds wheels of this project; libraries of others
are those of the running environment. What can't be had in a test is replaced by the one table PLACEHOLDERS."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lab
from blocks import PAGES, REPO, Block, blocks
from waiting import until

#: What the pages say, and what a test has in its place; {…} are of the machine. The first that fits is taken.
PLACEHOLDERS = (
    (r"/etc/glance\b", "{home}/.glance"),  # searched before /etc/glance, in the same way
    (r"/(var/lib|srv)/", "{folder}/"),
    (r"(mysql\+pymysql|postgresql\+psycopg)://glance:secret@db\.example\.org/(\w+)", r"sqlite:///{folder}/\2.sqlite"),
    (r"https?://keystone\.example\.org", "http://127.0.0.1:9"),  # nobody listens there
    (r"https?://192\.0\.2\.5:9191", "https://127.0.0.1:{peer}"),
    (r"http://(192\.0\.2\.10:9393|node1\.example\.org:9292|127\.0\.0\.1:9292)", "http://127.0.0.1:{port}"),
    (r"192\.0\.2\.\d+", "127.0.0.1"),
    (r"(bind_port = )\d+", r"\g<1>{port}"),
    (
        r'"?(?:\$CORE|\.)"?/drivers/([a-z][a-z0-9_]*)"?',
        lambda x: "glancecore-" + x[1].replace("_", "-"),
    ),  # their wheels
    (r" --find-links dist\b", ""),  # the environment says where the wheels are
    (r"pip install ('?)\.(?=[ \[]|$)", r"pip install \1glancecore"),
    (r'-e "\$CORE\[testing\]" "setuptools>=77"', '"glancecore[testing]"'),
    (r"^python3 -m venv (\S+)$", r"new_venv \1"),
    (r"^((?:\S*/)?glance-(?:api|registry)(?: .*)?)$", r"serve \1"),
    (r"…", "x"),
)
#: bash: a server goes on in the background; an environment of the page's own finds the same libraries as ours does.
_WORDS = """
serve() {
  "$@" >>"$WALK/server.log" 2>&1 &
  echo $! >>"$WALK/servers"
  until (exec 3<>"/dev/tcp/127.0.0.1/$OS_DEFAULT__BIND_PORT") 2>/dev/null; do
    kill -0 $! 2>/dev/null || { cat "$WALK/server.log" >&2; return 1; }
    sleep 0.1
  done
}
new_venv() {
  "$PYTHON" -m venv --without-pip "$1"
  for site in "$1"/lib/python3*/site-packages; do echo "$LIBRARIES" >"$site/libraries.pth"; done
  printf '#!/bin/sh\\nexec "$(dirname "$0")/python" -m pip "$@"\\n' >"$1/bin/pip"
  chmod +x "$1/bin/pip"
}
"""


@dataclass(frozen=True)
class Shelf:
    """``wheels``: of all distributions. ``libraries``: what the running environment has of others."""

    wheels: Path
    libraries: Path


def shelf(folder: Path) -> Shelf:
    import distributions  # not where only what is installed already is run

    wheels, libraries = folder / "wheels", folder / "libraries"
    libraries.mkdir()
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith(("glancecore", "__editable__", "__pycache__")) and each.suffix != ".pth":
            (libraries / each.name).symlink_to(each)
    distributions.build(distributions.find(), wheels)
    return Shelf(wheels, libraries)


@dataclass
class Machine:
    """A home, a folder to work in, a port, and programs: an empty environment's, or all of ours."""

    folder: Path
    shelf: Shelf | None
    port: int = field(default_factory=lab.free_port)
    #: The port of the machine that this one calls.
    peer: int = 0
    #: What the page says -> what is so here, before all PLACEHOLDERS.
    told: dict[str, str] = field(default_factory=dict)
    #: More of the environment, and more programs.
    env: dict[str, str] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        self.home, self.work = self.folder / "home", self.folder / "work"
        (self.home / ".glance").mkdir(parents=True)
        self.work.mkdir()
        if self.shelf:
            self._bash(f"new_venv {shlex.quote(str(self.folder / 'venv'))}")

    def replaced(self, text: str) -> str:
        """With what this machine has in place of what the page says."""
        for said, new in self.told.items():
            text = text.replace(said, new)
        for pattern, new in PLACEHOLDERS:
            text = re.sub(pattern, new, text, flags=re.MULTILINE)
        return re.sub(r"\{(home|folder|port|peer)\}", lambda x: str(getattr(self, x[1])), text)

    def run(self, text: str) -> str:
        """What the commands say, standard error included. Raises AssertionError unless each ends with 0. The next ones
        begin in the folder where these end."""
        done = self._bash(f'{self.replaced(text)}\npwd >"$WALK/cwd"')
        assert done.returncode == 0, f"exit code {done.returncode}:\n{text}\n{done.stdout[-4000:]}"
        self.work = Path((self.folder / "cwd").read_text().strip())
        return done.stdout

    def _bash(self, script: str) -> subprocess.CompletedProcess[str]:
        programs = ":".join(map(str, [self.folder / "venv" / "bin" if self.shelf else lab.BIN, *self.programs]))
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("OS_", "PYTHON", "PIP_", "GLANCE"))
        }
        env = {
            **clean,
            "HOME": str(self.home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CORE": str(REPO),
            "WALK": str(self.folder),
            "PYTHON": sys.executable,
            "LIBRARIES": str(self.shelf.libraries if self.shelf else ""),
            "OS_DEFAULT__BIND_PORT": str(self.port),
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_FIND_LINKS": str(self.shelf.wheels if self.shelf else ""),
            "PIP_ROOT_USER_ACTION": "ignore",
            "PYTHONDONTWRITEBYTECODE": "1" if not self.shelf else "",
            **self.env,
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", _WORDS + script],
            cwd=self.work,
            env=env,
            text=True,
            check=False,
            timeout=240,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def ready(self) -> str:
        """What ``/healthcheck/ready`` says as soon as it says 200."""
        said = ""

        def answers() -> bool:
            nonlocal said
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthcheck/ready", timeout=20) as answer,
            ):
                said = answer.read().decode()
            return bool(said)

        until(answers, lambda: (self.folder / "server.log").read_text()[-4000:])
        return said

    def stop(self) -> None:
        """End the servers that the page has started."""
        file = self.folder / "servers"
        pids = [int(x) for x in file.read_text().split()] if file.exists() else []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until(lambda: all(lab.state(x) in "ZX" for x in pids))


class Walk:
    """One page. Each of its blocks of commands is run, or named as one that is not, with the reason; at the end none is
    left."""

    def __init__(self, page: str, folder: Path, shelf: Callable[[], Shelf] | None = None) -> None:
        """``shelf``: makes one; none: the test is about what is run where all is installed."""
        self.page, self._folder, self._shelf = page, folder, shelf
        self._left = [x for x in blocks(REPO / page) if x.commands]
        self._machines: list[Machine] = []

    def machine(self, *, pip: bool = False, peer: int = 0) -> Machine:
        """``pip``: the page installs what it needs; else all is installed."""
        name = f"{self.page.removesuffix('.md').replace('/', '-')}-{len(self._machines)}"
        made = Machine(self._folder / name, self._shelf() if pip and self._shelf else None, peer=peer)
        self._machines.append(made)
        return made

    def file(self, saying: str, on: Machine, path: str, *, more: str = "") -> None:
        """The one block of this page that says ``saying`` is a file there; ``more`` is put before it: of options that
        come twice, the page's win."""
        into = on.work / on.replaced(path)
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_text(on.replaced(f"{more}\n{text_of(self.page, saying)}"))

    def run(self, begin: str, on: Machine, *, found: str = "(?!)") -> str:
        """The next block of commands, which must begin so. Those that match ``found`` find something, and end with
        1."""
        block = self._next(begin)
        return on.run("\n".join(f"{x} || [ $? = 1 ]" if re.match(found, x) else x for x in block.commands))

    def only(self, begin: str) -> None:
        """What comes before the block that begins so is another test's."""
        while self._left and not self._left[0].commands[0].startswith(begin):
            self._left.pop(0)

    def elsewhere(self, begin: str, test: str) -> None:
        """The next block is typed by another test, which reads this page."""
        self._next(begin)
        text = (REPO / test).read_text()
        assert Path(self.page).name in text or Path(self.page).parent.name in text, f"{test} does not read {self.page}"

    def not_here(self, begin: str, why: str) -> None:
        """The next block needs what no test has."""
        assert why
        self._next(begin)

    def _next(self, begin: str) -> Block:
        assert self._left, f"{self.page} has no more commands, but {begin!r} was to come"
        block = self._left.pop(0)
        assert block.commands[0].startswith(begin), f"{block}: {begin!r} was to come"
        return block

    def end(self) -> None:
        assert [str(x) for x in self._left] == [], "commands that no walk knows: run them, or say why not"

    def close(self) -> None:
        for each in self._machines:
            each.stop()


def text_of(page: str, saying: str) -> str:
    """The one block of a page that is a file and says ``saying``."""
    [block] = [x for x in blocks(REPO / page) if not x.commands and saying in x.text]
    return block.text


def pages_with_commands() -> Iterator[str]:
    for page in PAGES:
        if any(x.commands for x in blocks(page)):
            yield str(page.relative_to(REPO))
