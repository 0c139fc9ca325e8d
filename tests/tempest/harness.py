"""Tempest and glance-tempest-plugin, with a real Keystone, against our service or against the real Glance.

    harness.py [--peer] [--only REGEX] [--profile default|legacy|metadefs-mariadb|metadefs-postgresql] [--junit FILE]
    [--jobs N]

Every test that passes on Glance 33 (``glance33.txt``; with locations shown and no format check:
``glance33-legacy.txt``) must pass here, unless ``left-out.txt`` names it with a reason. A test that is skipped, or not
found, has failed."""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree as ET

import lab
from images import samples
from peer.deployment import dead

HERE = Path(__file__).resolve().parent
WORK = lab.LAB / "tempest"
REQUIREMENTS = ("tempest==47.0.0", "glance-tempest-plugin==0.17.0")


@dataclass(frozen=True)
class Profile:
    """A set-up of the service in which tempest finds these tests runnable."""

    name: str
    expected: str
    legacy: bool  # locations shown, bogus data accepted
    adopted: bool = False  # a real Glance's deployment was taken over: its images are there, and its folders are ours
    database: str = "sqlite"
    only: str = ""  # of those tests, the ones whose names match

    @property
    def data(self) -> Path:
        return lab.LAB / "peer" if self.adopted else WORK / self.name

    def server_config(self) -> dict[str, dict[str, object]]:
        # stores whose names sort as their weights do: tempest compares the two orders
        return {
            "DEFAULT": {
                "image_cache_dir": WORK / self.name / "cache",
                "enabled_backends": "fast:file, slow:file, web:http",
                "show_multiple_locations": self.legacy,
                "do_secure_hash": not self.legacy,
            },
            "image_format": {"require_image_format_match": not self.legacy},
            "glance_store": {"default_backend": "fast"},
            "fast": {"filesystem_store_datadir": self.data / "fast", "weight": 200},
            "slow": {"filesystem_store_datadir": self.data / "slow", "weight": 100},
            "web": {"http_store_allowed_hosts": "127.0.0.1"},
        }


PROFILES = (
    Profile("default", "glance33.txt", legacy=False, adopted=True),
    Profile("legacy", "glance33-legacy.txt", legacy=True),
    *(
        Profile(f"metadefs-{x}", "glance33.txt", legacy=False, database=x, only="metadef")
        for x in ("mariadb", "postgresql")
    ),
)


@dataclass(frozen=True)
class Line:
    status: str
    name: str
    seconds: float
    reason: str
    profile: str = ""


def names_of(file: str) -> list[str]:
    return (HERE / file).read_text().split()


def left_out() -> dict[str, str]:
    """Pattern → reason."""
    patterns, reason = {}, ""
    for line in (HERE / "left-out.txt").read_text().splitlines():
        if line.startswith("["):
            reason = line.strip("[]")
        elif line and not line.startswith("#"):
            patterns[line] = reason
    every = [name for profile in PROFILES for name in names_of(profile.expected)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in every):
            raise SystemExit(f"left-out.txt: {pattern} matches no test")
    return patterns


def tempest_conf(profile: Profile, region: str, keystone_url: str, web: lab.Backend) -> str:
    root = Path(web.settings["NGINX_ROOT"])
    shutil.copy(samples.path("qcow2"), root / "disk.qcow2")  # a good image of either format that tempest declares
    return lab.config_text(
        {
            "DEFAULT": {"log_file": WORK / profile.name / "tempest.log", "use_stderr": False},
            "oslo_concurrency": {"lock_path": WORK / profile.name / "lock"},
            # no tempest_roles: they would be given to the reader personas as well
            "auth": {
                "use_dynamic_credentials": True,
                "admin_username": "admin",
                "admin_project_name": "admin",
                "admin_password": "secret",
                "admin_domain_name": "Default",
                "admin_user_domain_name": "Default",
                "admin_project_domain_name": "Default",
                "admin_system": "all",
                "default_credentials_domain_name": "Default",
            },
            "identity": {
                "auth_version": "v3",
                "uri_v3": keystone_url,
                "v3_endpoint_type": "public",
                "region": "RegionOne",
            },
            "identity-feature-enabled": {"api_v2": False, "api_v3": True},
            "service_available": {"glance": True, "nova": False, "cinder": False, "neutron": False, "swift": False},
            "enforce_scope": {"glance": True},
            "image": {
                "region": region,
                "endpoint_type": "public",
                "http_image": f"{web.url}/disk.qcow2",
                "http_qcow2_image": f"{web.url}/disk.qcow2",
                "build_timeout": 60,
                "build_interval": 1,
                "hashing_algorithm": "sha512",
                "image_caching_enabled": True,
                "alternate_image_endpoint": "image_remote",
            },
            "image-feature-enabled": {
                "import_image": True,
                "os_glance_reserved": True,
                "manage_locations": profile.legacy,
                "image_format_enforcement": not profile.legacy,
                "do_secure_hash": not profile.legacy,
                "store_weight_enabled": True,
                "http_store_enabled": True,
            },
        }
    )


@contextlib.contextmanager
def endpoint(profile: Profile, peer: bool) -> Iterator[str]:
    """A running image service in Keystone's catalogue; yields its region."""
    if peer:
        lab.up("peer", "keystone", "mariadb", LEGACY=str(int(profile.legacy)))
        yield "peer"
        return
    folder, port, region = WORK / profile.name / "service", lab.free_port(), f"tempest-{profile.name}"
    beside = lab.free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "glance.sqlite").unlink(missing_ok=True)
    config = lab.merged(
        profile.server_config(),
        lab.keystone_config(region, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{beside}"),
        {
            "DEFAULT": {
                "workers": 2,
                "enabled_import_methods": "[glance-direct, web-download, copy-image, glance-download]",
            },
            "imports": {"token_keys": base64.urlsafe_b64encode(os.urandom(32)).decode()},
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    with contextlib.ExitStack() as stack:
        deployment = stack.enter_context(dead("mariadb")) if profile.adopted else None
        database = stack.enter_context(lab.new_database(profile.database)) if profile.database != "sqlite" else ""
        service = stack.enter_context(lab.service(config, folder=folder, port=port, database=database, start=False))
        if deployment:
            # what it finds there to look at makes its exit code 1
            told = subprocess.run(
                [
                    lab.BIN / "glance-manage",
                    "--config-file",
                    service.config_file,
                    "adopt",
                    "--from",
                    deployment.database,
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            if "8 active" not in told.stdout:
                raise SystemExit(f"the deployment was not taken over: {told.stdout}{told.stderr}")
        service.manage("metadefs", "load")  # as DevStack does: tests take the first resource type that they find
        service.start()
        node = lab.merged(config, {"DEFAULT": {"image_cache_dir": WORK / profile.name / "remote-cache"}})
        stack.enter_context(lab.service(node, database=str(service.config["database"]["connection"]), port=beside))
        yield region


def run(profile: Profile, names: list[str], region: str, jobs: int) -> dict[str, Line]:
    """What became of each of these tests; those that did not run are missing."""
    work, venv = WORK / profile.name, lab.venv("tempest", *REQUIREMENTS)
    (work / "lock").mkdir(parents=True, exist_ok=True)
    (work / "tempest.log").unlink(missing_ok=True)
    (work / "tempest.conf").write_text(tempest_conf(profile, region, lab.keystone().url, lab.nginx()))
    site = next((venv / "lib").glob("python3.*")) / "site-packages"
    (work / ".stestr.conf").write_text(
        f"[DEFAULT]\ntest_path={site}/tempest/test_discover\ntop_dir={site}\ngroup_regex=([^\\.]*\\.)*\n"
    )
    (work / "include.txt").write_text("".join(f"^{re.escape(name)}(\\[|$)\n" for name in names))
    env = {
        **os.environ,
        "TEMPEST_CONFIG_DIR": str(work),
        "TEMPEST_CONFIG": "tempest.conf",
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
    }
    if not (work / ".stestr").exists():
        subprocess.run([venv / "bin" / "stestr", "init"], cwd=work, env=env, check=True, capture_output=True)
    with (work / "subunit").open("wb") as stream, (work / "stestr.log").open("wb") as log:
        subprocess.run(
            [venv / "bin" / "stestr", "run", "--concurrency", str(jobs), "--subunit", "--include-list", "include.txt"],
            cwd=work,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=log,
            check=False,
        )
    with (work / "subunit").open("rb") as stream:
        subprocess.run(
            [venv / "bin" / "python", HERE / "subunit_lines.py", work / "lines.txt", work / "failures.txt"],
            stdin=stream,
            check=True,
        )
    lines = {}
    for row in (work / "lines.txt").read_text().splitlines():
        status, name, seconds, reason = row.split("\t")
        lines[name] = Line(status, name, float(seconds), reason)
    return lines


def verdict(name: str, lines: dict[str, Line]) -> Line:
    """A skipped or broken class takes its tests with it."""
    if name in lines and lines[name].status == "PASS":
        return lines[name]
    found = lines.get(name) or lines.get(f"setUpClass ({name.rpartition('.')[0]})")
    if found is None:
        return Line("FAIL", name, 0.0, "did not run")
    return Line("FAIL", name, found.seconds, f"{'skipped: ' if found.status == 'SKIP' else ''}{found.reason}")


def junit(verdicts: list[Line], file: Path) -> None:
    suite = ET.Element("testsuite", name="tempest", tests=str(len(verdicts)))
    for line in verdicts:
        classname, _, name = line.name.rpartition(".")
        case = ET.SubElement(
            suite, "testcase", classname=f"{line.profile}.{classname}", name=name, time=f"{line.seconds:.2f}"
        )
        if line.status == "FAIL":
            ET.SubElement(case, "failure", message=line.reason)
    ET.ElementTree(suite).write(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="store_true", help="against the real Glance; nothing is left out")
    parser.add_argument("--only", default="", metavar="REGEX")
    parser.add_argument("--profile", choices=[profile.name for profile in PROFILES])
    parser.add_argument("--junit", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    patterns = {} if options.peer else left_out()
    verdicts: list[Line] = []
    for profile in PROFILES:
        names = [
            name
            for name in names_of(profile.expected)
            if re.search(options.only, name)
            and re.search(profile.only, name)
            and not any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        if names and options.profile in (None, profile.name):
            with endpoint(profile, options.peer) as region:
                lines = run(profile, names, region, options.jobs)
            verdicts += [replace(verdict(name, lines), profile=profile.name) for name in names]
    for line in verdicts:
        print(f"{line.status}\t{line.profile}\t{line.name}\t{line.seconds:.2f}\t{line.reason}")
    failed = sum(line.status == "FAIL" for line in verdicts)
    print(f"{len(verdicts) - failed} passed, {failed} failed; whole texts of failures: {WORK}/*/failures.txt")
    if options.junit:
        junit(verdicts, options.junit)
    return 1 if failed or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
