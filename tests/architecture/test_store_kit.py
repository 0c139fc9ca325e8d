"""Every rule of the store kit is seen to fail, on a driver that breaks it; a driver without mistakes passes them
all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from glancecore.testing._store_parts import PartsRules
from glancecore.testing.store import Reach, StoreConformance

pytestmark = pytest.mark.long

FILES = [
    Path(__file__).with_name(name)
    for name in ("store_saboteurs.py", "store_saboteurs_late.py", "store_saboteurs_parts.py")
]
GOOD = {"FolderStore": FILES[0], "ReadOnlyStore": FILES[0], "PresigningStore": FILES[0], "RowStore": FILES[1]}
#: Without CI's mark: Hypothesis would then search in one fixed order, in which it shrinks a saboteur's mistake for
#: minutes.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "GITHUB_ACTIONS")}
ENVIRONMENT["PYTHONPATH"] = str(Path(__file__).parents[1])
SABOTEURS = {
    file: json.loads(subprocess.run([sys.executable, file], check=True, capture_output=True, env=ENVIRONMENT).stdout)
    for file in FILES
}
CAUGHT_BY = {driver: rules for drivers in SABOTEURS.values() for driver, rules in drivers.items()}
RULES = {name for name in dir(StoreConformance) if name.startswith("test_")}
PARTS = {name for name in dir(PartsRules) if name.startswith("test_")}
HANG = ("HangsInPut", "HangsWhileItReads", "HangsElsewhere")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """{driver: {rule: [failed or not, for each parameter]}} of one run in a process of its own."""
    report = tmp_path_factory.mktemp("kit") / "report.xml"
    wanted = [f"{file}::Test{driver}" for driver, file in GOOD.items()]
    wanted += [f"{FILES[2]}::TestPartsStore::{rule}" for rule in PARTS]  # the others are seen on its base class
    wanted += [
        f"{file}::Test{driver}::{rule}"
        for file, drivers in SABOTEURS.items()
        for driver, rules in drivers.items()
        for rule in rules
    ]
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


@pytest.mark.parametrize("driver", GOOD)
def test_driver_without_mistakes_passes(results, driver):
    assert {rule: bad for rule, runs in results[driver].items() if (bad := [run for run in runs if run])} == {}
    assert set(results[driver]) == (
        RULES if driver != "RowStore" else {rule for rule in RULES if rule not in off_in_rows()}
    )


def test_one_that_takes_parts_passes(results):
    assert {rule: bad for rule, runs in results["PartsStore"].items() if (bad := [run for run in runs if run])} == {}
    assert set(results["PartsStore"]) == PARTS


def off_in_rows():
    """It spools in memory, and has nobody who can damage it."""
    return {
        "test_memory_stays_constant",
        *(
            name
            for name in RULES
            if getattr(getattr(StoreConformance, name), "reach", None) in {Reach.BREAK, Reach.CUT}
        ),
    }


@pytest.mark.parametrize(("driver", "rule"), [(driver, rule) for driver, rules in CAUGHT_BY.items() for rule in rules])
def test_saboteur_is_caught(results, driver, rule):
    assert any(results[driver][rule]), f"{rule} passes on {driver}"


@pytest.mark.parametrize("driver", HANG)
def test_what_hangs_is_said_to_hang(results, driver):
    said = [message for runs in results[driver].values() for run in runs for message in run]
    assert any("did not return within" in message for message in said)


def test_every_rule_has_been_seen_to_fail():
    assert {rule for rules in CAUGHT_BY.values() for rule in rules} == RULES
