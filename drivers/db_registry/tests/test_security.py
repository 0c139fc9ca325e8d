"""Who may call a registry, who may listen where, and what an operator reads who has it wrong. Certificates are real."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from glancecore_db_registry.driver import RegistryDatabase
from registries import SECRET, Registry, registry

from glancecore.domain import errors
from glancecore.ports.repository import ImageAdded
from glancecore.testing.examples import make_image
from glancecore.testing.relay import Relay, relay

from .certificates import Authority

Open = Callable[..., RegistryDatabase]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(
        f"sqlite:///{tmp_path_factory.mktemp('plain')}/glance.sqlite",
        {"registry": {"secrets": f"the one that goes away, {SECRET}"}},
    ) as made:
        yield made


# -- the secret ------------------------------------------------------------------------------------
@pytest.mark.parametrize("secret", [None, "a secret that is wrong"])
def test_a_wrong_secret_stops_the_start_and_names_the_option(plain: Registry, opened: Open, secret: str | None) -> None:
    with pytest.raises(errors.ConfigError, match=r"\[database\] registry_secret: the registry refuses this node"):
        opened(plain.url, registry_secret=secret).ping()


def test_a_wrong_secret_later_is_nobody_elses_401(plain: Registry, opened: Open) -> None:
    database = opened(plain.url, registry_secret="a secret that is wrong")
    for call in (lambda: database.images.get("x"), lambda: database.images.find(None), database.version):  # type: ignore[arg-type]
        with pytest.raises(errors.DatabaseUnavailable, match="its operator must look"):
            call()


@pytest.mark.parametrize("secret", ["the one that goes away", SECRET])
def test_secrets_can_be_changed_one_node_after_the_other(plain: Registry, opened: Open, secret: str) -> None:
    opened(plain.url, registry_secret=secret).ping()


def test_the_secret_is_in_no_log(plain: Registry, opened: Open) -> None:
    opened(plain.url).ping()
    assert SECRET not in plain.log


# -- somebody between ------------------------------------------------------------------------------
@pytest.fixture
def overheard(plain: Registry, opened: Open) -> Iterator[tuple[Relay, RegistryDatabase]]:
    with relay("127.0.0.1", plain.port) as between:
        yield between, opened(f"http://127.0.0.1:{between.port}", registry_attempts=1)


def _send(registry: Registry, message: bytes) -> list[tuple[int, bytes]]:
    """The answers of as many connections as reach each of its processes."""
    answers = []
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", registry.port), 10) as end:
            end.sendall(message)
            answer = http.client.HTTPResponse(end)
            answer.begin()
            answers.append((answer.status, answer.read()))
    return answers


def test_a_call_that_was_overheard_is_good_for_nobody(
    plain: Registry, overheard: tuple[Relay, RegistryDatabase]
) -> None:
    between, database = overheard
    image = make_image()
    database.images.commit(ImageAdded(image))
    database.images.get_any(image.id)
    for message in between.heard:
        answers = [
            x for x in _send(plain, message) if b"/instance" not in message or x != (200, b"{}")
        ]  # another process says who it is
        assert {status for status, _ in answers} <= {401, 421}, "the same process, or the other one"
        assert {json.loads(body)["refused"] for _, body in answers} <= {"replay", "instance"}
    plain.stop()
    plain.start()
    for message in between.heard:
        if b"/instance" not in message:
            assert {status for status, _ in _send(plain, message)} == {421}, "processes that have seen nothing"
    assert database.images.get_any(image.id) == image


@pytest.mark.parametrize(
    "forge",
    [
        lambda x: x.replace(b"the truth", b"some lies"),
        lambda x: x.replace(b"200 OK", b"409 No"),
        lambda x: x.replace(b"Glance-Proof", b"Glance-Pr00f"),
        lambda x: x.replace(b"Glance-Proof", b"Glance-Pr00f").replace(b"200 OK", b"401 No"),
    ],
    ids=["body", "status", "proof", "refusal"],
)
def test_an_answer_that_was_forged_is_not_believed(
    overheard: tuple[Relay, RegistryDatabase], forge: Callable[[bytes], bytes]
) -> None:
    between, database = overheard
    image = make_image(name="the truth")
    database.images.commit(ImageAdded(image))
    between.rewrite = forge
    with pytest.raises(errors.DatabaseUnavailable, match="can't be reached"):
        database.images.get_any(image.id)
    between.rewrite = bytes
    assert database.images.get_any(image.id).name == "the truth"


def test_no_change_was_sent_to_who_did_not_prove_himself(overheard: tuple[Relay, RegistryDatabase]) -> None:
    between, database = overheard
    between.rewrite = lambda x: x.replace(b"Glance-Proof", b"Glance-Pr00f")
    image = make_image()
    with pytest.raises(errors.DatabaseUnavailable, match="can't be reached"):
        database.images.commit(ImageAdded(image))
    assert not [x for x in between.heard if b"/images/commit" in x]
    between.rewrite = bytes
    database.images.commit(ImageAdded(image))


def test_the_answer_to_another_call_is_not_believed(overheard: tuple[Relay, RegistryDatabase]) -> None:
    between, database = overheard
    told: list[bytes] = []
    between.rewrite = lambda x: told.append(x) or x  # type: ignore[func-returns-value]
    first, second = (make_image(n) for n in range(2))
    database.images.commit(ImageAdded(first), ImageAdded(second))
    database.images.get_any(first.id)
    between.rewrite = lambda _: told[-1]
    with pytest.raises(errors.DatabaseUnavailable):
        database.images.get_any(second.id)


def test_a_registry_that_knows_no_secret_is_not_believed(tmp_path: Path, opened: Open) -> None:
    with (
        registry(f"sqlite:///{tmp_path}/glance.sqlite", {"registry": {"secrets": ""}}) as made,
        pytest.raises(errors.ConfigError, match=r"registry_secret is set.*\[registry\] secrets"),
    ):
        opened(made.url).ping()


def test_a_strangers_body_is_not_waited_for(plain: Registry) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), 10) as end:
        end.sendall(b"POST /2/images/get_any HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n")
        answer = http.client.HTTPResponse(end)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["refused"]) == (401, "secret")


# -- listening -------------------------------------------------------------------------------------
def _start(folder: Path, config: lab.Config) -> str:
    """The last line of a start that is refused."""
    file = folder / "glance-registry.conf"
    file.write_text(
        lab.config_text(
            lab.merged(
                {
                    "DEFAULT": {"bind_port": lab.free_port()},
                    "database": {"connection": f"sqlite:///{folder}/glance.sqlite"},
                },
                config,
            )
        )
    )
    done = subprocess.run(
        [lab.BIN / "glance-registry", "--config-file", file], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"DEFAULT": {"bind_host": "0.0.0.0"}}, ("[registry] secrets", "bind_host = 0.0.0.0", "127.0.0.1", "ca_file")),
        ({"DEFAULT": {"bind_host": "::"}}, ("[registry] secrets", "bind_host = ::")),
        (
            {"DEFAULT": {"bind_host": "0.0.0.0"}, "registry": {"secrets": "short"}},
            ("[registry] secrets", "16", "openssl rand -hex 32"),
        ),
        ({"database": {"driver": "registry"}}, ("[database] driver = registry", "sql")),
        ({"registry": {"secrets": SECRET}}, ("glance-manage db sync",)),
    ],
    ids=lambda x: "" if isinstance(x, tuple) else str(x),
)
def test_a_bad_start_ends_in_one_line(tmp_path: Path, config: dict[str, Any], words: tuple[str, ...]) -> None:
    line = _start(tmp_path, config)
    assert line.startswith("error: ")
    assert [x for x in words if x not in line] == []


def test_tls_without_certificates_of_the_nodes_is_not_enough_beyond_loopback(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "ca").issue("registry")
    config = {"DEFAULT": {"bind_host": "0.0.0.0", "cert_file": certificate, "key_file": key}}
    assert "[registry] secrets" in _start(tmp_path, config)


def test_on_loopback_it_starts_without_a_secret_and_says_so(tmp_path: Path, opened: Open) -> None:
    with registry(f"sqlite:///{tmp_path}/glance.sqlite", {"registry": {"secrets": ""}}) as made:
        opened(made.url, registry_secret=None).ping()
        assert "no [registry] secrets and no ca_file" in made.log


# -- mutual TLS ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def guarded(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """On all addresses, without a secret: the nodes' certificates are enough."""
    certificate, key = authority.issue("registry")
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(*authority.issue("probe"))
    config = {
        "DEFAULT": {"bind_host": "0.0.0.0", "cert_file": certificate, "key_file": key, "ca_file": authority.file},
        "registry": {"secrets": ""},
    }
    with registry(f"sqlite:///{tmp_path_factory.mktemp('guarded')}/glance.sqlite", config, context) as made:
        yield made


def test_a_node_with_a_certificate_may_call(guarded: Registry, authority: Authority, opened: Open) -> None:
    certificate, key = authority.issue("node")
    database = opened(
        guarded.url,
        registry_secret=None,
        registry_ca_file=str(authority.file),
        registry_cert_file=str(certificate),
        registry_key_file=str(key),
    )
    database.ping()
    with pytest.raises(errors.ImageNotFound):
        database.images.get("x")


def test_a_node_without_or_with_a_strange_certificate_may_not(
    guarded: Registry, authority: Authority, tmp_path: Path, opened: Open
) -> None:
    certificate, key = Authority(tmp_path / "theirs").issue("node")
    for options in ({}, {"registry_cert_file": str(certificate), "registry_key_file": str(key)}):
        database = opened(
            guarded.url, registry_secret=None, registry_ca_file=str(authority.file), registry_attempts=1, **options
        )
        with pytest.raises((errors.ConfigError, errors.DatabaseUnavailable)):
            database.ping()
        with pytest.raises(errors.DatabaseUnavailable):
            database.images.get("x")


def test_a_registry_with_a_strange_certificate_is_not_called(guarded: Registry, tmp_path: Path, opened: Open) -> None:
    other = Authority(tmp_path / "other")
    with pytest.raises(errors.ConfigError, match=r"registry_ca_file.*certificate"):
        opened(guarded.url, registry_secret=None, registry_ca_file=str(other.file), registry_attempts=2).ping()


def test_the_name_in_the_certificate_is_compared(guarded: Registry, authority: Authority, opened: Open) -> None:
    url = guarded.url.replace("127.0.0.1", "localhost")
    with pytest.raises(errors.ConfigError, match="registry_ca_file"):
        opened(url, registry_secret=None, registry_ca_file=str(authority.file), registry_attempts=1).ping()


# -- options ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"registry_urls": ["registry.example.org:9191"]}, "registry_urls: give http"),
        ({"registry_urls": ["http://a:b@c:1"]}, "without user"),
        ({"registry_urls": ["http://host:port"]}, "registry_urls"),
        ({"registry_urls": []}, "name at least one"),
        ({"registry_ca_file": "/nowhere.pem"}, "registry_ca_file = /nowhere.pem"),
        ({"registry_cert_file": __file__}, "set both"),
    ],
)
def test_wrong_options_are_named(opened: Open, options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.ConfigError, match=words):
        opened("http://127.0.0.1:1", **options)
