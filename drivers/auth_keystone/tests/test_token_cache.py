"""Tokens remembered in a real memcached."""

from __future__ import annotations

import contextlib
import getpass
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from glancecore_auth_keystone.driver import KeystoneAuth
from glancecore_auth_keystone.options import OPTIONS

from glancecore.testing.settings import make_section

from .asking import ask, configured, token

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning"
)  # python-memcached leaves its sockets to the garbage collector


@pytest.fixture(scope="module")
def url() -> str:
    return lab.backend("keystone").url


@pytest.fixture(scope="module")
def servers() -> str:
    return lab.backend("memcached").url


@pytest.fixture
def own(servers: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A memcached that a test may freeze and stop, and its address."""
    port = lab.free_port()
    with subprocess.Popen(
        ["/usr/bin/memcached", "--listen", "127.0.0.1", "--port", str(port), "--user", getpass.getuser()]
    ) as process:
        _until_it_listens(port)
        yield f"127.0.0.1:{port}", process
        process.kill()


def _auth(url: str, folder: Path, servers: str, **more: str) -> KeystoneAuth:
    return KeystoneAuth(make_section(OPTIONS), configured(url, folder / "conf", memcached_servers=servers, **more))


def _stored(servers: str) -> int:
    """How often the server was told to keep something."""
    host, _, port = servers.rpartition(":")
    with socket.create_connection((host, int(port)), 20) as connection, connection.makefile("rw", newline="") as lines:
        lines.write("stats\r\nquit\r\n")
        lines.flush()
        return int(next(x.split()[2] for x in lines if " cmd_set " in x))


def _until_it_listens(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 20):
            return
        time.sleep(0.1)
    raise AssertionError("memcached does not listen")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"memcache_use_advanced_pool": "false"},
        {"memcache_security_strategy": "ENCRYPT", "memcache_secret_key": "a secret"},
        {"memcache_security_strategy": "MAC", "memcache_secret_key": "a secret"},
    ],
)
def test_a_token_is_kept_in_memcached(url: str, servers: str, tmp_path: Path, more: dict[str, str]) -> None:
    auth, before = _auth(url, tmp_path, servers, **more), _stored(servers)
    assert "member" in ask(auth, x_auth_token=token(url, "demo", "demo")).roles
    assert _stored(servers) == before + 1
    assert auth.complaints() == []


def test_two_servers_may_be_named(url: str, servers: str, tmp_path: Path) -> None:
    assert (
        "member" in ask(_auth(url, tmp_path, f"{servers}, 127.0.0.1:1"), x_auth_token=token(url, "demo", "demo")).roles
    )


@pytest.mark.parametrize("more", [{}, {"memcache_use_advanced_pool": "false"}])
def test_memcached_that_is_away_breaks_no_answer_and_is_named(url: str, tmp_path: Path, more: dict[str, str]) -> None:
    auth = _auth(url, tmp_path, "127.0.0.1:1", **more)
    assert "member" in ask(auth, x_auth_token=token(url, "demo", "demo")).roles
    assert [x for x in auth.complaints() if "[keystone_authtoken] memcached_servers" in x and "127.0.0.1:1" in x]


def test_memcached_that_answers_nothing_breaks_no_answer(
    url: str, own: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    servers, process = own
    auth = _auth(
        url,
        tmp_path,
        servers,
        memcache_pool_socket_timeout="1",
        memcache_pool_maxsize="1",
        memcache_pool_conn_get_timeout="0",
    )
    lab.freeze(process.pid)
    assert "member" in ask(auth, x_auth_token=token(url, "demo", "demo")).roles
    lab.thaw(process.pid)


def test_a_cache_that_raises_breaks_no_answer(url: str, servers: str, tmp_path: Path) -> None:
    """TLS to a server that speaks none."""
    auth = _auth(url, tmp_path, servers, memcache_tls_enabled="true")
    assert "member" in ask(auth, x_auth_token=token(url, "demo", "demo")).roles
    assert [x for x in auth.complaints() if "[keystone_authtoken] memcached_servers" in x]


def test_keystone_that_refuses_the_service_is_named(url: str, tmp_path: Path) -> None:
    said = KeystoneAuth(make_section(OPTIONS), configured(url, tmp_path / "conf", password="sesame")).complaints()
    assert len(said) == 1
    assert "[keystone_authtoken]" in said[0]
    assert "password" in said[0]
    assert "sesame" not in said[0]
