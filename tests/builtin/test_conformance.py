"""The kits on the plugins that come with the core."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import pytest

from glancecore import conf as configuration
from glancecore.builtin.config_quota import ConfigQuota
from glancecore.builtin.log_notifier import LogNotifier
from glancecore.builtin.no_auth import NoAuth
from glancecore.domain.quota import Limits
from glancecore.testing.auth import AuthConformance, Caller, make_auth
from glancecore.testing.notifier import NotifierConformance, Receiver, make_notifier
from glancecore.testing.quota import QuotaConformance, make_quota


class TestNoAuth(AuthConformance):
    @pytest.fixture
    def auth(self) -> NoAuth:
        return make_auth(NoAuth)

    @pytest.fixture
    def callers(self) -> Sequence[Caller]:
        return [Caller({}, None, None, frozenset({"admin", "member", "reader"}))] * 2

    @pytest.fixture
    def strangers(self) -> Sequence[Mapping[str, object]]:
        return []  # everybody is let in


class Log(Receiver):
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog
        caplog.set_level(logging.INFO)

    def heard(self, number: int) -> Sequence[str]:
        return [x.getMessage().split()[0] for x in self.caplog.records if x.name == "glancecore.events"]


class TestLog(NotifierConformance):
    @pytest.fixture
    def receiver(self, caplog: pytest.LogCaptureFixture) -> Log:
        return Log(caplog)

    @pytest.fixture
    def make(self, receiver: Log) -> Callable[[], LogNotifier]:
        return lambda: make_notifier(LogNotifier)


class TestConfigQuota(QuotaConformance):
    @pytest.fixture
    def quota(self) -> ConfigQuota:
        conf = configuration.new(files=[])
        conf.set_override("user_storage_quota", "3GB")
        conf.set_override("project_image_quota", 5)
        return make_quota(ConfigQuota, conf)

    @pytest.fixture
    def expected(self) -> Mapping[str | None, Limits]:
        return dict.fromkeys((None, "", "ours", "x" * 1000), Limits(bytes=3 << 30, images=5))
