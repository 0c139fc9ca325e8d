"""The units are right, ask for no more than the service needs, and go with the user and folders that are made for
them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import lab
import pytest

from glancecore.conf.server import OPTIONS

SYSTEMD = lab.REPO / "deploy" / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
#: Ten times what systemd-analyze says at most; 100 is an open door.
EXPOSURE = 17


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    lab.need("systemd", "logrotate")


def run(*command: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(x) for x in command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **more
    )


def settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def verify(unit: Path, into: Path, text: str) -> str:
    """What systemd says of the unit with this text, where the commands of /opt/glance are those of this environment."""
    copy = into / unit.name
    copy.write_text(text.replace("/opt/glance/bin", str(lab.BIN)))
    done = run("systemd-analyze", "verify", "--man=no", copy)
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda x: x.stem)
def test_units_verify(unit: Path, tmp_path: Path) -> None:
    assert verify(unit, tmp_path, unit.read_text()) == ""
    assert "'Restrat'" in verify(unit, tmp_path, unit.read_text().replace("Restart=", "Restrat="))


def exposure(unit: Path) -> subprocess.CompletedProcess[str]:
    return run("systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}", unit)


@pytest.mark.parametrize("unit", UNITS, ids=lambda x: x.stem)
def test_units_take_away_what_is_not_needed(unit: Path, tmp_path: Path) -> None:
    done = exposure(unit)
    assert done.returncode == 0, done.stdout
    weaker = tmp_path / unit.name
    weaker.write_text(unit.read_text().replace("ProtectSystem=strict\n", ""))
    assert exposure(weaker).returncode != 0


@pytest.mark.parametrize("unit", UNITS, ids=lambda x: x.stem)
def test_units_start_what_is_installed_and_wait_for_its_end(unit: Path) -> None:
    said = settings(unit)
    assert said["ExecStart"] == [f"/opt/glance/bin/{unit.stem}"]
    assert (lab.BIN / unit.stem).is_file()
    assert said["Documentation"] == [f"man:{unit.stem}(8)"]
    assert (lab.REPO / "deploy/man" / f"{unit.stem}.8").is_file()
    graceful = next(x.default for options in OPTIONS.values() for x in options if x.name == "graceful_timeout")
    assert int(said["TimeoutStopSec"][0]) > graceful
    assert said["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_units_differ_in_what_they_start_only() -> None:
    def rest(unit: Path) -> str:
        return re.sub(r"^(Description|After)=.*", "", unit.read_text(), flags=re.MULTILINE).replace(unit.stem, "")

    assert len(UNITS) == 4
    assert len({rest(x) for x in UNITS}) == 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a machine that has nothing but the user and the folders."""
    (tmp_path / "etc").mkdir()
    for program, file in (("systemd-sysusers", "glance.sysusers"), ("systemd-tmpfiles", "glance.tmpfiles")):
        words = ["--create"] if program == "systemd-tmpfiles" else []
        done = run(program, *words, f"--root={tmp_path}", SYSTEMD / file)
        assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make users")
def test_user_and_folders(root: Path) -> None:
    [line] = [x for x in (root / "etc/passwd").read_text().splitlines() if x.startswith("glance:")]
    _, _, user, group, _, home, shell = line.split(":")
    assert home == "/var/lib/glance"
    assert shell.endswith("nologin")
    found = {
        x: (root / x).stat()
        for x in ("etc/glance", "run/glance", "var/lib/glance", "var/lib/glance/images", "var/log/glance")
    }
    assert {x: oct(stat.S_IMODE(y.st_mode)) for x, y in found.items()} == {
        "etc/glance": "0o750",
        "run/glance": "0o750",
        "var/lib/glance": "0o700",
        "var/lib/glance/images": "0o700",
        "var/log/glance": "0o750",
    }
    assert {x: (y.st_uid, y.st_gid) for x, y in found.items() if x != "etc/glance"} == {
        x: (int(user), int(group)) for x in found if x != "etc/glance"
    }
    assert (found["etc/glance"].st_uid, found["etc/glance"].st_gid) == (
        0,
        int(group),
    ), "the service reads its configuration and can't change it"


def test_logs_are_rotated(tmp_path: Path) -> None:
    logs, programs = tmp_path / "log", tmp_path / "bin"
    logs.mkdir(mode=0o750)
    programs.mkdir()
    (logs / "api.log").write_text("line\n")
    systemctl = programs / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\ncase "$*" in *is-active*) case "$*" in *api*|*worker*) exit 0;;'
        " esac; exit 3;; esac\n"
    )
    systemctl.chmod(0o755)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    config = tmp_path / "glance"
    text = (lab.REPO / "deploy/logrotate/glance").read_text()
    config.write_text(text.replace("/var/log/glance", str(logs)).replace("glance glance", f"{user} {user}"))
    config.chmod(0o644)
    done = run(
        shutil.which("logrotate") or "/usr/sbin/logrotate",
        "--force",
        "--state",
        tmp_path / "state",
        config,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (logs / "api.log.1").read_text() == "line\n"
    assert stat.S_IMODE((logs / "api.log").stat().st_mode) == 0o640
    reloaded = [x for x in (tmp_path / "calls").read_text().splitlines() if x.startswith("reload")]
    assert reloaded == ["reload glance-api.service", "reload glance-worker.service"]


def test_every_file_is_where_docs_deploying_md_says() -> None:
    """Its words, up to where they need a systemd that runs: the files that they install are in the wheel, and go where
    they are looked for."""
    page = (lab.REPO / "docs/deploying.md").read_text()
    lines = re.findall(r"^\$ install (.*)$", page, re.MULTILINE)
    named = {
        x.removeprefix("/opt/glance/share/glancecore/")
        for line in lines
        for x in line.split()
        if x.startswith("/opt/glance/share/glancecore/")
    }
    assert named == {"systemd/*.service", "systemd/glance.sysusers", "systemd/glance.tmpfiles", "logrotate/glance"}
    setup = (lab.REPO / "setup.cfg").read_text()
    for name in named:
        folder = name.partition("/")[0]
        assert f"share/glancecore/{folder} = deploy/{folder}/*" in setup
        assert list((lab.REPO / "deploy").glob(name))
