"""The kit for periodic jobs can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.periodic import JobContext, PeriodicJob
from glancecore.testing import periodic as kits
from glancecore.testing.periodic import Killed, PeriodicJobConformance, Place, make_job

Kit = PeriodicJobConformance
SECRET = "s3cret-of-the-shelf"


class Renews(PeriodicJob):
    """Keeps every rule."""

    plugin_api = "1.0"
    options = [cfg.IntOpt("most", help="Not used.")]
    interval = 60.0
    summary = "renews what is old"
    #: What the place has.
    items: dict[str, str]
    others: dict[str, str]

    def __init__(self, conf: Any, tools: Any) -> None:
        super().__init__(conf, tools)
        self.items, self.others = tools

    def run(self, turn: JobContext) -> None:
        for name in sorted(self.items):
            turn.check()
            if name <= str(turn.state.get("after", "")) or self.items[name] != "old":
                continue
            self.renew(turn, name)
            turn.remember({"after": name})
        turn.remember({})

    def renew(self, turn: JobContext, name: str) -> None:
        turn.find("old", name, "it is old")
        if not turn.dry_run:
            self.items[name] = "new"


class OfMachine(Renews):
    of_machine = True


class Shelf(Place):
    secrets = (SECRET,)

    def __init__(self, cls: type[PeriodicJob], filled: bool) -> None:
        self._cls = cls
        self.items = {f"item-{number}": "old" for number in range(4)} if filled else {}
        self.others = {"item": "old"}

    def job(self) -> PeriodicJob:
        return make_job(self._cls, (self.items, self.others))

    def seen(self) -> object:
        return dict(self.items)

    def elsewhere(self) -> object:
        return dict(self.others) if self._cls.of_machine else None


class TestRenews(PeriodicJobConformance):
    units = 4

    @pytest.fixture
    def make_place(self) -> Callable[[bool], Place]:
        return lambda filled: Shelf(Renews, filled)


class TestOfMachine(TestRenews):
    @pytest.fixture
    def make_place(self) -> Callable[[bool], Place]:
        return lambda filled: Shelf(OfMachine, filled)


class NoHelp(Renews):
    options = [cfg.IntOpt("most")]


class AtOnce(Renews):
    interval = 0.0


class TwoLines(Renews):
    summary = "renews\nwhat is old"


class AlarmsAsList(Renews):
    alarms = ["old"]  # type: ignore[assignment]


class NeverApplies(Renews):
    def applies(self) -> bool:
        return False


class BeginsWhenMade(Renews):
    def __init__(self, conf: Any, tools: Any) -> None:
        super().__init__(conf, tools)
        if self.items:
            self.items["item-0"] = "new"


class WantsSomething(Renews):
    def run(self, turn: JobContext) -> None:
        if not self.items:
            turn.fail("there is nothing")
        super().run(turn)


class Quiet(Renews):
    def renew(self, turn: JobContext, name: str) -> None:
        if not turn.dry_run:
            self.items[name] = "new"


class CountsEach(Renews):
    def renew(self, turn: JobContext, name: str) -> None:
        for number in range(10):
            turn.count(f"{name}-{number}")
        super().renew(turn, name)


class NeverSettles(Renews):
    def run(self, turn: JobContext) -> None:
        super().run(turn)
        for name in self.items:
            self.items[name] += "!"


class DryChanges(Renews):
    def renew(self, turn: JobContext, name: str) -> None:
        super().renew(turn, name)
        self.items[name] = "new"


class DrySilent(Renews):
    def run(self, turn: JobContext) -> None:
        if not turn.dry_run:
            super().run(turn)


class TouchesOthers(OfMachine):
    def run(self, turn: JobContext) -> None:
        super().run(turn)
        if self.items and not turn.dry_run:
            self.others["item"] = "new"


class NeverChecks(Renews):
    def run(self, turn: JobContext) -> None:
        for name in self.items:
            self.renew(turn, name)


class Swallows(Renews):
    def run(self, turn: JobContext) -> None:
        try:
            super().run(turn)
        except errors.GlanceError as exc:
            turn.fail(str(exc))


class GoesOn(Renews):
    def run(self, turn: JobContext) -> None:
        try:
            super().run(turn)
        except errors.JobStopped:
            for name in self.items:
                self.items[name] = "new"
            raise


class Lingers(Renews):
    def run(self, turn: JobContext) -> None:
        try:
            super().run(turn)
        except errors.JobStopped:
            time.sleep(1)
            raise


class RemembersFirst(Renews):
    def run(self, turn: JobContext) -> None:
        for name in sorted(self.items):
            if name <= str(turn.state.get("after", "")):
                continue
            turn.remember({"after": name})
            turn.check()
            self.renew(turn, name)


class HalfDone(Renews):
    """What it began is not found again."""

    def renew(self, turn: JobContext, name: str) -> None:
        if not turn.dry_run:
            self.items[name] = "being renewed"
        super().renew(turn, name)


class NoJson(Renews):
    def run(self, turn: JobContext) -> None:
        super().run(turn)
        turn.remember({"at": datetime.now(UTC)})


class OtherJson(Renews):
    def run(self, turn: JobContext) -> None:
        super().run(turn)
        turn.remember({"seen": (1, 2)})


class RemembersAll(Renews):
    def run(self, turn: JobContext) -> None:
        super().run(turn)
        turn.remember({"seen": ["x" * 1000] * 100})


class ShowsUrls(Renews):
    def renew(self, turn: JobContext, name: str) -> None:
        turn.find("old", name, "http://store/x is old")


class LongKinds(Renews):
    def renew(self, turn: JobContext, name: str) -> None:
        turn.find(f"the item that is called {name} and is old by now", name, "it is old")


class CountsBack(Renews):
    def renew(self, turn: JobContext, name: str) -> None:
        super().renew(turn, name)
        turn.count("left", -1)


class Tells(Renews):
    def renew(self, turn: JobContext, name: str) -> None:
        super().renew(turn, name)
        turn.find("old", name, f"it has {SECRET}")


TELLS = Kit.test_it_tells_what_it_does


@pytest.mark.parametrize(
    ("saboteur", "test"),
    [
        (NoHelp, Kit.test_it_can_be_declared_and_shown),
        (AtOnce, Kit.test_it_can_be_declared_and_shown),
        (TwoLines, Kit.test_it_can_be_declared_and_shown),
        (AlarmsAsList, Kit.test_it_can_be_declared_and_shown),
        (NeverApplies, Kit.test_whether_it_applies_is_known),
        (BeginsWhenMade, Kit.test_it_does_nothing_before_it_runs),
        (WantsSomething, Kit.test_an_empty_place_is_no_fault),
        (Quiet, TELLS),
        (CountsEach, TELLS),
        (NoJson, TELLS),
        (OtherJson, TELLS),
        (RemembersAll, TELLS),
        (ShowsUrls, TELLS),
        (LongKinds, TELLS),
        (CountsBack, TELLS),
        (NeverSettles, Kit.test_it_settles),
        (DryChanges, Kit.test_a_dry_run_changes_nothing),
        (DrySilent, Kit.test_a_dry_run_tells_what_would_be_done),
        (TouchesOthers, Kit.test_machines_are_left_alone),
        (NeverChecks, Kit.test_it_asks_before_each_piece_of_work),
        (Swallows, Kit.test_it_stops_when_it_is_told_to),
        (GoesOn, Kit.test_it_stops_when_it_is_told_to),
        (Lingers, Kit.test_it_stops_when_it_is_told_to),
        (RemembersFirst, Kit.test_what_was_stopped_is_finished_by_the_next),
        (HalfDone, Kit.test_what_a_dead_process_left_is_finished_by_the_next),
        (Tells, Kit.test_no_secret_is_told),
    ],
)
def test_the_kit_catches(
    saboteur: type[PeriodicJob],
    test: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kits, "STOPPING", 0.3)
    given = {"places": lambda filled: Shelf(saboteur, filled), "caplog": caplog}
    with pytest.raises((AssertionError, pytest.fail.Exception, TypeError, ValueError)) as told:
        test(TestRenews(), **{name: given[name] for name in test.__code__.co_varnames[1 : test.__code__.co_argcount]})
    assert not isinstance(told.value, Killed)


def test_a_job_of_the_deployment_has_no_machine() -> None:
    """Whose place says that something is another machine's."""

    class Wrong(Shelf):
        def elsewhere(self) -> object:
            return {}

    with pytest.raises(AssertionError):
        Kit.test_machines_are_left_alone(TestRenews(), lambda filled: Wrong(Renews, filled))
