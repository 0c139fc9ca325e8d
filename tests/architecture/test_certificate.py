"""The certificate says what a kit could not test, and what the driver's author did not want tested."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glancecore.assembly.kit_certificate import certificate, summary
from glancecore.testing.store import StoreConformance

pytestmark = pytest.mark.long

TESTS = '''
from uuid import uuid4

import pytest
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import Reach, StoreConformance, make_store


class TestQuiet(StoreConformance):
    """Says nothing of what it leaves out."""

    reach = frozenset()
    many, examples = 3, 1
    test_threads_do_not_disturb_each_other = None  # its backend has one thread
    test_keys_that_resemble_each_other_are_different = None

    @pytest.fixture
    def store(self):
        return make_store(MemoryStore, memory_store_place=uuid4().hex)

    @pytest.fixture
    def neighbour(self):
        return make_store(MemoryStore, "other", memory_store_place=uuid4().hex)

    def test_free_is_bytes_or_unknown(self):
        """Is no longer the kit's."""

    def names(self, store, backdoor):
        return set()


class TestMore(TestQuiet):
    reach = frozenset({Reach.PROCESSES})
'''


OTHERS = """
import pytest
from glancecore.builtin.config_quota import ConfigQuota
from glancecore.domain.quota import Limits
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.quota import QuotaConformance, make_quota
from glancecore.testing.record_repository import RecordConformance


class TestQuota(QuotaConformance):
    patience = 60.0
    secrets = ("sesame",)
    test_many_threads_are_not_mixed_up = None  # it has none

    @pytest.fixture
    def quota(self):
        return make_quota(ConfigQuota, config())

    @pytest.fixture
    def expected(self):
        return {}


class TestRecords(RecordConformance):
    @pytest.fixture
    def database(self):
        return MemoryDatabase()


def config():
    from glancecore import conf
    return conf.new(args=[], files=[])
"""


def run(folder: Path, *words: str, tests: str = TESTS) -> tuple[dict, str, str]:
    file = folder / "test_quiet.py"
    file.write_text(tests)
    wanted = folder / "certificate.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "glancecore.testing.certificate",
            "-c",
            os.devnull,
            "--rootdir",
            folder,
            "--certificate",
            wanted,
            *words,
            file,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert wanted.exists(), done.stdout + done.stderr
    return json.loads(wanted.read_text()), wanted.with_suffix(".txt").read_text(), done.stdout


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("certificate"), "-k", "TestQuiet")


def test_what_was_not_tested_is_said(whole):
    told, text, printed = whole
    quiet = next(x for x in told["setups"] if x["setup"] == "TestQuiet")
    assert quiet["driver"] == "glancecore.testing.memory_store:MemoryStore"
    assert quiet["back_door"] is None
    assert quiet["missing_reach"]["test_blob_that_lost_bytes_is_not_quietly_short"] == "cut"
    assert quiet["missing_reach"]["test_another_process_sees_the_blob"] == "processes"
    assert quiet["switched_off"] == {
        "test_threads_do_not_disturb_each_other": "its backend has one thread",
        "test_keys_that_resemble_each_other_are_different": "",
    }
    assert set(quiet["replaced"]) == {"test_free_is_bytes_or_unknown", "names"}
    assert quiet["bounds"] == {
        "many": {"here": 3, "kit": StoreConformance.many},
        "examples": {"here": 1, "kit": StoreConformance.examples},
    }
    assert set(quiet["rules"].values()) == {"passed"}
    assert quiet["passed"] is True
    assert {"test_blob_that_lost_bytes_is_not_quietly_short", "test_threads_do_not_disturb_each_other"} < set(
        told["not_tested_anywhere"]
    )
    for said in (text, printed):
        assert "NO BACK DOOR" in said
        assert "threads do not disturb each other: its backend has one thread" in said
        assert "keys that resemble each other are different: NO REASON GIVEN" in said
        assert "another process sees the blob (needs processes)" in said


def test_a_set_up_that_was_not_run_is_no_pass(whole):
    assert whole[0]["passed"] is False


def test_what_was_left_out_of_the_run_is_said(tmp_path):
    told, text, _ = run(tmp_path, "-k", "TestMore and declaration")
    [more] = told["setups"]
    assert told["passed"] is more["passed"] is False
    assert more["rules"]["test_declaration_is_well_formed"] == "passed"
    assert more["rules"]["test_another_process_sees_the_blob"] == "not run", "more reach than the base class has"
    assert "NOT PASSED" in text


def test_every_kit_has_one(tmp_path):
    told, text, _ = run(tmp_path, "-k", "TestQuota and options or TestRecords", tests=OTHERS)
    assert told["certificate"] == "quota, record kits"
    quota, records = told["setups"]
    assert (quota["kit"], quota["driver"], quota["distribution"]) == (
        "quota",
        "glancecore.builtin.config_quota:ConfigQuota",
        "glancecore 1.0.0",
    )
    assert (quota["rules"]["test_options_can_be_declared_and_shown"], quota["rules"]["test_no_secret_is_told"]) == (
        "passed",
        "not run",
    )
    assert quota["switched_off"] == {"test_many_threads_are_not_mixed_up": "it has none"}
    assert (quota["replaced"], quota["bounds"]) == ([], {"patience": {"here": 60.0, "kit": 15.0}})
    assert (records["kit"], records["passed"], told["passed"]) == ("record", True, False)
    assert "quota: test_no_secret_is_told" in told["not_tested_anywhere"]
    assert not any(x.startswith("record: ") for x in told["not_tested_anywhere"])
    assert "BACK DOOR" not in text
    assert summary(told, "glancecore 1.0.0").startswith("not passed the quota, record kits of glancecore 1.0.0, ")


def test_of_a_package_that_ships_one_it_is_told_without_an_import(tmp_path, monkeypatch):
    package = tmp_path / "kit_certified"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    told = {
        "certificate": "store kit",
        "glancecore": "1.0.0",
        "passed": True,
        "not_tested_anywhere": ["test_x"],
        "setups": [{"distribution": "kit 1.0", "back_door": None, "switched_off": {}}],
    }
    (package / "certificate.json").write_text(json.dumps(told))
    monkeypatch.syspath_prepend(tmp_path)
    assert certificate("kit_certified.driver:Store") == told
    assert summary(told, "kit 1.0") == "passed the store kit of glancecore 1.0.0, no back door, 1 rules not tested"
    assert summary(told, "kit 1.1").endswith(", but as kit 1.0")
    (package / "certificate.json").write_text("[]")
    assert certificate("kit_certified.driver:Store") is None
    assert certificate("kit_not_there.driver:Store") is None
    assert summary(None, "kit 1.0") == ""
