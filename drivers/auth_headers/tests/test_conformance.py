"""The kit on headers of a proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from glancecore_auth_headers.driver import HeaderAuth

from glancecore.ports.auth import IDENTITY, PEER, REPEATED
from glancecore.testing.auth import AuthConformance, Caller, make_auth

PROXY = "192.0.2.7"


def _said(user: str, project: str, roles: str, **more: object) -> dict[str, object]:
    return {
        "HTTP_X_IDENTITY_STATUS": "Confirmed",
        "HTTP_X_USER_ID": user,
        "HTTP_X_PROJECT_ID": project,
        "HTTP_X_ROLES": roles,
        "REMOTE_ADDR": PROXY,
        **more,
    }


class TestHeaderAuth(AuthConformance):
    own = frozenset({f"HTTP_{x.replace('-', '_')}" for x in IDENTITY} | {"HTTP_X_AUTH_TOKEN"})
    proxied = True

    @pytest.fixture
    def auth(self) -> HeaderAuth:
        return make_auth(HeaderAuth, trusted_addresses=[PROXY])

    @pytest.fixture
    def callers(self) -> Sequence[Caller]:
        return [
            Caller(
                _said("alice", "red", "Member, READER", HTTP_X_AUTH_TOKEN="a-token-of-alice"),
                "alice",
                "red",
                frozenset({"member", "reader"}),
                ("a-token-of-alice",),
            ),
            Caller(_said("bob", "blue", "admin", HTTP_X_USER_DOMAIN_ID="default"), "bob", "blue", frozenset({"admin"})),
        ]

    @pytest.fixture
    def strangers(self) -> Sequence[Mapping[str, object]]:
        good = _said("alice", "red", "admin")
        return [
            {**good, "REMOTE_ADDR": "192.0.2.8"},
            {**good, PEER: "192.0.2.8"},
            {**good, "HTTP_X_IDENTITY_STATUS": "Invalid"},
            {**good, REPEATED: frozenset({"X-ROLES"})},
            {**good, "HTTP_X_USER_ID": "alice,bob"},
        ]
