"""Runs the test suites, each as a process of its own, and counts.

    run.py [--check] [SUITE...]        no suite named: all of them; --check: what needs no server and ends soon
    run.py --list

Three suites run at a time (``LANES=1``: one), as each waits now and then, and one more that mostly waits, but none
beside one that takes away a backend it needs. Every suite leaves a log and a JUnit file in ``$LAB_DIR/results``.
Backends are started before the first suite that needs them and stopped after the last one (``KEEP=1``: not stopped).
The last line is ``N passed, N failed``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree as ET

import lab
import pythons
import warm

RESULTS = lab.LAB / "results"
#: Those of the suites that run.
PROCESSES: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Suite:
    """``command`` runs in the repository's root; ``{junit}`` in it is the JUnit file to write. Without one, the suite
    counts as one test. ``paths``: what must exist, or else the suite is left out. ``check``: part of ``--check``, there
    with the arguments ``quickly`` and none of its backends. ``breaks``: backends that its tests stop or freeze.
    ``waits``: for leases, slow backends and the like, most of the time. ``minutes``: about how long it takes; the long
    ones begin. ``named``: it runs only when it is named."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    waits: bool = False
    paths: tuple[str, ...] = ()
    minutes: float = 10
    check: bool = False
    quickly: tuple[str, ...] = ()
    named: bool = False

    def goes_with(self, other: Suite) -> bool:
        return not (set(self.breaks) & {*other.needs, *other.breaks} or set(other.breaks) & set(self.needs))


def tool(name: str, *args: str) -> tuple[str, ...]:
    return (str(lab.BIN / name), *args)


def python(*args: str) -> tuple[str, ...]:
    return (sys.executable, *args)


def pytest(*args: str, hang: int = 300) -> tuple[str, ...]:
    """``hang``: a single test that takes longer is stopped, with a stack trace of each thread; where even that is held
    up, by a library's call that does not return, the trace alone comes a minute later."""
    return python(
        "-m",
        "pytest",
        "-q",
        "--color=no",
        f"--timeout={hang}",
        "-o",
        f"faulthandler_timeout={hang + 60}",
        "--junitxml={junit}",
        *args,
    )


#: Seconds without a word of a suite after which it hangs. Its tests have limits of their own, a few minutes each.
STANDSTILL = 1800.0
#: Suites that need running servers have folders of their own; everything else under tests/ needs none.
APART = ("api", "e2e", "clients", "console", "container", "deploy", "docs", "hostile", "packages")

#: The long ones of tests/e2e.
IMPORTS = tuple(
    f"tests/e2e/test_{name}.py"
    for name in ("imports", "import_steps", "import_retries", "import_stores", "kill_imports", "store_owners")
)
BOARDS = "tests/e2e/test_job_boards.py"
PEER = ("tests/e2e/test_adopt.py", "tests/e2e/test_replicator.py")
PERIODIC = tuple(
    f"tests/e2e/test_{name}.py" for name in ("periodic", "auditing", "evacuation", "reaping", "replicating", "year")
)
#: Those that take away what others need.
OUTAGES = tuple(f"tests/e2e/test_{name}.py" for name in ("notifications", "unified_limits"))


#: Without kits with their saboteurs, whole services, processes: tests that are marked so.
QUICK = ("-m", "not long")

#: Quick to fail, so they begin.
FIRST = (
    Suite("ruff", tool("ruff", "check", "."), check=True),
    Suite("format", tool("ruff", "format", "--check", "."), check=True),
    Suite(
        "mypy",
        tool(
            "mypy",
            "glancecore",
            *sorted(str(path) for path in [*Path("drivers").glob("[!_]*/src"), *Path("clients").glob("*/src")]),
        ),
        check=True,
    ),
    Suite(
        "mypy-tests",
        tool(
            "mypy",
            "--explicit-package-bases",
            "tests/lab.py",
            "tests/run.py",
            "tests/warm.py",
            "tests/pythons.py",
            "tools/distributions.py",
            "tests/receiver.py",
            "tests/key_manager.py",
            "tests/signing.py",
            "tests/backends/keystone_setup.py",
            *sorted(
                str(path)
                for name in ("bench", "images", "peer", "tempest")
                for path in Path("tests", name).glob("*.py")
            ),
        ),
        check=True,
    ),
    Suite("layers", tool("lint-imports", "--no-cache"), check=True),
    Suite("shell", ("tests/lint-shell.sh",), check=True),
    Suite("samples", python("docs/generate.py", "--check"), check=True),
    Suite("site", ("docs/site.sh", str(lab.LAB / "site")), check=True),
    Suite(
        "core", pytest("tests", *(f"--ignore=tests/{name}" for name in APART)), check=True, minutes=15, quickly=QUICK
    ),
    Suite(
        "api",
        pytest("tests/api"),
        paths=("tests/api",),
        needs=("mariadb", "postgresql"),
        minutes=15,
        check=True,
        quickly=("-k", "not mariadb and not postgresql and not registry", *QUICK),
    ),
    Suite(
        "hostile",
        pytest("tests/hostile"),
        paths=("tests/hostile",),
        needs=("mariadb", "postgresql"),
        minutes=20,
        check=True,
        quickly=("-k", "not mariadb and not postgresql", *QUICK),
    ),
)

SERVICES = (
    Suite(
        "stores",
        pytest("tests/e2e/test_stores.py"),
        needs=("keystone", "swift", "ceph", "rgw", "vcsim"),
        breaks=("swift", "ceph", "rgw", "vcsim"),
        minutes=25,
    ),
    Suite(
        "e2e",
        pytest(
            "tests/e2e",
            "--ignore=tests/e2e/test_stores.py",
            *(f"--ignore={x}" for x in (*IMPORTS, BOARDS, *PEER, *PERIODIC, *OUTAGES)),
        ),
        paths=("tests/e2e",),
        needs=("mariadb", "postgresql", "keystone", "nginx", "barbican", "memcached"),
        minutes=25,
    ),
    Suite("packages", pytest("tests/packages"), paths=("tests/packages",), minutes=2),
    Suite("deploy", pytest("tests/deploy"), paths=("tests/deploy",), minutes=3),
    Suite(
        "container",
        pytest("tests/container", hang=900),
        paths=("tests/container",),
        needs=("redis",),
        minutes=4,
        named=True,
    ),
    Suite(
        "console",
        pytest("tests/console", "--ignore=tests/console/dashboards"),
        needs=("keystone", "redis", "nginx"),
        paths=("tests/console",),
        minutes=8,
    ),
    Suite(
        "dashboards",
        pytest("tests/console/dashboards", hang=600),
        needs=("keystone",),
        paths=("tests/console/dashboards",),
        minutes=5,
        named=True,
    ),
    Suite("docs", pytest("tests/docs"), paths=("tests/docs",), minutes=15),
    Suite("outages", pytest(*OUTAGES), needs=("keystone", "rabbitmq"), breaks=("keystone", "rabbitmq")),
    Suite("imports", pytest(*IMPORTS), needs=("nginx", "keystone", "swift"), minutes=25),
    Suite("boards", pytest(BOARDS), needs=("nginx", "redis", "etcd", "zookeeper"), waits=True, minutes=45),
    Suite(
        "periodic",
        pytest(*PERIODIC),
        needs=("redis", "etcd", "zookeeper", "mariadb", "postgresql", "nginx"),
        waits=True,
        minutes=30,
    ),
    # both have the real Glance, of which there is one
    Suite("peer", pytest(*PEER), needs=("mariadb", "postgresql"), breaks=("peer",), minutes=20),
    Suite(
        "clients",
        pytest("tests/clients"),
        paths=("tests/clients",),
        needs=("keystone", "nginx", "mariadb", "barbican", "memcached"),
        breaks=("peer",),
        minutes=20,
    ),
)

TEMPEST = Suite(
    "tempest",
    python("tests/tempest/harness.py", "--junit", "{junit}"),
    needs=("keystone", "nginx", "mariadb", "postgresql"),
    breaks=("peer",),
    minutes=30,
)


def driver(folder: Path) -> Suite:
    """Its own suite. What it needs stands in its pyproject.toml, as ``[tool.glancecore.tests]``: ``needs``, ``breaks``,
    ``waits`` as here; ``long``: it is no part of --check, as are those that need something."""
    said = (
        tomllib.loads(Path(folder, "pyproject.toml").read_text(encoding="utf-8"))
        .get("tool", {})
        .get("glancecore", {})
        .get("tests", {})
    )
    if unknown := set(said) - {"needs", "breaks", "waits", "long"}:
        raise SystemExit(f"{folder}/pyproject.toml: [tool.glancecore.tests] has no {', '.join(sorted(unknown))}")
    needs = tuple(said.get("needs", ()))
    return Suite(
        folder.name,
        pytest(f"{folder}/tests"),
        needs=needs,
        breaks=tuple(said.get("breaks", ())),
        waits=said.get("waits", False),
        minutes=20,
        check=not needs and not said.get("long", False),
    )


def all_suites() -> list[Suite]:
    drivers = [
        driver(path.parent) for path in sorted([*Path("drivers").glob("[!_]*/tests"), *Path("clients").glob("*/tests")])
    ]
    others = [
        Suite(f"python{x}", python("tests/pythons.py", "--junit", "{junit}", x), minutes=3, named=True)
        for x in pythons.VERSIONS
        if pythons.interpreter(x)
    ]
    # the long ones first, so that no lane is left alone with one at the end
    return [*FIRST, *sorted([*SERVICES, TEMPEST, *drivers, *others], key=lambda x: (-x.minutes, -len(x.needs)))]


#: Suites at a time; where it is more than one, another one that mostly waits runs beside them.
LANES = int(os.environ.get("LANES") or 3)


@dataclass
class Result:
    suite: Suite
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    #: Of the suite and those that it has waited for, without backends.
    cpu: float = 0.0
    why: str = ""


def count(junit: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped tests of a JUnit file. A test with an error in its teardown has failed, once."""
    verdicts: dict[tuple[str, str], str] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):
        key = (case.get("classname", ""), case.get("name", ""))
        if case.find("failure") is not None or case.find("error") is not None:
            verdicts[key] = "failed"
        else:
            verdicts.setdefault(key, "skipped" if case.find("skipped") is not None else "passed")
    said = list(verdicts.values())
    return said.count("passed"), said.count("failed"), said.count("skipped")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Also what the suite itself left running."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        if how is signal.SIGTERM:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
                return


def ended(process: subprocess.Popen[bytes], log: Path) -> tuple[int, float]:
    """The exit code, and the seconds of processors that it took with those that it has waited for. Raises
    TimeoutExpired when the log has not grown for too long: a slow machine is no failure, a standstill is one."""
    size, grown = -1, time.monotonic()
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        time.sleep(0.5)
        if log.stat().st_size != size:
            size, grown = log.stat().st_size, time.monotonic()
        elif time.monotonic() - grown > STANDSTILL:
            raise subprocess.TimeoutExpired(process.args, STANDSTILL)
    times = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return process.wait(), sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def run(suite: Suite, env: dict[str, str]) -> Result:
    junit, log = RESULTS / f"{suite.name}.xml", RESULTS / f"{suite.name}.log"
    junit.unlink(missing_ok=True)
    command = [part.replace("{junit}", str(junit)) for part in suite.command]
    result, began = Result(suite), time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
        PROCESSES.add(process)
        try:
            code, result.cpu = ended(process, log)
        except subprocess.TimeoutExpired:
            code, result.why = -1, f"no test has ended for {STANDSTILL / 60:g} minutes"
        finally:
            end_group(process)
            PROCESSES.discard(process)
    result.seconds = time.monotonic() - began
    if "{junit}" in " ".join(suite.command):
        try:
            result.passed, result.failed, result.skipped = count(junit)
        except (OSError, ET.ParseError):
            result.why = result.why or "it wrote no results"
    elif code == 0:
        result.passed = 1
    if result.why or (code != 0 and not result.failed):  # crashed, hung, or ended badly after its last test
        result.failed += 1
        result.why = result.why or f"exit code {code}"
    return result


class Backends:
    """Starts what a suite needs, and stops what no later one needs."""

    def __init__(self) -> None:
        self.env: dict[str, dict[str, str]] = {}
        self._changing = threading.Lock()

    def start(self, names: tuple[str, ...]) -> None:
        with self._changing:
            for name in names:
                if name not in self.env:
                    say(f"starting {name}")
                    self.env[name] = {}  # also a half-started one is stopped
                    self.env[name] = lab.exported(lab.up(name))

    def stop(self, needed: Callable[[], set[str]]) -> None:
        with self._changing:
            but = needed()
            if not os.environ.get("KEEP"):
                for name in [name for name in self.env if name not in but]:
                    say(f"stopping {name}")
                    with contextlib.suppress(RuntimeError):
                        lab.down(name)
                    del self.env[name]


class Lanes:
    """Runs the suites in their order, ``LANES`` at a time and one that mostly waits; one that can't run beside what
    runs lets later ones pass."""

    def __init__(self, suites: list[Suite], backends: Backends) -> None:
        self.results: list[Result] = []
        self._waiting, self._running, self._backends = list(suites), list[Suite](), backends
        self._changed = threading.Condition()

    def run(self) -> None:
        lanes = [threading.Thread(target=self._lane, daemon=True) for _ in range(LANES + (LANES > 1))]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()

    def give_up(self) -> None:
        """No further suite begins, and those that run are ended."""
        with self._changed:
            self._waiting.clear()
        for process in list(PROCESSES):
            end_group(process)

    def _lane(self) -> None:
        while (suite := self._next()) is not None:
            try:
                result = one(suite, self._backends)
            except Exception as error:  # or else the other lane would wait for this suite for ever
                result = Result(suite, failed=1, why=f"it could not be run: {error!r}")
            with self._changed:
                self.results.append(result)
                self._running.remove(suite)
                self._changed.notify_all()
            self._backends.stop(self._needed)

    def _next(self) -> Suite | None:
        with self._changed:
            while self._waiting:
                for suite in self._waiting:
                    if self._room_for(suite) and all(suite.goes_with(x) for x in self._running):
                        self._waiting.remove(suite)
                        self._running.append(suite)
                        return suite
                self._changed.wait()
            return None

    def _room_for(self, suite: Suite) -> bool:
        if LANES == 1:
            return not self._running
        alike = [x for x in self._running if x.waits is suite.waits]
        return len(alike) < (1 if suite.waits else LANES)

    def _needed(self) -> set[str]:
        with self._changed:
            return {name for suite in [*self._waiting, *self._running] for name in suite.needs}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def tail(path: Path, lines: int = 60) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def first_failure(junit: Path, lines: int = 60) -> str:
    """The others may come of it."""
    with contextlib.suppress(OSError, ET.ParseError):
        for case in ET.parse(junit).getroot().iter("testcase"):
            for kind in ("failure", "error"):
                if (found := case.find(kind)) is not None:
                    return "\n".join(
                        [f"{case.get('classname')}::{case.get('name')}", *(found.text or "").splitlines()[-lines:]]
                    )
    return ""


@contextlib.contextmanager
def ends_by_signals() -> Iterator[None]:
    """A TERM ends us like an interrupt from the keyboard, so that everything started is stopped."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    parser.add_argument("--check", action="store_true", help="only what needs no server and ends soon")
    parser.add_argument("--list", action="store_true", help="print the suites' names and what they need")
    options = parser.parse_args()
    suites = [suite for suite in all_suites() if all(Path(path).exists() for path in suite.paths)]
    if options.list:
        for suite in suites:
            print(f"{suite.name:20} {' '.join(suite.needs)}")
        return 0
    unknown = set(options.suites) - {suite.name for suite in suites}
    if unknown:
        parser.error(
            f"no such suite: {' '.join(sorted(unknown))}; there are: {' '.join(suite.name for suite in suites)}"
        )
    chosen = [
        suite
        for suite in suites
        if (suite.name in options.suites if options.suites else not suite.named and (suite.check or not options.check))
    ]
    if options.check:
        chosen = [replace(suite, command=suite.command + suite.quickly, needs=()) for suite in chosen]
    RESULTS.mkdir(parents=True, exist_ok=True)
    backends = Backends()
    lanes = Lanes(chosen, backends)
    with ends_by_signals():
        try:
            lanes.run()
        finally:
            lanes.give_up()
            backends.stop(set)
    return report(lanes.results)


def one(suite: Suite, backends: Backends) -> Result:
    try:
        backends.start(suite.needs)
    except RuntimeError as error:
        result = Result(suite, failed=1, why=f"a backend did not start: {error}")
    else:
        # CI makes pytest compare megabytes line by line and Hypothesis search in another way: the same everywhere
        # instead. Without bytecode each of the thousand processes compiles all of our sources
        env = {
            name: value
            for name, value in os.environ.items()
            if name not in ("CI", "BUILD_NUMBER", "PYTHONDONTWRITEBYTECODE")
        }
        env |= {
            warm.VARIABLE: "1",
            "LAB_DIR": str(lab.LAB),
            "PYTHONPATH": str(lab.REPO / "tests"),
            "MYPYPATH": f"{lab.REPO}/tests:{lab.REPO}/tests/bench:{lab.REPO}/tools",
        }
        for name in suite.needs:
            env |= backends.env[name]
        result = run(suite, env)
    counts = f"{result.passed} passed, {result.failed} failed" + (
        f", {result.skipped} skipped" if result.skipped else ""
    )
    say(
        f"{suite.name:14} {counts} in {result.seconds:.0f} s, {result.cpu:.0f} s of CPU"
        + (f" ({result.why})" if result.why else "")
    )
    return result


def report(results: list[Result]) -> int:
    for result in results:
        if result.failed:
            log = RESULTS / f"{result.suite.name}.log"
            print(f"\n===== {result.suite.name}: {result.why or f'{result.failed} failed'} ({log})\n{tail(log)}")
            if first := first_failure(RESULTS / f"{result.suite.name}.xml"):
                print(f"\n----- the first of {result.suite.name}: {first}")
    passed, failed, skipped = (
        sum(getattr(result, what) for result in results) for what in ("passed", "failed", "skipped")
    )
    print()
    if skipped:
        print(f"{skipped} skipped: {' '.join(result.suite.name for result in results if result.skipped)}")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    os.chdir(lab.REPO)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted")
        sys.exit(130)
