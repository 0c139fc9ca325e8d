"""Every rule of the cache kit is seen to fail, on a driver that breaks it; a driver without mistakes passes them
all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from glancecore.testing.cache import CacheConformance

pytestmark = pytest.mark.long

FILE = Path(__file__).with_name("cache_saboteurs.py")
#: Without CI's mark: Hypothesis would then search in one fixed order, in which it shrinks a saboteur's mistake for
#: minutes.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "GITHUB_ACTIONS")}
CAUGHT_BY = json.loads(subprocess.run([sys.executable, FILE], check=True, capture_output=True).stdout)
RULES = {name for name in vars(CacheConformance) if name.startswith("test_")}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """{driver: {rule: [failed or not, for each parameter]}} of one run in a process of its own."""
    report = tmp_path_factory.mktemp("kit") / "report.xml"
    wanted = [f"{FILE}::Test{driver}" for driver in ("FileCache",)]
    wanted += [f"{FILE}::Test{driver}::{rule}" for driver, rules in CAUGHT_BY.items() for rule in rules]
    log = report.with_suffix(".log")
    with log.open("wb") as out:  # a file, not a pipe: a saboteur may leave processes behind that would keep a pipe open
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "--timeout=100",
                f"--junitxml={report}",
                "--tb=line",
                *wanted,
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
            env=ENVIRONMENT,
        )
    assert done.returncode == 1, log.read_text(errors="replace")
    results = {}
    for case in ET.parse(report).iter("testcase"):
        rules = results.setdefault(case.get("classname").rpartition(".Test")[2], {})
        assert case.find("skipped") is None
        rules.setdefault(case.get("name").partition("[")[0], []).append(
            [child.get("message") for child in case if child.tag in {"failure", "error"}]
        )
    return results


@pytest.mark.parametrize("driver", ["FileCache"])
def test_driver_without_mistakes_passes(results, driver):
    assert {rule: bad for rule, runs in results[driver].items() if (bad := [run for run in runs if run])} == {}
    assert set(results[driver]) == RULES


@pytest.mark.parametrize(("driver", "rule"), [(driver, rule) for driver, rules in CAUGHT_BY.items() for rule in rules])
def test_saboteur_is_caught(results, driver, rule):
    assert any(results[driver][rule]), f"{rule} passes on {driver}"


def test_every_rule_has_been_seen_to_fail():
    assert {rule for rules in CAUGHT_BY.values() for rule in rules} == RULES
