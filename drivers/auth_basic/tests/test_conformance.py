"""The kit on users of a file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import bcrypt
import pytest
from glancecore_auth_basic.driver import BasicAuth

from glancecore.testing.auth import AuthConformance, Caller, make_auth

USERS = {"alice": "sesame-opens", "bob": "pass:with:colons \u00fc"}


def _login(user: str, password: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class TestBasicAuth(AuthConformance):
    own = frozenset({"HTTP_AUTHORIZATION"})

    @pytest.fixture
    def auth(self, tmp_path: Path) -> BasicAuth:
        file = tmp_path / "htpasswd"
        file.write_text(
            "".join(
                f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
                for user, password in USERS.items()
            )
        )
        return make_auth(BasicAuth, http_basic_auth_user_file=str(file), admins=["bob"], projects={"bob": "red"})

    @pytest.fixture
    def callers(self) -> Sequence[Caller]:
        whose = {"alice": ("alice", {"member", "reader"}), "bob": ("red", {"member", "reader", "admin"})}
        return [
            Caller(
                _login(user, password),
                user,
                whose[user][0],
                frozenset(whose[user][1]),
                (password, _login(user, password)["HTTP_AUTHORIZATION"].partition(" ")[2]),
            )
            for user, password in USERS.items()
        ]

    @pytest.fixture
    def strangers(self) -> Sequence[Mapping[str, str]]:
        return [
            _login("alice", "wrong"),
            _login("nobody", "sesame-opens"),
            _login("", ""),
            _login("alice", USERS["bob"]),
        ]
