"""The kit for quotas can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from oslo_config import cfg

from glancecore.domain.errors import GlanceError, QuotaUnavailable
from glancecore.domain.quota import Limits
from glancecore.ports.quota import Quota
from glancecore.testing.quota import QuotaConformance, make_quota

Kit = QuotaConformance
SECRET = "s3cret-of-the-list"
EXPECTED: Mapping[str | None, Limits] = {None: Limits(images=1), "red": Limits(images=2, bytes=10), "blue": Limits()}


class Listed(Quota):
    """Keeps every rule."""

    plugin_api = "1.0"
    options = [cfg.IntOpt("most", help="Not used.")]
    there = True

    def limits(self, project: str | None) -> Limits:
        if not self.there:
            raise QuotaUnavailable("the list can't be read now")
        return EXPECTED.get(project, EXPECTED[None])


def away(cls: type[Listed]) -> Callable[[], Quota]:
    def made() -> Quota:
        quota = make_quota(cls)
        quota.there = False
        return quota

    return made


class TestListed(QuotaConformance):
    secrets = (SECRET,)
    patience = 2.0

    @pytest.fixture
    def quota(self) -> Listed:
        return make_quota(Listed)

    @pytest.fixture
    def expected(self) -> Mapping[str | None, Limits]:
        return EXPECTED

    @pytest.fixture
    def away(self) -> Callable[[], Quota]:
        return away(Listed)


class NoHelp(Listed):
    options = [cfg.IntOpt("most")]


class ShowsByChance(Listed):
    @property
    def shows_usage(self) -> bool:  # type: ignore[override]
        return True


class NobodyHasNone(Listed):
    def limits(self, project: str | None) -> Limits:
        return Limits(images=0) if project is None else super().limits(project)


class MinusOne(Listed):
    def limits(self, project: str | None) -> Limits:
        return Limits(images=-1)


class Strict(Listed):
    def limits(self, project: str | None) -> Limits:
        return EXPECTED[project]


class Remembers(Listed):
    """The first one that it was asked for counts for all."""

    known: Limits | None = None

    def limits(self, project: str | None) -> Limits:
        self.known = self.known or super().limits(project)
        return self.known


class OneAtATime(Listed):
    project: str | None

    def limits(self, project: str | None) -> Limits:
        self.project = project
        time.sleep(0.002)
        return super().limits(self.project)


class Slow(Listed):
    def limits(self, project: str | None) -> Limits:
        time.sleep(3)
        return super().limits(project)


class NoLimitWhenAway(Listed):
    def limits(self, project: str | None) -> Limits:
        return super().limits(project) if self.there else Limits()


class OtherErrors(Listed):
    def limits(self, project: str | None) -> Limits:
        if not self.there:
            raise ConnectionError("the list")
        return super().limits(project)


class NotAgain(Listed):
    def limits(self, project: str | None) -> Limits:
        if not self.there:
            raise GlanceError("the list can't be read")
        return super().limits(project)


class Logs(Listed):
    def limits(self, project: str | None) -> Limits:
        logging.getLogger("acme").debug("with %s", SECRET)
        return super().limits(project)


class Tells(Listed):
    def limits(self, project: str | None) -> Limits:
        if not self.there:
            raise QuotaUnavailable(f"with {SECRET} the list can't be read")
        return super().limits(project)


@pytest.mark.parametrize(
    ("saboteur", "test", "more"),
    [
        (NoHelp, Kit.test_options_can_be_declared_and_shown, {}),
        (ShowsByChance, Kit.test_shows_usage_is_known, {}),
        (NobodyHasNone, Kit.test_limits_are_those_of_the_project, {}),
        (MinusOne, Kit.test_any_id_is_taken, {"project": "unknown"}),
        (Slow, Kit.test_any_id_is_taken, {"project": "unknown"}),
        (Strict, Kit.test_any_id_is_taken, {"project": "unknown"}),
        (Remembers, Kit.test_an_id_that_is_asked_for_changes_nothing_for_others, {}),
        (OneAtATime, Kit.test_many_threads_are_not_mixed_up, {}),
        (NoLimitWhenAway, Kit.test_a_source_that_is_away_is_told, {}),
        (OtherErrors, Kit.test_a_source_that_is_away_is_told, {}),
        (NotAgain, Kit.test_a_source_that_is_away_is_told, {}),
        (Logs, Kit.test_no_secret_is_told, {}),
        (Tells, Kit.test_no_secret_is_told, {}),
    ],
)
def test_the_kit_catches(
    saboteur: type[Listed], test: Callable[..., None], more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    kit = TestListed()
    kit.patience = 0.3  # type: ignore[misc]
    given = {"quota": make_quota(saboteur), "expected": EXPECTED, "away": away(saboteur), "caplog": caplog, **more}
    with pytest.raises((AssertionError, pytest.fail.Exception, KeyError, ConnectionError)):
        test(kit, **{name: given[name] for name in test.__code__.co_varnames[1 : test.__code__.co_argcount]})
