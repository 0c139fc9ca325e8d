"""The runner of periodic jobs: by interval while it leads, once when asked, and cut off cleanly."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from waiting import until

from glancecore.domain import errors
from glancecore.periodic.job_run import MOST_OF_A_KIND, RunOutcome, from_json
from glancecore.periodic.leadership import LEADER, Leadership
from glancecore.periodic.machine_lock import LocalLeadership, MachineLock
from glancecore.periodic.runner import PREFIX, PeriodicRunner, Scheduled, row
from glancecore.ports.job_repository import JobRecord
from glancecore.ports.periodic import JobContext, PeriodicJob
from glancecore.testing.fakes import MemoryDatabase


class Told(PeriodicJob):
    interval, summary = 60.0, "what the test says"

    def __init__(self, work: Callable[[JobContext], None]) -> None:
        self.work = work

    def run(self, turn: JobContext) -> None:
        self.work(turn)


class Deployment:
    """Several processes' runners on one database and one lock."""

    def __init__(self, folder: Path) -> None:
        self.database = MemoryDatabase()
        self.folder = folder
        self.url = f"file://{folder}"
        self.runners: list[PeriodicRunner] = []

    def runner(self, *jobs: Scheduled, name: str = "p", ttl: float = 1.0, url: str = "") -> PeriodicRunner:
        holder = f"{name}{len(self.runners)}"
        made = PeriodicRunner(
            self.database.jobs,
            {x.name: x for x in jobs},
            holder,
            ttl,
            MachineLock(Path(url.removeprefix("file://") or self.folder)),
            lambda: Leadership(self.database.jobs, holder, url or self.url, ttl),
        )
        self.runners.append(made)
        return made


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    for each in made.runners:
        each.stop()


def test_a_job_runs_by_its_interval(deployment: Deployment) -> None:
    times: list[float] = []
    deployment.runner(Scheduled("j", Told(lambda _: times.append(time.monotonic())), 0.3)).start()
    until(lambda: len(times) >= 3)
    assert all(later - before >= 0.29 for before, later in itertools.pairwise(times))


def test_the_interval_counts_over_restarts(deployment: Deployment) -> None:
    ran: list[int] = []
    job = Scheduled("j", Told(lambda _: ran.append(1)), 3600)
    deployment.runner(job).start()
    until(lambda: deployment.database.jobs.record(PREFIX + "j").ended_at)
    deployment.runners[0].stop()
    deployment.runner(job).start()
    until(lambda: deployment.database.jobs.holder(LEADER) == "p1")
    time.sleep(0.5)
    assert ran == [1]


def test_a_failed_run_is_reported_and_tried_again_soon(deployment: Deployment) -> None:
    def work(turn: JobContext) -> None:
        turn.count("seen", 2)
        raise KeyError("secret")

    runner = deployment.runner(Scheduled("j", Told(work), 86400))
    runner.start()
    until(lambda: deployment.database.jobs.record(PREFIX + "j").ended_at)
    report = deployment.database.jobs.record(PREFIX + "j").report
    assert report is not None
    run = from_json(report)
    assert (run.outcome, run.report.counts) == (RunOutcome.FAILED, {"seen": 2, "errors": 1})
    assert "KeyError" in run.report.errors[0]
    assert "secret" not in run.text()
    assert runner._seconds_left(runner._scheduled["j"]) <= 300


def test_a_job_does_not_run_where_nobody_leads(deployment: Deployment) -> None:
    ran: list[int] = []
    deployment.database.jobs.hold(LEADER, "somebody else", 60)
    deployment.runner(Scheduled("j", Told(lambda _: ran.append(1)), 0.1)).start()
    time.sleep(0.7)
    assert ran == []


def test_file_locks_of_two_machines_make_one_leader(deployment: Deployment, tmp_path: Path) -> None:
    """Each gets its own folder's lock; the database has one leader's row."""
    running, most, ran = [0], [0], [0]

    def work(turn: JobContext) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.02)
        running[0] -= 1
        ran[0] += 1

    for n in range(3):
        (tmp_path / str(n)).mkdir()
        deployment.runner(Scheduled("j", Told(work), 0.05), url=f"file://{tmp_path / str(n)}").start()
    until(lambda: ran[0] >= 5)
    assert most == [1]
    assert sum(x._leads() for x in deployment.runners) == 1


def test_a_stopped_leader_is_followed_at_once_and_its_job_goes_on(deployment: Deployment) -> None:
    seen: list[int] = []

    def work(turn: JobContext) -> None:
        at = turn.state.get("at", 0)
        assert isinstance(at, int)
        while at < 10:
            turn.pause(0.1)
            seen.append(at)
            at += 1
            turn.remember({"at": at})

    job = Scheduled("j", Told(work), 3600)
    deployment.runner(job).start()
    until(lambda: len(seen) >= 3)
    deployment.runner(job).start()
    deployment.runners[0].stop()
    until(lambda: deployment.database.jobs.record(PREFIX + "j").ended_at)
    assert seen == list(range(10)), "nothing twice, nothing left out"
    assert deployment.database.jobs.holder(LEADER) == "p1"


def test_a_job_ends_when_its_process_no_longer_leads(deployment: Deployment) -> None:
    ended = threading.Event()

    def work(turn: JobContext) -> None:
        try:
            while True:
                turn.check()
                time.sleep(0.01)
        except errors.JobStopped:
            ended.set()
            raise

    runner = deployment.runner(Scheduled("j", Told(work), 3600))
    runner.start()
    until(lambda: deployment.database.jobs.holder(PREFIX + "j"))
    jobs = deployment.database.jobs
    jobs.let_go(LEADER, "p0")
    assert jobs.hold(LEADER, "somebody else", 60)
    assert ended.wait(5)
    until(lambda: jobs.record(PREFIX + "j").report)
    assert jobs.record(PREFIX + "j").ended_at is None, "whoever leads next goes on"
    assert from_json(jobs.record(PREFIX + "j").report or {}).outcome is RunOutcome.STOPPED


def test_a_leader_that_can_not_say_that_it_lives_stops_leading(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = deployment.runner(Scheduled("j", Told(lambda _: None), 3600))
    runner.start()
    until(runner._leads)

    def away(*_: object) -> bool:
        raise errors.DatabaseUnavailable("away")

    monkeypatch.setattr(deployment.database.jobs, "hold", away)
    time.sleep(1.0)  # its ttl
    assert not runner._leads()
    monkeypatch.undo()
    until(runner._leads)


def test_one_run_now(deployment: Deployment) -> None:
    def work(turn: JobContext) -> None:
        turn.find("orphan", "fast/x", "nobody's")
        turn.count("checked", 3)
        turn.remember({"at": "x"})

    runner = deployment.runner()
    run = runner.run(Scheduled("j", Told(work), 3600), dry_run=False)
    assert (run.outcome, run.report.counts) == (RunOutcome.DONE, {"orphan": 1, "checked": 3})
    assert "[orphan] fast/x: nobody's" in run.text()
    assert from_json(run.as_json()).report == run.report
    record = deployment.database.jobs.record(PREFIX + "j")
    assert (record.state, record.report) == ({"at": "x"}, run.as_json())


def test_a_dry_run_keeps_nothing_and_may_go_beside_another(deployment: Deployment) -> None:
    jobs = deployment.database.jobs
    assert jobs.hold(PREFIX + "j", "leader", 60)
    jobs.keep(PREFIX + "j", "leader", JobRecord(datetime.now(UTC) - timedelta(days=1), state={"at": "x"}))
    states: list[object] = []

    def work(turn: JobContext) -> None:
        assert turn.dry_run
        states.append(turn.state)
        turn.remember({"at": "y"})

    before = jobs.record(PREFIX + "j")
    assert deployment.runner().run(Scheduled("j", Told(work), 3600), dry_run=True).outcome is RunOutcome.DONE
    assert states == [{"at": "x"}]
    assert jobs.record(PREFIX + "j") == before
    assert jobs.holder(PREFIX + "j") == "leader"


def test_a_job_that_runs_elsewhere_is_not_run_beside_it(deployment: Deployment) -> None:
    assert deployment.database.jobs.hold(PREFIX + "j", "leader", 60)
    with pytest.raises(errors.ImageBusy, match="leader"):
        deployment.runner().run(Scheduled("j", Told(lambda _: None), 3600), dry_run=False)


def test_a_long_run_is_held_until_its_end(deployment: Deployment) -> None:
    jobs = deployment.database.jobs

    def work(turn: JobContext) -> None:
        for _ in range(15):
            time.sleep(0.1)
            turn.check()
            assert not jobs.hold(PREFIX + "j", "thief", 1)

    assert deployment.runner(ttl=0.5).run(Scheduled("j", Told(work), 3600), dry_run=False).outcome is RunOutcome.DONE
    assert jobs.holder(PREFIX + "j") is None


def test_a_report_is_bounded(deployment: Deployment) -> None:
    def work(turn: JobContext) -> None:
        for n in range(5000):
            turn.find("orphan", f"fast/{n}", "nobody's")
            turn.fail(f"no {n}")
        turn.find("damaged", "x", "it is")

    run = deployment.runner().run(Scheduled("j", Told(work), 3600), dry_run=False)
    assert run.report.counts == {"orphan": 5000, "errors": 5000, "damaged": 1}
    assert len(run.report.findings) == MOST_OF_A_KIND + 1
    assert len(run.report.errors) == MOST_OF_A_KIND


def test_one_process_of_a_machine_is_a_candidate(tmp_path: Path) -> None:
    first, second = MachineLock(tmp_path / "locks"), MachineLock(tmp_path / "locks")
    assert first.take()
    assert not second.take()
    first.let_go()
    assert second.take()
    second.let_go()


def test_a_folder_that_can_not_be_used_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "locks").write_text("a file")
    candidate = MachineLock(tmp_path / "locks")
    assert not candidate.take()
    assert not candidate.take()
    assert [x.getMessage().split(":")[0] for x in caplog.records] == ["[periodic] lock_path"]


# -- a machine's own jobs --------------------------------------------------------------------------
def machine(
    deployment: Deployment, name: str, work: Callable[[JobContext], None], interval: float = 3600
) -> PeriodicRunner:
    """One process of that machine."""
    holder = f"{name}-{len(deployment.runners)}"
    made = PeriodicRunner(
        deployment.database.jobs,
        {"j": Scheduled("j", Told(work), interval, machine=name)},
        holder,
        1.0,
        MachineLock(deployment.folder / name),
        LocalLeadership,
    )
    deployment.runners.append(made)
    return made


def test_each_machine_runs_its_own_jobs(deployment: Deployment) -> None:
    ran: list[str] = []
    for name in ("one", "one", "two"):
        machine(deployment, name, lambda _, name=name: ran.append(name), 0.1).start()  # type: ignore[misc]
    until(lambda: {"one", "two"} <= set(ran))
    reports = [deployment.database.jobs.record(row("j", x)).report for x in ("one", "two")]
    assert [x is not None for x in reports] == [True, True]
    assert deployment.database.jobs.record(row("j")).report is None
    assert deployment.database.jobs.holder(LEADER) is None, "nobody leads for that"


def test_one_process_of_a_machine_takes_over_from_another(deployment: Deployment) -> None:
    ran: list[int] = []
    first = machine(deployment, "one", lambda _: ran.append(1), 0.1)
    second = machine(deployment, "one", lambda _: ran.append(2), 0.1)
    first.start()
    until(lambda: ran)
    second.start()
    first.stop()
    until(lambda: 2 in ran)


def test_a_wanted_run_is_made_at_once_and_once_more_for_later_wishes(deployment: Deployment) -> None:
    began, go_on, ran = threading.Event(), threading.Event(), []

    def work(_turn: JobContext) -> None:
        ran.append(1)
        began.set()
        go_on.wait(10)

    runner = machine(deployment, "one", work)
    runner.now("j")
    time.sleep(0.1)
    assert not ran, "not in a process that runs no jobs"
    runner.start()
    began.wait(10)  # the regular one
    for _ in range(5):
        runner.now("j")
    time.sleep(0.1)
    assert len(ran) == 1
    go_on.set()
    until(lambda: len(ran) == 2)
    time.sleep(1.0)
    assert len(ran) == 2, "five wishes, one run"
    runner.now("j")
    until(lambda: len(ran) == 3)
    runner.now("no such job")


def test_a_wish_is_heard_after_one_that_went_wrong(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    runner = machine(deployment, "one", lambda _: ran.append(1))
    runner.start()
    until(lambda: len(ran) == 1)
    until(lambda: deployment.database.jobs.record(row("j", "one")).ended_at)
    failed = threading.Event()

    def broken(_scheduled: Scheduled, *, dry_run: bool) -> None:
        failed.set()
        raise RuntimeError("nobody knows")

    with monkeypatch.context() as patched:
        patched.setattr(runner, "run", broken)
        runner.now("j")
        failed.wait(10)
        time.sleep(0.1)
    runner.now("j")
    until(lambda: len(ran) == 2)


def test_two_threads_of_a_process_do_not_run_a_job_at_once(deployment: Deployment) -> None:
    began, go_on = threading.Event(), threading.Event()

    def work(_turn: JobContext) -> None:
        began.set()
        go_on.wait(10)

    runner = deployment.runner()
    job = Scheduled("j", Told(work), 3600)
    thread = threading.Thread(target=runner.run, args=(job,), kwargs={"dry_run": False})
    thread.start()
    began.wait(10)
    with pytest.raises(errors.ImageBusy, match="in this process"):
        runner.run(job, dry_run=False)
    go_on.set()
    thread.join()
