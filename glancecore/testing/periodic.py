"""The conformance kit for periodic jobs: one test for each rule of ``glancecore.ports.periodic``.

    class TestMine(PeriodicJobConformance):
        @pytest.fixture
        def make_place(self, tmp_path): ...         # makes Places: a database and stores that the job works on
        units = 5                                   # of work that a filled place has for it

What the job makes of its work is its own test.
"""

from __future__ import annotations

import json
import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import pytest

from glancecore.domain import errors
from glancecore.ports.options import Options
from glancecore.ports.periodic import Finding, JobTools, PeriodicJob, job_options
from glancecore.testing._plugin import check_hidden, check_options, configured, within

AnyJob = TypeVar("AnyJob", bound=PeriodicJob)
#: Seconds that a run may take, all in all, and from when it was told to stop.
RUN_TIMEOUT, STOPPING = 60.0, 5.0
#: Bytes of a remembered state, and kinds of counts and findings that one job may have: they are words for programs, not
#: ids.
MOST_STATE, MOST_KINDS = 1 << 16, 20
#: Characters of such a word.
LONGEST_WORD = 40
#: At so many points a run is stopped, and killed.
STOPS, KILLS = 5, 7


def make_job(cls: type[AnyJob], tools: JobTools | Any, **options: Any) -> AnyJob:
    """A job of ``cls`` whose section holds ``options``, and nothing that it did not declare."""
    declared: Options = job_options(cls.interval, cls.options)
    return cls(configured("periodic", declared, options)[0], tools)


class Place(ABC):
    """A database and stores, or whatever the job works on. ``secrets``: what the job may see there, and must tell
    nobody."""

    secrets: tuple[str, ...] = ()

    @abstractmethod
    def job(self) -> PeriodicJob:
        """Made anew, as in another process."""

    @abstractmethod
    def seen(self) -> object:
        """All that the job may change, to be compared: equal for two places that were filled alike and on which the
        same was done."""

    def elsewhere(self) -> object:
        """All that is another machine's; only a job of the machine has such."""
        return None

    def rest(self) -> None:  # noqa: B027 (most have nothing to wait for)
        """Wait until what others do at the job's wish, such as an import, has ended: it goes on when the job is
        stopped."""

    def close(self) -> None:  # noqa: B027 (nor to give back)
        """Give it back."""


class Killed(BaseException):
    """The process dies here."""


class KitTurn:
    """A ``Turn``. ``stop_after``: the call of check, pause or remember that raises JobStopped; ``die_after``: the call
    of anything that is the last one of its process."""

    def __init__(
        self,
        place: Place,
        state: Mapping[str, object] | None = None,
        *,
        dry_run: bool = False,
        stop_after: int | None = None,
        die_after: int | None = None,
    ) -> None:
        self._place = place
        self._dry_run = dry_run
        self._stop_after = stop_after
        self._die_after = die_after
        self._state = dict(state or {})
        self.checks = self.calls = 0
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self.errors: list[str] = []
        #: What there was when it was told to stop, and when that was.
        self.stopped: object = None
        self.stopped_at = 0.0
        self.died = False

    @property
    def dry_run(self) -> bool:
        return self._dry_run

    @property
    def state(self) -> Mapping[str, object]:
        return self._state

    def remember(self, state: Mapping[str, object]) -> None:
        self.check()
        text = json.dumps(dict(state))
        assert json.loads(text) == dict(state), f"the state is not the same when it has been JSON: {state}"
        assert len(text) <= MOST_STATE, f"a state of {len(text)} bytes"
        if not self._dry_run:
            self._state = json.loads(text)

    def check(self) -> None:
        self._live()
        self.checks += 1
        if self._stop_after is not None and self.checks > self._stop_after:
            if self.stopped is None:
                self._place.rest()
                self.stopped = (self._place.seen(), self._place.elsewhere())
                self.stopped_at = time.monotonic()
            raise errors.JobStopped("the process ends")

    def pause(self, seconds: float) -> None:
        assert seconds >= 0
        self.check()
        time.sleep(min(seconds, 0.02))  # others may be at work that the job waits for
        self.check()

    def count(self, what: str, by: int = 1) -> None:
        self._live()
        _check_word(what)
        assert isinstance(by, int)
        assert by >= 0, f"{what}: counted backwards"
        self.counts[what] += by

    def find(self, kind: str, subject: str, text: str) -> None:
        self._live()
        _check_word(kind)
        assert subject, f"{kind}: a finding is about something"
        _check_text(text)
        self.counts[kind] += 1
        self.findings.append(Finding(kind, subject, text))

    def fail(self, text: str) -> None:
        self._live()
        _check_text(text)
        self.errors.append(text)

    @property
    def told(self) -> object:
        return {x: y for x, y in self.counts.items() if y}, self.findings, self.errors

    def _live(self) -> None:
        self.calls += 1
        if self._die_after is not None and self.calls > self._die_after:
            self.died = True
            raise Killed


def _check_word(word: str) -> None:
    assert isinstance(word, str)
    assert 0 < len(word) <= LONGEST_WORD, f"a word for programs, not {word!r}"
    assert word.isprintable()


def _check_text(text: str) -> None:
    assert text.strip(), "a sentence is needed"
    assert "://" not in text, f"the sentence has a URL: {text}"
    assert "\n" not in text, f"one sentence, one line: {text!r}"


MakePlace = Callable[[bool], Place]


class PeriodicJobConformance:
    #: Pieces of work that a filled place has for the job.
    units: ClassVar[int] = 3

    @pytest.fixture
    def make_place(self) -> MakePlace:
        """Makes a place: filled, always in the same way, or empty."""
        raise NotImplementedError("give the kit what makes places")

    @pytest.fixture
    def places(self, make_place: MakePlace) -> Iterator[MakePlace]:
        """The same, closed at the end."""
        made: list[Place] = []

        def make(filled: bool) -> Place:
            made.append(make_place(filled))
            return made[-1]

        yield make
        for each in made:
            each.close()

    # -- what it says of itself --------------------------------------------------------------------
    def test_it_can_be_declared_and_shown(self, places: MakePlace) -> None:
        job = places(False).job()
        check_options(job.options)
        assert job.interval >= 1, "interval is a number of seconds"
        assert job.summary.strip(), "summary is a line"
        assert "\n" not in job.summary, "summary is one line"
        assert isinstance(job.alarms, frozenset)
        assert isinstance(job.of_machine, bool)

    def test_whether_it_applies_is_known(self, places: MakePlace) -> None:
        assert places(True).job().applies() is True

    def test_it_does_nothing_before_it_runs(self, places: MakePlace) -> None:
        place = places(True)
        before = place.seen(), place.elsewhere()
        place.job()
        assert (place.seen(), place.elsewhere()) == before

    # -- one run -----------------------------------------------------------------------------------
    def test_an_empty_place_is_no_fault(self, places: MakePlace) -> None:
        place = places(False)
        before = place.seen()
        turn = run(place)
        assert not turn.findings, turn.findings
        assert not turn.errors, turn.errors
        assert place.seen() == before

    def test_it_tells_what_it_does(self, places: MakePlace) -> None:
        turn = run(places(True))
        assert turn.counts or turn.findings, "count, or find"
        assert len(turn.counts) <= MOST_KINDS, (
            f"{len(turn.counts)} kinds of counts: they are words for programs, not ids"
        )
        assert not turn.errors, turn.errors

    def test_it_settles(self, places: MakePlace) -> None:
        """What is done is done: another run changes nothing more."""
        place = places(True)
        state = run(place).state
        after = place.seen()
        run(place, state)
        assert place.seen() == after

    def test_a_dry_run_changes_nothing(self, places: MakePlace) -> None:
        place = places(True)
        before = place.seen(), place.elsewhere()
        turn = run(place, dry_run=True)
        assert (place.seen(), place.elsewhere()) == before
        assert not turn.state

    def test_a_dry_run_tells_what_would_be_done(self, places: MakePlace) -> None:
        place = places(True)
        before, dry = place.seen(), run(place, dry_run=True)
        run(place)
        if place.seen() != before:
            assert dry.findings or any(dry.counts.values()), "it would change something, and tells nothing"

    def test_machines_are_left_alone(self, places: MakePlace) -> None:
        """A job of the machine touches that machine's; one of the deployment has no machine."""
        place = places(True)
        before = place.elsewhere()
        assert place.job().of_machine == (before is not None), (
            "of_machine, and only then, something is another machine's"
        )
        run(place)
        assert place.elsewhere() == before, "what another machine has was changed"

    # -- the end -----------------------------------------------------------------------------------
    def test_it_asks_before_each_piece_of_work(self, places: MakePlace) -> None:
        turn = run(places(True))
        assert turn.checks >= self.units, f"{turn.checks} calls of check for {self.units} pieces of work"

    def test_it_stops_when_it_is_told_to(self, places: MakePlace) -> None:
        """JobStopped passes, and nothing more is changed."""
        for point in spread(run(places(True)).checks, STOPS):
            place = places(True)
            turn = KitTurn(place, stop_after=point)
            cut_off(place, turn)
            if turn.stopped is not None:
                assert time.monotonic() - turn.stopped_at <= STOPPING, "it does not end when it is told to stop"
                assert (place.seen(), place.elsewhere()) == turn.stopped, "it goes on after it was stopped"

    def test_what_was_stopped_is_finished_by_the_next(self, places: MakePlace) -> None:
        whole, wanted = _whole(places)
        for point in spread(whole.checks, STOPS):
            place = places(True)
            turn = KitTurn(place, stop_after=point)
            cut_off(place, turn)
            run(place, turn.state)
            assert place.seen() == wanted, (
                f"stopped at check {point} of {whole.checks}: the next run does not finish it"
            )

    def test_what_a_dead_process_left_is_finished_by_the_next(self, places: MakePlace) -> None:
        """It finds its way from what the database, the stores and the state say."""
        whole, wanted = _whole(places)
        for point in spread(whole.calls, KILLS):
            place = places(True)
            turn = KitTurn(place, die_after=point)
            cut_off(place, turn)
            run(place, turn.state)
            assert place.seen() == wanted, f"killed at call {point} of {whole.calls}: the next run does not finish it"

    # -- what it tells -----------------------------------------------------------------------------
    def test_no_secret_is_told(self, places: MakePlace, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for dry in (True, False):
            place = places(True)
            turn = run(place, dry_run=dry)
            check_hidden(place.secrets, caplog.text, repr(turn.told), repr(turn.state))


def run(place: Place, state: Mapping[str, object] | None = None, *, dry_run: bool = False) -> KitTurn:
    """A whole run of a new process."""
    place.rest()
    turn = KitTurn(place, state, dry_run=dry_run)
    within(RUN_TIMEOUT, lambda: place.job().run(turn), "a run")
    return turn


def cut_off(place: Place, turn: KitTurn) -> None:
    """A run up to the point where it is stopped or killed. One that has to wait for others may have fewer points than
    the one before: it ends."""
    try:
        within(RUN_TIMEOUT, lambda: place.job().run(turn), "a run")
    except (errors.JobStopped, Killed):
        return
    assert turn.stopped is None, "it was told to stop, and JobStopped did not pass"
    assert not turn.died


def spread(number: int, most: int) -> list[int]:
    """At most so many of the points 0 to number - 1, the first and the last among them."""
    return sorted({round(x * (number - 1) / (most - 1)) for x in range(most)}) if number else []


def _whole(places: MakePlace) -> tuple[KitTurn, object]:
    place = places(True)
    return run(place), place.seen()
