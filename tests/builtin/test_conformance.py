"""The kits on the plugins that come with the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from glancecore.builtin.no_auth import NoAuth
from glancecore.testing.auth import AuthConformance, Caller, make_auth


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
