"""The rules, the use cases and the API on other versions of Python than the one that all else is tested with.

    pythons.py [--api] [VERSION...]     VERSION: 3.12, 3.13; none named: those of VERSIONS

The wheels are installed in a fresh environment by the words of docs/deploying.md, and an image goes up and down. Then
the tests run, on these wheels."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import lab

sys.path.insert(0, str(lab.REPO / "tools"))

import distributions

#: Beside the one that this program runs with.
VERSIONS = ("3.12", "3.13")
#: The suites of ``make unit``, from its one list.
UNIT = re.findall(r"^UNIT := (.*)$", (lab.REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0].split()
API = ("tests/api", "-k", "not mariadb and not postgresql and not registry")


def interpreter(version: str) -> Path | None:
    """On the path, or pyenv's; none: it is not on this machine."""
    roots = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"]
    built = sorted(
        (x for root in roots for x in root.glob(f"{version}.*/bin/python{version}")),
        key=lambda x: int(x.parts[-3].rpartition(".")[2]),
    )
    found = built[-1] if built else shutil.which(f"python{version}")
    return (
        Path(found)
        if found
        and not subprocess.run([found, "-c", "import venv, ssl, sqlite3"], capture_output=True, check=False).returncode
        else None
    )


def words(page: str) -> list[str]:
    """How the page installs the service: pip's arguments."""
    text = (lab.REPO / page).read_text(encoding="utf-8")
    [said] = re.findall(r"^\$ pip (install --find-links dist '[^']+')$", text, re.MULTILINE)
    return shlex.split(said)


def environment(version: str, python: Path) -> Path:
    """A fresh one, with wheels of all distributions and the test tools. Its folder ``dist`` has the wheels."""
    folder = lab.LAB / f"python{version}"
    shutil.rmtree(folder, ignore_errors=True)
    made = distributions.build(distributions.find(), folder / "dist")
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True, stdin=subprocess.DEVNULL)
    # what is never loaded again need not be compiled
    pip: list[str | Path] = [
        folder / "venv/bin/python",
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    subprocess.run(
        [*pip, *words("docs/deploying.md"), "--no-compile"], check=True, stdin=subprocess.DEVNULL, cwd=folder
    )
    subprocess.run(
        [folder / "venv/bin/python", lab.REPO / "tests/packages/up_and_down.py", folder / "served"],
        check=True,
        stdin=subprocess.DEVNULL,
        cwd=folder,
    )
    tools = [
        x
        for x in (lab.REPO / "requirements-dev.txt").read_text().splitlines()
        if re.match("gabbi|hypothesis|pytest|schemathesis|standardwebhooks", x)
    ]
    subprocess.run([*pip, "install", "--no-compile", *tools], check=True, stdin=subprocess.DEVNULL)
    subprocess.run(
        [
            *pip,
            "install",
            "--no-compile",
            *(x for x in made if x.suffix == ".whl" and x.name.startswith("glancecore_notify_webhook")),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    # the other drivers, without the client libraries of their backends, which these tests don't call
    subprocess.run(
        [*pip, "install", "--no-compile", "--no-deps", *(x for x in made if x.suffix == ".whl")],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return folder / "venv"


def test(venv: Path, paths: list[str], more: list[str]) -> int:
    """``-P``: the wheels are tested, not what lies in this folder."""
    environ = {**os.environ, "PYTHONPATH": str(lab.REPO / "tests")}
    command: list[str | Path] = [
        venv / "bin/python",
        "-P",
        "-m",
        "pytest",
        "-q",
        "--color=no",
        "-p",
        "no:cacheprovider",
        "--timeout=300",
        *paths,
        *more,
    ]
    return subprocess.run(command, env=environ, cwd=lab.REPO, stdin=subprocess.DEVNULL, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", default=VERSIONS)
    parser.add_argument("--api", action="store_true", help="the API, too: on SQLite and the memory database")
    parser.add_argument("--junit", help="the file to write the results of the rules and use cases to")
    arguments = parser.parse_args()
    codes = []
    for version in arguments.versions:
        python = interpreter(version)
        if python is None:
            parser.error(
                f"there is no Python {version} with venv, ssl and sqlite3 on the path or in pyenv's folder; install one"
            )
        venv = environment(version, python)
        codes.append(test(venv, UNIT, [f"--junitxml={arguments.junit}"] if arguments.junit else []))
        if arguments.api:
            codes.append(test(venv, list(API), []))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
