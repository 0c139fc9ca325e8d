"""Certificates in a real Barbican, read with tokens of a real Keystone."""

from __future__ import annotations

import contextlib
import secrets
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lab
import pytest
import signing
from castellan.common.objects import x_509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from glancecore_certificates_castellan.driver import CastellanCertificates
from key_manager import Keeper, Server, auth_url, expired_token
from oslo_config import cfg
from oslo_context import context

from glancecore.domain import errors

KEY = ec.generate_private_key(ec.SECP384R1())
PEM = signing.certificate(KEY)
DER = x509.load_pem_x509_certificate(PEM).public_bytes(Encoding.DER)
Make = Callable[..., CastellanCertificates]


@pytest.fixture(scope="module")
def demo() -> Keeper:
    return Keeper("demo")


@pytest.fixture(scope="module")
def other() -> Keeper:
    return Keeper("alt_demo")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(
        key_manager: dict[str, object] | None = None, service_user: dict[str, object] | None = None, **barbican: object
    ) -> CastellanCertificates:
        section = {"auth_endpoint": auth_url(), **barbican}
        (tmp_path / "conf").write_text(
            lab.config_text(
                {
                    "key_manager": key_manager or {"backend": "barbican"},
                    "barbican_service_user": service_user or {},
                    "barbican": {key: value for key, value in section.items() if value is not None},
                }
            )
        )
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(tmp_path / "conf")], default_config_dirs=[])
        source = CastellanCertificates(None, conf)  # type: ignore[arg-type]  # it has no options of its own
        source.start()
        return source

    return made


@pytest.fixture
def source(make: Make) -> CastellanCertificates:
    return make()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "barbican")
    made.start()
    yield made
    made.kill()


def nowhere() -> str:
    return f"http://127.0.0.1:{lab.free_port()}"


# -- what is there ---------------------------------------------------------------------------------
def test_a_certificate_is_read_with_its_users_token(source: CastellanCertificates, demo: Keeper) -> None:
    assert source.certificate(demo.keep(PEM), demo.token) == DER


def test_one_that_castellan_has_stored(source: CastellanCertificates, demo: Keeper) -> None:
    """As other services store theirs. (Castellan exchanges a token for one of the project that it is told.)"""
    whose = context.RequestContext(auth_token=demo.token, project_id=demo.session.get_project_id(), overwrite=False)
    stored = source._manager.store(whose, x_509.X509(DER))
    assert source.certificate(stored, demo.token) == DER


@pytest.mark.parametrize("form", [str.upper, lambda x: x.replace("-", "")])
def test_the_ways_to_write_an_id(source: CastellanCertificates, demo: Keeper, form: Callable[[str], str]) -> None:
    assert source.certificate(form(demo.keep(PEM)), demo.token) == DER


def test_a_certificate_that_another_project_shares(source: CastellanCertificates, demo: Keeper, other: Keeper) -> None:
    secret = other.keep(PEM)
    other.share(secret, demo)
    assert source.certificate(secret, demo.token) == DER


def test_the_key_manager_is_the_one_of_the_catalogue_or_of_the_option(make: Make, demo: Keeper) -> None:
    secret = demo.keep(PEM)
    for settings in (
        {"auth_endpoint": auth_url().removesuffix("/v3")},
        {"auth_endpoint": f"{auth_url()}/"},
        {"barbican_endpoint_type": "internal", "barbican_region_name": "RegionOne"},
        {"barbican_endpoint": lab.backend("barbican").url, "auth_endpoint": None},
    ):
        assert make(**settings).certificate(secret, demo.token) == DER


SERVICE = {
    "auth_type": "password",
    "username": "glance",
    "password": "secret",
    "user_domain_id": "default",
    "project_name": "service",
    "project_domain_id": "default",
}


def test_with_a_token_of_the_service_an_expired_one_is_good(make: Make, demo: Keeper, tmp_path: Path) -> None:
    """An import may last longer than a token lives."""
    secret, expired, endpoint = demo.keep(PEM), expired_token(tmp_path, "demo"), lab.backend("barbican").url
    for alone in (make(), make(barbican_endpoint=endpoint)):
        with pytest.raises(errors.NotAuthenticated, match="get a new one"):
            alone.certificate(secret, expired)
    user = {**SERVICE, "auth_url": auth_url()}
    assert (
        make(send_service_user_token=True, service_user=user, barbican_endpoint=endpoint).certificate(secret, expired)
        == DER
    )
    assert make(send_service_user_token=True, service_user=user).certificate(secret, demo.token) == DER


def test_a_service_that_keystone_does_not_know_is_not_the_users_fault(make: Make, demo: Keeper) -> None:
    source = make(send_service_user_token=True, service_user={**SERVICE, "auth_url": auth_url(), "password": "sesame"})
    check_away(source, demo.keep(PEM), demo.token)


def test_many_at_once_each_with_his_own_token(source: CastellanCertificates, demo: Keeper, other: Keeper) -> None:
    theirs = [(x.keep(PEM), x.token) for x in (demo, other)]

    def may(secret: str, token: str) -> bool:
        with contextlib.suppress(errors.SignatureInvalid):
            return source.certificate(secret, token) == DER
        return False

    asked = [
        (secret, token, whose == mine)
        for whose, (secret, _) in enumerate(theirs)
        for mine, (_, token) in enumerate(theirs)
    ] * 4
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda x: may(x[0], x[1]), asked)) == [allowed for *_, allowed in asked]


# -- what the caller has done wrong ----------------------------------------------------------------
@pytest.mark.parametrize("text", [str(uuid.UUID(int=7)), str(uuid.UUID(int=0))])
def test_an_unknown_id(source: CastellanCertificates, demo: Keeper, text: str) -> None:
    with pytest.raises(errors.SignatureInvalid, match=r"img_signature_certificate_uuid: .*no certificate of that id"):
        source.certificate(text, demo.token)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "../x",
        "x" * 10_000,
        "ü",
        "{id}/payload",
        "../secrets/{id}",
        "{{{id}}}",
        "urn:uuid:{id}",
        " {id}",
        "{id}\n",
        "http://127.0.0.1:1/v1/secrets/{id}",
    ],
)
def test_what_is_no_id_is_not_asked_for(make: Make, demo: Keeper, text: str) -> None:
    source = make(barbican_endpoint=nowhere())
    with pytest.raises(errors.SignatureInvalid, match=r"img_signature_certificate_uuid: not a UUID"):
        source.certificate(text.format(id=uuid.uuid4()), demo.token)


PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("passphrase", "sesame"),
        ("opaque", b"\0\1\2"),
        ("opaque", PEM),
        ("symmetric", secrets.token_bytes(32)),
        ("private", PRIVATE),
        ("private", b"junk"),
        ("public", b"junk"),
        ("certificate", b"junk"),
        ("certificate", "junk"),
        ("certificate", None),
        ("certificate", PEM.decode()),
        ("certificate", DER),
    ],
)
def test_a_secret_that_is_no_certificate(
    source: CastellanCertificates, demo: Keeper, kind: str, payload: bytes | str | None
) -> None:
    secret = demo.keep(payload, kind)
    with pytest.raises(errors.SignatureInvalid, match=r"img_signature_certificate_uuid: .*no certificate") as caught:
        source.certificate(secret, demo.token)
    assert "sesame" not in str(caught.value)


def test_a_certificate_of_another_project(source: CastellanCertificates, demo: Keeper, other: Keeper) -> None:
    for secret, reader in (
        (other.keep(PEM), demo),
        (demo.keep(PEM), Keeper("reader", "demo")),
        (demo.keep(PEM), Keeper("admin")),
    ):
        with pytest.raises(errors.SignatureInvalid, match=r"img_signature_certificate_uuid: .*may not be read"):
            source.certificate(secret, reader.token)


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token(source: CastellanCertificates, demo: Keeper, token: str | None) -> None:
    with pytest.raises(errors.SignatureInvalid, match=r"img_signature_certificate_uuid: .*token"):
        source.certificate(demo.keep(PEM), token)


def test_a_token_that_nobody_takes_any_more(make: Make, demo: Keeper) -> None:
    """Refused by Keystone, or by Barbican where Keystone is not asked."""
    for settings in ({}, {"barbican_endpoint": lab.backend("barbican").url}):
        with pytest.raises(errors.NotAuthenticated, match="get a new one"):
            make(**settings).certificate(demo.keep(PEM), "nonsense")


# -- a key manager that is away --------------------------------------------------------------------
def check_away(source: CastellanCertificates, secret: str, token: str) -> None:
    with pytest.raises(errors.CertificatesUnavailable, match=r"key manager .*try again later") as caught:
        source.certificate(secret, token)
    assert caught.value.retryable
    for secret in ("127.0.0.1", "http", token):
        assert secret not in str(caught.value)


def test_barbican_dies_freezes_and_comes_back(
    make: Make, demo: Keeper, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    secret, token = demo.keep(PEM), demo.token
    source = make(barbican_endpoint=server.url, timeout=2)
    assert source.certificate(secret, token) == DER
    server.freeze()
    check_away(source, secret, token)
    server.thaw()
    assert source.certificate(secret, token) == DER
    server.kill()
    check_away(source, secret, token)
    assert "key manager" in caplog.text
    assert token not in caplog.text
    server.start()
    assert source.certificate(secret, token) == DER


def test_barbican_can_not_ask_keystone(make: Make, demo: Keeper, tmp_path: Path) -> None:
    alone = Server(tmp_path / "alone", f"{nowhere()}/v3")
    alone.start()
    try:
        check_away(make(barbican_endpoint=alone.url), demo.keep(PEM), demo.token)
    finally:
        alone.kill()


@pytest.mark.parametrize(
    "settings",
    [
        {"barbican_endpoint": "http://127.0.0.1:1"},
        {"auth_endpoint": "http://127.0.0.1:1/v3"},
        {"barbican_region_name": "Atlantis"},
    ],
)
def test_what_can_not_be_reached(
    make: Make, demo: Keeper, settings: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    check_away(make(**settings), demo.keep(PEM), demo.token)
    assert "key manager" in caplog.text


def test_what_is_no_barbican(make: Make, demo: Keeper) -> None:
    """A web server that knows neither secrets nor JSON."""
    check_away(make(barbican_endpoint=f"{auth_url()}/nothing"), demo.keep(PEM), demo.token)


# -- settings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"key_manager": {"backend": "barbicn"}}, ("[key_manager] backend = barbicn", "barbican", "vault")),
        ({"key_manager": {"backend": "no.such.Module"}}, ("[key_manager] backend = no.such.Module",)),
        ({"auth_endpoint": None}, ("[barbican] auth_endpoint", "barbican_endpoint")),
        ({"send_service_user_token": True}, ("[barbican_service_user] auth_type",)),
        (
            {"send_service_user_token": True, "service_user": {"auth_type": "pasword"}},
            ("[barbican_service_user] auth_type = pasword",),
        ),
    ],
)
def test_wrong_settings_stop_the_start(make: Make, settings: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        make(**settings)
    for word in words:
        assert word in str(caught.value)
