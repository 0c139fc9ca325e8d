"""The capabilities of the core, and what a process loads that serves no requests."""

import subprocess
import sys
from pathlib import Path

import lab

from glancecore.assembly.core import CORE, list_rules
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
    done = subprocess.run([sys.executable, "-c", _PROGRAM, file, *start], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_worker_loads_no_flask(tmp_path: Path) -> None:
    board = {"jobboard": {"url": "redis://127.0.0.1:1/0"}, "os_glance_staging_store": {"filesystem_store_datadir": tmp_path / "staging"}}
    assert _loaded(tmp_path, board, "take_over") == "[]"


def test_a_runner_of_jobs_loads_no_flask(tmp_path: Path) -> None:
    assert _loaded(tmp_path, {"DEFAULT": {"image_cache_dir": tmp_path / "cache"}}, "start", "start_jobs") == "[]"


def test_what_serves_loads_it(tmp_path: Path) -> None:
    """Or the tests above could not fail."""
    assert "'flask'" in _loaded(tmp_path, {}, "make_app")


def test_each_capability_is_there_once_and_each_rule_has_one() -> None:
    folders = [x.__module__.split(".")[2] for x in CORE]
    names = [x.name for x in list_rules()]
    there = {x.parent.name for x in Path(sys.modules["glancecore.assembly.core"].__file__ or "").parents[1].glob("features/*/extension.py")}
    assert sorted(folders) == sorted(there)
    assert len(names) == len(set(names))
