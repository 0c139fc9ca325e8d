"""Import steps in processes of their own: real ones, of a plugin that is installed beside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import strangers
from waiting import until

from glancecore import conf as configuration
from glancecore.assembly.loader import Loader
from glancecore.domain import errors
from glancecore.features.imports.step_process import IsolatedStep
from glancecore.features.imports.steps import load_steps
from glancecore.ports.import_step import ImportStep
from glancecore.sdk import log_lines
from glancecore.testing.examples import make_image
from glancecore.testing.import_step import Bench, ImportStepConformance

pytestmark = pytest.mark.long

PLUGIN = """
import ctypes, hashlib, logging, os, sys, time, pathlib, subprocess
from oslo_config import cfg
from glancecore.domain import errors
from glancecore.ports.import_step import ImportStep

class Checksum(ImportStep):
    plugin_api = "1.0"
    options = (cfg.StrOpt("name", default="sha256"),)
    def run(self, work):
        digest = hashlib.new("sha256")
        with work.staged.open("rb") as src:
            while chunk := src.read(1 << 20):
                work.progress(src.tell())
                digest.update(chunk)
        work.set_properties(**{self.conf.name: digest.hexdigest()})
    def undo(self, work):
        work.remove_properties(self.conf.name)

class Upper(ImportStep):
    plugin_api = "1.0"
    changes_data = True
    def run(self, work):
        data = work.staged.read_bytes().upper()
        work.reserve(len(data))
        (work.scratch / "new").write_bytes(data)
        work.set_formats(disk_format="qcow2", container_format=None)
        work.replace(work.scratch / "new")
        work.set_properties(method=str(work.request.method["name"]), roles=",".join(work.request.roles), of=work.image.id)

class Hang(ImportStep):
    plugin_api = "1.0"
    def run(self, work):
        pid = pathlib.Path(work.image.properties["pids"])
        child = subprocess.Popen(["sleep", "1000"])
        pid.write_text(f"{os.getpid()} {child.pid}")
        time.sleep(1000)
    undo = run

class Crash(ImportStep):
    plugin_api = "1.0"
    def run(self, work):
        how = work.image.properties["how"]
        if how == "segfault":
            ctypes.string_at(0)
        if how == "exit":
            sys.exit(3)
        if how == "exit 0":
            sys.exit(0)
        if how == "_exit":
            os._exit(0)
        if how == "raise":
            raise ValueError("secret of the plugin")
        if how == "long":
            work.set_properties(x="x" * (8 << 20))
        if how == "half":
            os.write(work._channel.fileno(), bytes([0, 0, 0, 9, 1]))
            os._exit(0)
        if how == "daemon":
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
            os._exit(0)
        if how == "refuse":
            raise errors.DecompressionRefused("that is too much")
        if how == "store":
            raise errors.StoreFull("it is full", "fast", "put")
    def undo(self, work):
        self.run(work)

class Patient(ImportStep):
    plugin_api = "1.0"
    def run(self, work):
        work.reserve(1)
        work.reserve(2)

class Tell(ImportStep):
    plugin_api = "1.0"

    def run(self, work):
        logging.getLogger("strangers.tell").warning("something happened")

class Deaf(ImportStep):
    plugin_api = "1.0"
    def run(self, work):
        while True:
            try:
                work.check_alive()
            except errors.GlanceError:
                pass
"""
STEPS = {
    "checksum": "Checksum",
    "upper": "Upper",
    "hang": "Hang",
    "crash": "Crash",
    "deaf": "Deaf",
    "patient": "Patient",
    "tell": "Tell",
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("site")
    file = folder / "glance-api.conf"
    file.write_text(
        f"[image_import_opts]\nimage_import_plugins = {', '.join(STEPS)}\n[imports]\nstep_timeout ="
        " 1\n[step_checksum]\nname = digest\n"
    )
    with strangers.plugin(folder, "glancecore.import_steps", STEPS, PLUGIN):
        yield file


@pytest.fixture
def steps(config: Path) -> dict[str, ImportStep]:
    conf = configuration.new(files=[str(config)])
    return load_steps(conf, Loader(conf))


def bench(folder: Path, stop_after: int | None = None, **properties: str) -> Bench:
    return Bench(
        folder,
        b"some data",
        make_image(disk_format="raw", container_format="bare", properties=properties),
        stop_after=stop_after,
    )


def test_it_reads_and_names(steps: dict[str, ImportStep], tmp_path: Path) -> None:
    work = bench(tmp_path)
    steps["checksum"].run(work)
    assert work.image.properties["digest"] == "1307990e6ba5ca145eb35e99182a9bec46531bc54ddf656a602c780fa0240dee"
    steps["checksum"].undo(work)
    assert work.image.properties == {}


def test_it_makes_other_data(steps: dict[str, ImportStep], tmp_path: Path) -> None:
    work = bench(tmp_path)
    assert steps["upper"].changes_data
    steps["upper"].run(work)
    assert work.data == b"SOME DATA"
    assert (work.image.disk_format, work.image.container_format) == ("qcow2", "bare")
    assert work.image.properties == {"method": "web-download", "roles": "member", "of": work.image.id}


@pytest.mark.parametrize(
    ("how", "code", "sentence"),
    [
        ("segfault", "import_failed", "step crash ended its process"),
        ("exit", "import_failed", "step crash ended its process"),
        ("exit 0", "import_failed", "step crash ended its process"),
        ("_exit", "import_failed", "step crash ended its process"),
        ("raise", "import_failed", "Crash failed; the operator's log says why"),
        ("long", "import_failed", "step crash failed"),
        ("half", "import_failed", "step crash ended its process"),
        ("daemon", "import_failed", "step crash ended its process"),
        ("refuse", "decompression_refused", "that is too much"),
        ("store", "store_full", "it is full"),
    ],
)
@pytest.mark.parametrize("call", ["run", "undo"])
def test_however_it_fails_only_it_does(
    steps: dict[str, ImportStep], tmp_path: Path, how: str, code: str, sentence: str, call: str
) -> None:
    with pytest.raises(errors.GlanceError) as caught:
        getattr(steps["crash"], call)(bench(tmp_path, how=how))
    assert caught.value.code == code
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_log_says_how_it_ended(
    steps: dict[str, ImportStep], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for how in ("segfault", "exit"):
        with pytest.raises(errors.ImportFailed):
            steps["crash"].run(bench(tmp_path / how, how=how))
    assert [x.getMessage() for x in caplog.records if x.name == "glancecore.features.imports.step_process"] == [
        "import step crash ended its process: SIGSEGV",
        "import step crash ended its process: exit code 3",
    ]


def test_what_it_logs_tells_of_the_import(
    steps: dict[str, ImportStep], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with log_lines.work("image-1", "task-1", "req-7", "u", "p"):
        steps["tell"].run(bench(tmp_path))
    (line,) = [x for x in "".join(capfd.readouterr()).splitlines() if "something happened" in x]
    assert " req-7 " in line
    assert line.endswith("[image image-1, task task-1] something happened")


@pytest.mark.parametrize("call", ["run", "undo"])
def test_one_that_hangs_is_ended_with_all_that_it_started(
    steps: dict[str, ImportStep], tmp_path: Path, call: str
) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(errors.ImportFailed, match="did nothing for 1 seconds"):
        getattr(steps["hang"], call)(bench(tmp_path, pids=str(pids)))
    until(lambda: not alive(pids), "what it has started still lives")


def test_one_that_hangs_ends_when_the_import_is_cancelled(
    config: Path, steps: dict[str, ImportStep], tmp_path: Path
) -> None:
    step = steps["hang"]
    assert isinstance(step, IsolatedStep)
    step._timeout = 1000.0  # only the cancelling ends it
    pids, work = tmp_path / "pids", bench(tmp_path, pids=str(tmp_path / "pids"))

    def check_alive() -> None:
        if pids.exists():
            raise errors.ImportCancelled("the import was cancelled")

    work.check_alive = check_alive  # type: ignore[method-assign]
    with pytest.raises(errors.ImportCancelled):
        step.run(work)
    until(lambda: not alive(pids), "what it has started still lives")


def test_one_that_does_not_listen_is_ended(steps: dict[str, ImportStep], tmp_path: Path) -> None:
    with pytest.raises(errors.ImportCancelled):
        steps["deaf"].run(bench(tmp_path, stop_after=3))


def test_what_we_take_to_answer_is_not_the_steps_time(steps: dict[str, ImportStep], tmp_path: Path) -> None:
    work, asked = bench(tmp_path), []

    def reserve(size: int) -> None:
        time.sleep(2)  # twice step_timeout
        asked.append(size)

    work.reserve = reserve  # type: ignore[method-assign]
    steps["patient"].run(work)
    assert asked == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_to_the_whole_service_leave_it_to_its_parent(
    steps: dict[str, ImportStep], tmp_path: Path, number: signal.Signals
) -> None:
    """Which is stopping, and hands the import over."""
    step, pids, work = steps["hang"], tmp_path / "pids", bench(tmp_path, pids=str(tmp_path / "pids"))
    assert isinstance(step, IsolatedStep)
    step._timeout = 1000.0
    sent = False

    def check_alive() -> None:
        nonlocal sent
        if sent:
            raise errors.ImportSuspended("the process is stopping")
        if pids.exists() and len(pids.read_text().split()) == 2:
            os.kill(int(pids.read_text().split()[0]), number)
            sent = True

    work.check_alive = check_alive  # type: ignore[method-assign]
    with pytest.raises(errors.ImportSuspended):
        step.run(work)
    until(lambda: not alive(pids), "what it has started still lives")


def test_it_ends_with_its_parent(config: Path, tmp_path: Path) -> None:
    """Which is killed while the step hangs."""
    pids = tmp_path / "pids"
    code = f"""
from pathlib import Path
from glancecore import conf
from glancecore.assembly.loader import Loader
from glancecore.features.imports.steps import load_steps
from glancecore.testing.examples import make_image
from glancecore.testing.import_step import Bench
made = conf.new(files=[{str(config)!r}])
steps = load_steps(made, Loader(made))
steps["hang"]._timeout = 1000.0
steps["hang"].run(Bench(Path({str(tmp_path)!r}), b"", make_image(properties={{"pids": {str(pids)!r}}})))
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    parent.kill()
    parent.wait()
    step, grandchild = (int(x) for x in pids.read_text().split())
    until(lambda: not Path(f"/proc/{step}").exists() or "zombie" in Path(f"/proc/{step}/status").read_text())
    os.kill(grandchild, signal.SIGKILL)  # what a step started is its own to end when everything is killed


def test_several_at_once(steps: dict[str, ImportStep], tmp_path: Path) -> None:
    works = [bench(tmp_path / str(x)) for x in range(4)]
    threads = [threading.Thread(target=steps["checksum"].run, args=(x,)) for x in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("digest" in x.image.properties for x in works)


class TestKit(ImportStepConformance):
    """What a step promises, it promises in a process of its own."""

    @pytest.fixture
    def step(self, steps: dict[str, ImportStep]) -> ImportStep:
        return steps["checksum"]


def alive(pids: Path) -> list[int]:
    found = []
    for pid in map(int, pids.read_text().split()):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.append(pid)
    return found
