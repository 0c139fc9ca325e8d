"""Users of a file, checked with bcrypt."""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest
from glancecore_auth_basic.driver import BasicAuth
from glancecore_auth_basic.options import OPTIONS, list_opts
from oslo_config import cfg

from glancecore.domain.errors import ConfigError, NotAuthenticated, TooManyAttempts
from glancecore.testing.settings import make_section
from glancecore.testing.waiting import until


def _line(user: str, password: str) -> str:
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "htpasswd"
    file.write_text(_line("alice", "sesame") + _line("bob", "pass:with:colons \u00fc"))
    return file


def _auth(file: Path, **options: object) -> BasicAuth:
    auth = BasicAuth(make_section(OPTIONS, http_basic_auth_user_file=str(file), **options), cfg.ConfigOpts())
    auth.start()
    return auth


def _login(user: str, password: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_user_with_the_right_password(users: Path) -> None:
    for _ in range(2):
        ctx = _auth(users).identify(_login("alice", "sesame"))
        assert (ctx.user, ctx.project, ctx.roles) == ("alice", "alice", frozenset({"member", "reader"}))
    assert _auth(users).identify(_login("bob", "pass:with:colons \u00fc")).user == "bob"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        _login("alice", "wrong"),
        _login("alice", ""),
        _login("nobody", "sesame"),
        _login("", ""),
        _login("ali", "sesame"),
        {"HTTP_AUTHORIZATION": "Basic ###"},
        {"HTTP_AUTHORIZATION": "Bearer x"},
        {"HTTP_AUTHORIZATION": "Basic"},
        {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"alice").decode()},
        _login("alice", "x" * 100),
        _login("alice", "a\0b"),
    ],
)
def test_anything_else_is_refused(users: Path, environ: dict[str, str]) -> None:
    auth = _auth(users)
    auth.identify(_login("alice", "sesame"))
    with pytest.raises(NotAuthenticated):
        auth.identify(environ)


def test_headers_of_an_identity_are_not_taken(users: Path) -> None:
    with pytest.raises(NotAuthenticated):
        _auth(users).identify({"HTTP_X_IDENTITY_STATUS": "Confirmed", "HTTP_X_USER_ID": "alice"})


def test_admins_projects_and_roles(users: Path) -> None:
    auth = _auth(users, admins=["alice"], projects={"bob": "red"}, roles={"bob": "reader"})
    assert auth.identify(_login("alice", "sesame")).roles == {"member", "reader", "admin"}
    bob = auth.identify(_login("bob", "pass:with:colons \u00fc"))
    assert (bob.project, bob.roles) == ("red", {"reader"})


def test_a_changed_file_takes_effect_at_once(users: Path) -> None:
    auth = _auth(users)
    auth.identify(_login("alice", "sesame"))
    users.write_text(_line("alice", "new"))
    os.utime(users, ns=(1, users.stat().st_mtime_ns + 1))
    with pytest.raises(NotAuthenticated):
        auth.identify(_login("alice", "sesame"))
    assert auth.identify(_login("alice", "new")).user == "alice"
    users.unlink()
    with pytest.raises(NotAuthenticated):
        auth.identify(_login("alice", "new"))


def test_mistakes_of_the_file_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"http_basic_auth_user_file.*htpasswd"):
        _auth(tmp_path / "missing")
    (tmp_path / "md5").write_text("alice:$apr1$x$y\n")
    with pytest.raises(ConfigError, match=r"http_basic_auth_user_file.*bcrypt"):
        _auth(tmp_path / "md5")


def test_the_challenge_names_the_scheme(users: Path) -> None:
    assert _auth(users).challenge.startswith("Basic realm=")


def test_options_are_listed_for_the_sample() -> None:
    assert list_opts() == [("auth_basic", OPTIONS)]


WRONG = [
    ("alice", "wrong"),
    ("nobody", "sesame"),
    ("alice", "x" * 73),
    ("alice", "a\0b"),
    ("alice", ""),
    ("", "sesame"),
]


@pytest.mark.parametrize(("user", "password"), WRONG)
def test_whatever_is_wrong_takes_the_same_work_and_is_told_the_same(
    users: Path, user: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[bytes] = []
    checkpw = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda given, stored: costs.append(stored[:7]) or checkpw(given, stored))
    with pytest.raises(NotAuthenticated) as caught:
        _auth(users).identify(_login(user, password))
    assert str(caught.value) == "wrong user or password"
    assert costs == [b"$2b$04$"]


def test_the_first_72_bytes_are_not_the_password(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(_line("alice", "x" * 72))
    assert _auth(tmp_path / "htpasswd").identify(_login("alice", "x" * 72)).user == "alice"
    with pytest.raises(NotAuthenticated):
        _auth(tmp_path / "htpasswd").identify(_login("alice", "x" * 73))


def _tried(auth: BasicAuth, user: str, password: str, address: str = "192.0.2.1") -> type[Exception] | None:
    try:
        auth.identify({**_login(user, password), "REMOTE_ADDR": address})
    except (NotAuthenticated, TooManyAttempts) as exc:
        return type(exc)
    return None


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], Callable[[], None]]:
    """Passwords that are being looked at, and what lets them go."""
    asked: list[int] = []
    go_on = threading.Event()
    checkpw = bcrypt.checkpw

    def waits(given: bytes, stored: bytes) -> bool:
        asked.append(1)
        go_on.wait(60)
        return checkpw(given, stored)

    monkeypatch.setattr(bcrypt, "checkpw", waits)
    return asked, go_on.set


def test_guesses_that_come_together_are_no_more_than_those_one_by_one(
    users: Path, held: tuple[list[int], Callable[[], None]]
) -> None:
    auth, (asked, go_on) = _auth(users, attempts_per_user=3), held
    with ThreadPoolExecutor(20) as pool:
        results = [pool.submit(_tried, auth, "alice", str(x)) for x in range(20)]
        until(lambda: len(asked) + sum(x.done() for x in results) == 20)
        go_on()
        found = [x.result() for x in results]
    assert (len(asked), found.count(NotAuthenticated), found.count(TooManyAttempts)) == (3, 3, 17)
    assert _tried(auth, "alice", "sesame") is TooManyAttempts, "those were wrong, and count on"


def test_who_sends_much_at_once_with_the_right_password_is_let_in(
    users: Path, held: tuple[list[int], Callable[[], None]]
) -> None:
    auth, (asked, go_on) = _auth(users, attempts_per_user=3), held
    with ThreadPoolExecutor(20) as pool:
        results = [pool.submit(_tried, auth, "alice", "sesame") for _ in range(20)]
        until(lambda: asked)
        go_on()
        assert [x.result() for x in results] == [None] * 20
    assert len(asked) == 1, "it is looked at once"


def test_who_sends_one_wrong_password_much_at_once_is_looked_at_once(
    users: Path, held: tuple[list[int], Callable[[], None]]
) -> None:
    """Those who wait hold threads of the server."""
    auth, (asked, go_on) = _auth(users, attempts_per_user=3), held
    with ThreadPoolExecutor(20) as pool:
        results = [pool.submit(_tried, auth, "alice", "wrong") for _ in range(20)]
        until(lambda: asked and sys.getrefcount(next(iter(auth._looking.values()))) > 20)
        go_on()
        assert [x.result() for x in results] == [NotAuthenticated] * 20
    assert len(asked) == 1
    assert [_tried(auth, "alice", x) for x in ("wrong", "wrong", "wrong")] == [
        NotAuthenticated,
        NotAuthenticated,
        TooManyAttempts,
    ], "later it counts again"


def test_who_guesses_locks_out_nobody_whose_name_he_does_not_try(users: Path) -> None:
    """Colleagues have the same address."""
    auth = _auth(users, attempts_per_user=3, attempts_per_address=6, remember_seconds=0)
    found = [_tried(auth, name, str(number)) for number in range(5) for name in ("alice", "carol", "dave")]
    assert (found.count(NotAuthenticated), found.count(TooManyAttempts)) == (6, 9)
    assert [_tried(auth, "bob", "pass:with:colons \u00fc") for _ in range(5)] == [None] * 5
    assert _tried(auth, "alice", "sesame") is TooManyAttempts
    assert _tried(auth, "alice", "sesame", "192.0.2.2") is None


def test_one_address_may_not_go_through_all_names(users: Path) -> None:
    """Whether they are somebody's is not told by that."""
    auth = _auth(users, attempts_per_user=3, attempts_per_address=6)
    names = [f"nobody{x}" for x in range(40)]
    found = [_tried(auth, x, "password") for x in names]
    assert found == [NotAuthenticated] * 30 + [TooManyAttempts] * 10
    assert _tried(auth, "bob", "pass:with:colons \u00fc", "192.0.2.2") is None


def test_many_addresses_may_not_guess_one_password(users: Path) -> None:
    auth = _auth(users, attempts_per_user=3, attempts_per_address=6)
    found = [_tried(auth, "alice", f"{number} {x}", f"192.0.2.{x}") for number in range(2) for x in range(40)]
    assert found.count(NotAuthenticated) == 30
    assert _tried(auth, "alice", "sesame", "192.0.2.1") is TooManyAttempts
    assert _tried(auth, "bob", "pass:with:colons \u00fc", "192.0.2.1") is None


def test_attempts_are_limited_by_address_and_user(users: Path) -> None:
    auth = _auth(users, attempts_per_user=3, attempts_per_address=5)
    here, there = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.2"}
    auth.identify({**_login("bob", "pass:with:colons \u00fc"), **here})
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            auth.identify({**_login("alice", "wrong"), **here})
    with pytest.raises(TooManyAttempts):
        auth.identify({**_login("alice", "sesame"), **here})
    assert auth.identify({**_login("alice", "sesame"), **there}).user == "alice", "elsewhere nobody is locked out"
    for name in ("carol", "dave"):
        with pytest.raises(NotAuthenticated):
            auth.identify({**_login(name, "x"), **here})
    with pytest.raises(TooManyAttempts):
        auth.identify({**_login("dave", "y"), **here})
    assert auth.identify({**_login("bob", "pass:with:colons \u00fc"), **here}).user == "bob", (
        "whose password is remembered"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("admins", ["alice", "bbo"]), ("projects", {"bob": "team-red", "bbo": "team-red"}), ("roles", {"bbo": "reader"})],
)
def test_a_name_that_is_no_users_is_told(
    users: Path, option: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    auth = _auth(users, **{option: value})
    assert auth.complaints() == [
        f"[auth_basic] {option} names bbo, who is not in {users}: correct the name, or take it out"
    ]
    assert [(x.levelname, x.getMessage()) for x in caplog.records] == [("WARNING", auth.complaints()[0])]


def test_names_of_users_are_right(users: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert _auth(users, admins=["alice"], projects={"bob": "team-red"}, roles={"bob": "reader"}).complaints() == []
    assert caplog.records == []
