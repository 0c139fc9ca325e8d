# ruff: noqa: INP001, S603, S607 - a program, and it runs what the environment has installed
"""Builds a wheel and a source distribution of the core, of each driver and of what is for clients, and checks them.

    distributions.py [--out DIR] [NAME...]     all of them, or these (``glancecore``, ``store_file``); DIR: ``dist``
    distributions.py --list                    name, version, plugin API and folder of each

Each wheel is built from the source distribution, so that what it holds is what a packager gets. The files carry the
time of the last commit: the same commit makes the same bytes."""

from __future__ import annotations

import argparse
import configparser
import contextlib
import email.message
import email.parser
import multiprocessing
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
LICENSE = "Apache-2.0"
TWINE = "twine==7.0.0"
#: What is built and not in git -> how.
_MADE_BEFORE = {"glancecore_ext_console/static/index.html": "run make console"}
#: What lies beside the sources and is no part of a distribution.
_LEFT_OUT = (".*", "build", "dist", "*.egg-info", "__pycache__")


@dataclass(frozen=True)
class Distribution:
    """``folder``: where its ``pyproject.toml`` is. ``package``: the folder of its package. ``plugin_api``: that it is
    written for; the core's is its own, a client has none."""

    name: str
    version: str
    folder: Path
    package: Path
    plugin_api: str
    #: What is installed beside the programs: manual pages and the like.
    data: tuple[Path, ...] = ()

    @property
    def short(self) -> str:
        """As on the command line: the folder's name of a driver."""
        return self.name if self.folder == REPO else self.folder.name

    @property
    def files(self) -> set[str]:
        """What the wheel must hold, beside its metadata: the package with all its data."""
        found = (
            x
            for x in self.package.rglob("*")
            if x.is_file() and "__pycache__" not in x.parts and not any(y.endswith(".egg-info") for y in x.parts)
        )
        return {str(x.relative_to(self.package.parent)) for x in found}


def _data(core: configparser.ConfigParser) -> tuple[Path, ...]:
    patterns = [x.strip() for value in core["options.data_files"].values() for x in value.split("\n") if x.strip()]
    return tuple(sorted(found for x in patterns for found in REPO.glob(x)))


def find() -> list[Distribution]:
    """The core, then the drivers by name, then what stands on neither: for clients."""
    core = configparser.ConfigParser()
    core.read(REPO / "setup.cfg")
    api = ".".join(_assigned(REPO / "glancecore/ports/plugin.py", "PLUGIN_API").strip("()").split(", "))
    found = [
        Distribution(core["metadata"]["name"], core["metadata"]["version"], REPO, REPO / "glancecore", api, _data(core))
    ]
    for file in sorted(REPO.glob("drivers/[!_]*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        package = file.parent / "src" / project["name"].replace("-", "_")
        apis = {x for each in package.rglob("*.py") if (x := _assigned(each, "    plugin_api").strip('"'))}
        if len(apis) != 1:
            raise SystemExit(
                f"{file.parent}: its plugins name {sorted(apis) or 'no'} plugin_api; a distribution has one"
            )
        found.append(Distribution(project["name"], project["version"], file.parent, package, apis.pop()))
    for file in sorted(REPO.glob("clients/*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        found.append(
            Distribution(
                project["name"],
                project["version"],
                file.parent,
                file.parent / "src" / project["name"].replace("-", "_"),
                "-",
            )
        )
    return found


def _assigned(file: Path, name: str) -> str:
    begin = f"{name} = "
    return next(
        (
            x.removeprefix(begin).split("  #")[0].strip()
            for x in file.read_text(encoding="utf-8").splitlines()
            if x.startswith(begin)
        ),
        "",
    )


def build(wanted: Sequence[Distribution], out: Path) -> list[Path]:
    """Wheel and source distribution of each in ``out``, by turns. Raises SystemExit with the builder's words when one
    can't be built."""
    import setuptools.build_meta  # noqa: F401 (the processes below are copies of this one, and find it loaded)

    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SOURCE_DATE_EPOCH", _last_commit())
    made: list[Path] = []
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("fork").Pool(maxtasksperchild=1) as pool:
        jobs = [(each, Path(folder, each.short), out) for each in wanted]
        for each, paths, log in pool.imap(_build, jobs, chunksize=1):
            if not paths:
                raise SystemExit(f"{each.name} can't be built:\n{log[-4000:]}")
            made += paths
    return made


def _last_commit() -> str:
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=REPO, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "315619200"  # 1980-01-02: a zip file can't be older


def _build(job: tuple[Distribution, Path, Path]) -> tuple[Distribution, list[Path], str]:
    """In a process of its own: the builder keeps what it knows in variables of modules."""
    each, work, out = job
    log = work.with_suffix(".log")
    source = work / "source"
    _copy(each, source)
    with (
        log.open("w") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        try:
            os.chdir(source)
            from setuptools import build_meta

            sdist = out / build_meta.build_sdist(str(out))
            with tarfile.open(sdist) as archive:
                archive.extractall(work, filter="data")
            os.chdir(work / sdist.name.removesuffix(".tar.gz"))
            wheel = out / build_meta.build_wheel(str(out))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever a build ends with)
            return each, [], f"{log.read_text()}\n{error!r}"
    return each, [sdist, wheel], ""


def _copy(each: Distribution, to: Path) -> None:
    """What a distribution is made of. A build leaves folders behind, so it does not work in the tree."""
    to.mkdir(parents=True)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "MANIFEST.in"):
        if (each.folder / name).exists():
            shutil.copy2(each.folder / name, to / name)
    if (each.folder / "deploy").exists():
        shutil.copytree(each.folder / "deploy", to / "deploy")
    part = each.package.relative_to(each.folder)
    shutil.copytree(each.package, to / part, ignore=shutil.ignore_patterns(*_LEFT_OUT))


def faults(made: Iterable[Path], wanted: Iterable[Distribution]) -> Iterator[str]:
    """What is wrong with these wheels and source distributions, each with its file."""
    files = {x.name: x for x in made}
    for each in wanted:
        base = f"{each.name.replace('-', '_')}-{each.version}"
        with (
            zipfile.ZipFile(files[f"{base}-py3-none-any.whl"]) as wheel,
            tarfile.open(files[f"{base}.tar.gz"]) as sdist,
        ):
            yield from (f"{base}.whl: {x}" for x in _faults_of_wheel(each, wheel, f"{base}.dist-info"))
            inside = set(sdist.getnames())
            yield from (
                f"{base}.tar.gz: no {x}"
                for x in ("LICENSE", "README.md", "pyproject.toml", "PKG-INFO")
                if f"{base}/{x}" not in inside
            )


def _faults_of_wheel(each: Distribution, wheel: zipfile.ZipFile, info: str) -> Iterator[str]:
    names = set(wheel.namelist())
    if f"{info}/licenses/LICENSE" not in names:
        yield f"no LICENSE; copy it to {each.folder.relative_to(REPO)}/"
    elif wheel.read(f"{info}/licenses/LICENSE") != (REPO / "LICENSE").read_bytes():
        yield "its LICENSE is not the project's"
    beside = f"{info.removesuffix('.dist-info')}.data/data/"
    shipped = {x.rpartition("/")[2] for x in names if x.startswith(beside)}
    yield from (
        f"no {x.relative_to(REPO)}, which is installed beside the programs" for x in each.data if x.name not in shipped
    )
    if f"{each.package.name}/py.typed" not in names:
        yield f"no {each.package.name}/py.typed"
    yield from (
        f"no {x}: {how}" for x, how in _MADE_BEFORE.items() if x.startswith(f"{each.package.name}/") and x not in names
    )
    inside = {
        x for x in names if not x.startswith(f"{each.name.replace('-', '_')}-{each.version}.") and not x.endswith("/")
    }
    yield from (f"no {x}, which the tree has" for x in sorted(each.files - inside))
    yield from (f"{x}, which is not of the package" for x in sorted(inside - each.files))
    yield from _faults_of_metadata(each, email.parser.Parser().parsestr(wheel.read(f"{info}/METADATA").decode()))


def _faults_of_metadata(each: Distribution, metadata: email.message.Message) -> Iterator[str]:
    expected = {
        "Name": each.name,
        "Version": each.version,
        "License-Expression": LICENSE,
        "License-File": "LICENSE",
        "Requires-Python": ">=3.11",
        "Description-Content-Type": "text/markdown",
    }
    yield from (f"{key} is {metadata[key]}, not {value}" for key, value in expected.items() if metadata[key] != value)
    if not metadata["Summary"]:
        yield "no Summary"
    if len(str(metadata.get_payload())) < 200:
        yield "its README is no description"
    needs = metadata.get_all("Requires-Dist") or []
    if each.folder.parent.name == "drivers" and not any(x.startswith("glancecore<2,>=1.") for x in needs):
        yield "it does not say which glancecore it needs: glancecore>=1.0,<2"


def rendered(made: Iterable[Path]) -> None:
    """Raises SystemExit unless twine would take each file: its metadata are valid, and its README renders."""
    sys.path.insert(0, str(REPO / "tests"))
    import lab

    done = subprocess.run(
        [lab.venv("twine", TWINE) / "bin" / "twine", "--no-color", "check", "--strict", *made],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit("\n".join(x for x in done.stdout.splitlines() if not x.endswith("PASSED")) + done.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, default=REPO / "dist")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--no-check", dest="check", action="store_false", help="do not check what was built")
    arguments = parser.parse_args()
    everything = find()
    if arguments.list:
        for each in everything:
            print(f"{each.name:34} {each.version:8} {each.plugin_api:5} {each.folder.relative_to(REPO)}")
        return
    if unknown := set(arguments.names) - {x.short for x in everything}:
        parser.error(
            f"no such distribution: {', '.join(sorted(unknown))}; there are {', '.join(x.short for x in everything)}"
        )
    wanted = [x for x in everything if not arguments.names or x.short in arguments.names]
    made = build(wanted, arguments.out.resolve())
    if arguments.check:
        if found := list(faults(made, wanted)):
            raise SystemExit("\n".join(found))
        rendered(made)
    print(f"{len(made)} files in {arguments.out}" + (", checked" if arguments.check else ""))


if __name__ == "__main__":
    main()
