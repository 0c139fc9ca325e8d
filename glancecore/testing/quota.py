"""The conformance kit for quotas: one test for each rule of ``glancecore.ports.quota``.

class TestMine(QuotaConformance):
    @pytest.fixture
    def quota(self): ...        # made by make_quota
    @pytest.fixture
    def expected(self): ...     # project -> Limits, for some projects; None: who has no project
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import pytest
from oslo_config import cfg

from glancecore.domain.errors import GlanceError
from glancecore.domain.quota import Limits
from glancecore.ports.quota import Quota
from glancecore.testing._plugin import check_hidden, check_options, check_sentence, configured, within

AnyQuota = TypeVar("AnyQuota", bound=Quota)
Break = Callable[[], Quota]
#: Ids that no cloud has given to a project.
HOSTILE = (
    "",
    " ",
    "unknown",
    "0" * 32,
    "x" * 255,
    "x" * 100_000,
    "../x",
    "a/b?c=d&e#f",
    "%00",
    "\x00",
    "a\r\nb",
    "\u00e4 \U0001f600",
    "\ud800",
    "' OR 1=1 --",
    "{}",
    "None",
    "*",
)


def make_quota(cls: type[AnyQuota], config: cfg.ConfigOpts | None = None, **options: Any) -> AnyQuota:
    """A quota of ``cls`` whose section holds ``options``, and nothing that it did not declare. ``config``: with other
    sections that it reads."""
    return cls(*configured("quota", cls.options, options, config))


class QuotaConformance:
    """``secrets``: what it is told so that it may ask for limits, and must tell nobody. ``patience``: seconds that an
    answer may take, at most: a user waits for it."""

    secrets: ClassVar[tuple[str, ...]] = ()
    patience: ClassVar[float] = 15.0

    @pytest.fixture
    def quota(self) -> Quota:
        raise NotImplementedError("give the kit a quota")

    @pytest.fixture
    def expected(self) -> Mapping[str | None, Limits]:
        raise NotImplementedError("give the kit some projects and their limits")

    @pytest.fixture
    def away(self) -> Break | None:
        """Makes a quota whose source can't be reached; None: it has none."""
        return None

    # -- what it says of itself --------------------------------------------------------------------
    def test_options_can_be_declared_and_shown(self, quota: Quota) -> None:
        check_options(quota.options)

    def test_shows_usage_is_known(self, quota: Quota) -> None:
        """It is asked for at each request, so it is said by the class, once."""
        assert isinstance(quota.shows_usage, bool)
        assert quota.shows_usage is type(quota).shows_usage, "say it in the class"

    # -- limits ------------------------------------------------------------------------------------
    def test_limits_are_those_of_the_project(self, quota: Quota, expected: Mapping[str | None, Limits]) -> None:
        assert None in expected, "say also what somebody without a project has"
        for _ in range(2):  # the second answer may come from a memory
            for project, limits in expected.items():
                assert ask(quota, project, self.patience) == limits, project

    @pytest.mark.parametrize("project", HOSTILE, ids=lambda text: ascii(text[:20]))
    def test_any_id_is_taken(self, quota: Quota, project: str) -> None:
        """Or refused with a sentence, by an error of the service's own."""
        try:
            ask(quota, project, self.patience)
        except GlanceError as exc:
            check_sentence(exc)

    def test_an_id_that_is_asked_for_changes_nothing_for_others(
        self, quota: Quota, expected: Mapping[str | None, Limits]
    ) -> None:
        for hostile in HOSTILE:
            try:
                ask(quota, hostile, self.patience)
            except GlanceError:
                continue
        for project, limits in expected.items():
            assert ask(quota, project, self.patience) == limits, project

    def test_many_threads_are_not_mixed_up(self, quota: Quota, expected: Mapping[str | None, Limits]) -> None:
        asked = [*expected] * 16
        with ThreadPoolExecutor(16) as pool:
            for project, limits in zip(asked, pool.map(quota.limits, asked), strict=True):
                assert limits == expected[project], project

    # -- failures ----------------------------------------------------------------------------------
    def test_a_source_that_is_away_is_told(self, away: Break | None) -> None:
        """By an error that says to come again: nobody stores without a limit."""
        if away is None:
            return
        quota = away()
        for project in ("unknown", None):
            try:
                found = ask(quota, project, self.patience)
            except GlanceError as exc:
                check_sentence(exc)
                if not exc.retryable:
                    pytest.fail("it may be tried again: set retryable")
                continue
            pytest.fail(f"the limits can't be learnt, and they are said to be {found}")

    def test_no_secret_is_told(self, quota: Quota, away: Break | None, caplog: pytest.LogCaptureFixture) -> None:
        """In no log, at no level, and in no error."""
        caplog.set_level(logging.DEBUG)
        said: list[object] = []
        for each in (quota, *([away()] if away else [])):
            for project in (None, "unknown", "../x"):
                try:
                    said.append(ask(each, project, self.patience))
                except GlanceError as exc:
                    said.append(exc)
        check_hidden(self.secrets, caplog.text, *said)


def ask(quota: Quota, project: str | None, patience: float) -> Limits:
    """Raises what ``limits`` raises."""
    found = within(patience, lambda: quota.limits(project), "limits")
    assert isinstance(found, Limits)
    for each in dataclasses.fields(found):
        value = getattr(found, each.name)
        assert value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0), (
            f"{each.name} = {value!r}: None is no limit"
        )
    return found
