"""The capabilities of the core, and what a process loads that serves no requests."""

import subprocess
import sys
from pathlib import Path

import lab
import plugin_saboteurs as saboteurs
import pytest
import strangers

from glancecore.assembly.core import CORE, JOBS, list_job_options, list_rules
from glancecore.assembly.loader import load
from glancecore.conf.periodic import OPTIONS as PERIODIC
from glancecore.domain.errors import PluginBroken
from glancecore.testing.service import basic, merged, synced, written
from glancecore.testing.service import read as read_config

_PROGRAM = """
import sys
from glancecore import conf
from glancecore.assembly.build import build
service = build(conf.new(args=[], files=[sys.argv[1]]))
for start in sys.argv[2:]:
    getattr(service, start)()
service.close()
print([x for x in sorted(sys.modules) if x.partition(".")[0] in ("flask", "werkzeug") or x.endswith((".routes", ".api")) and x.startswith("glancecore.features")])
"""


def _loaded(folder: Path, config: lab.Config, *start: str) -> str:
    """What of HTTP a process has loaded that has built a service and started it so."""
    file = written(merged(basic(folder), config), folder)
    synced(read_config(file))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, file, *start], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_worker_loads_no_flask(tmp_path: Path) -> None:
    board = {
        "jobboard": {"url": "redis://127.0.0.1:1/0"},
        "os_glance_staging_store": {"filesystem_store_datadir": tmp_path / "staging"},
    }
    assert _loaded(tmp_path, board, "take_over") == "[]"


def test_a_runner_of_jobs_loads_no_flask(tmp_path: Path) -> None:
    assert _loaded(tmp_path, {"DEFAULT": {"image_cache_dir": tmp_path / "cache"}}, "start", "start_jobs") == "[]"


def test_what_serves_loads_it(tmp_path: Path) -> None:
    """Or the tests above could not fail."""
    assert "'flask'" in _loaded(tmp_path, {}, "make_app")


def test_each_capability_is_there_once_and_each_rule_has_one() -> None:
    folders = [x.__module__.split(".")[2] for x in CORE]
    names = [x.name for x in list_rules()]
    there = {
        x.parent.name
        for x in Path(sys.modules["glancecore.assembly.core"].__file__ or "").parents[1].glob("features/*/extension.py")
    }
    assert sorted(folders) == sorted(there)
    assert len(names) == len(set(names))


def test_each_job_of_a_capability_is_one_that_operators_enable() -> None:
    [enabled] = [x.default for x in PERIODIC["periodic"] if x.name == "enabled_jobs"]
    assert sorted(JOBS) == sorted(enabled)
    assert sum(len(x.jobs) for x in CORE) == len(JOBS), "two capabilities have a job of one name"
    assert [group for group, _ in list_job_options()] == [f"periodic_{name}" for name in JOBS]
    for name, target in JOBS.items():
        cls = load("periodic", name, "[x] y")
        assert f"{cls.__module__}:{cls.__name__}" == target


def test_a_plugin_does_not_replace_a_job_of_the_core(tmp_path: Path) -> None:
    saboteurs.write(tmp_path, "periodic", {"reaper": saboteurs.OF_ALL["sys.exit at import"]})
    with (
        strangers.installed(tmp_path),
        pytest.raises(PluginBroken, match=r"stranger-periodic 1\.0 .* and glancecore 1\.0\.0"),
    ):
        load("periodic", "reaper", "[x] y")
