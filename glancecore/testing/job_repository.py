"""The conformance kit for periodic jobs of a database driver: one test for each rule of
``glancecore.ports.job_repository``.

class TestMine(JobConformance):
    @pytest.fixture
    def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import time

import pytest

from glancecore.domain import errors
from glancecore.ports.job_repository import JobRecord
from glancecore.ports.repository import Database
from glancecore.testing.examples import after
from glancecore.testing.repository import TEXTS, race


class JobConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give the kit a synced and empty database")

    # -- holding -----------------------------------------------------------------------------------
    def test_one_holds_it(self, database: Database) -> None:
        jobs = database.jobs
        assert jobs.holder("auditor") is None
        assert jobs.hold("auditor", "a", 60)
        assert not jobs.hold("auditor", "b", 60)
        assert jobs.holder("auditor") == "a"
        assert jobs.hold("reaper", "b", 60), "another job is another matter"

    def test_of_many_at_once_one_gets_it(self, database: Database) -> None:
        for name in ("first", "second", "third"):
            got: list[int] = []
            race(8, lambda n, name=name, got=got: got.append(n) if database.jobs.hold(name, f"p{n}", 60) else None)  # type: ignore[misc]
            assert len(got) == 1
            assert database.jobs.holder(name) == f"p{got[0]}"

    def test_it_is_extended_from_now(self, database: Database) -> None:
        jobs = database.jobs
        assert jobs.hold("auditor", "a", 0.4)
        assert jobs.hold("auditor", "a", 60)
        time.sleep(0.6)
        assert not jobs.hold("auditor", "b", 60)
        assert jobs.hold("auditor", "a", 0.05), "also to less"
        time.sleep(0.2)
        assert jobs.hold("auditor", "b", 60)

    def test_who_is_silent_loses_it(self, database: Database) -> None:
        jobs = database.jobs
        assert jobs.hold("auditor", "a", 0.05)
        time.sleep(0.2)
        assert jobs.holder("auditor") is None
        assert jobs.hold("auditor", "b", 60)
        assert not jobs.hold("auditor", "a", 60)

    def test_who_is_late_has_it_again_when_nobody_took_it(self, database: Database) -> None:
        jobs = database.jobs
        assert jobs.hold("auditor", "a", 0.05)
        time.sleep(0.2)
        assert jobs.hold("auditor", "a", 60)
        assert not jobs.hold("auditor", "b", 60)

    def test_what_is_let_go_is_free_at_once(self, database: Database) -> None:
        jobs = database.jobs
        assert jobs.hold("auditor", "a", 60)
        jobs.let_go("auditor", "b")
        assert jobs.holder("auditor") == "a"
        jobs.let_go("auditor", "a")
        jobs.let_go("auditor", "a")
        assert jobs.holder("auditor") is None
        assert jobs.hold("auditor", "b", 60)

    # -- records -----------------------------------------------------------------------------------
    def test_a_record_is_read_as_it_was_kept(self, database: Database) -> None:
        jobs = database.jobs
        assert jobs.record("auditor") == JobRecord()
        assert jobs.hold("auditor", "a", 60)
        assert jobs.record("auditor") == JobRecord()
        record = JobRecord(
            after(0.5), after(9), {"at": "x", "passes": 3, "seen": [1, None]}, {"counts": {"checked": 1}, "errors": []}
        )
        jobs.keep("auditor", "a", record)
        assert jobs.record("auditor") == record
        jobs.keep("auditor", "a", JobRecord(after(10)))
        assert jobs.record("auditor") == JobRecord(after(10))
        assert jobs.record("reaper") == JobRecord()

    @pytest.mark.parametrize("text", TEXTS)
    def test_any_text_is_kept(self, database: Database, text: str) -> None:
        assert database.jobs.hold("auditor", "a", 60)
        record = JobRecord(state={"text": text})
        database.jobs.keep("auditor", "a", record)
        assert database.jobs.record("auditor") == record

    def test_only_its_holder_keeps_a_record(self, database: Database) -> None:
        jobs = database.jobs
        with pytest.raises(errors.LeaseLost):
            jobs.keep("auditor", "a", JobRecord(after(1)))
        assert jobs.hold("auditor", "a", 0.05)
        jobs.keep("auditor", "a", JobRecord(after(1)))
        time.sleep(0.2)
        assert jobs.hold("auditor", "b", 60)
        with pytest.raises(errors.LeaseLost):
            jobs.keep("auditor", "a", JobRecord(after(2)))
        jobs.let_go("auditor", "b")
        with pytest.raises(errors.LeaseLost):
            jobs.keep("auditor", "b", JobRecord(after(3)))
        assert jobs.record("auditor") == JobRecord(after(1))

    def test_a_record_outlives_its_holders(self, database: Database) -> None:
        jobs = database.jobs
        assert jobs.hold("auditor", "a", 60)
        jobs.keep("auditor", "a", JobRecord(after(1), state={"at": "x"}))
        jobs.let_go("auditor", "a")
        assert jobs.hold("auditor", "b", 60)
        assert jobs.record("auditor").state == {"at": "x"}
