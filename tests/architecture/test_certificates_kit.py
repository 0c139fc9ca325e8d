"""The kit for sources of certificates can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import signing
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from oslo_config import cfg

from glancecore.domain.errors import CertificatesUnavailable, SignatureInvalid
from glancecore.ports.certificates import CertificateSource
from glancecore.testing.certificates import CertificatesConformance, Kept, make_source

Kit = CertificatesConformance
SECRET = "s3cret-of-the-drawer"
PEMS = {
    str(uuid.UUID(int=number + 1)): signing.certificate(ec.generate_private_key(ec.SECP384R1())) for number in range(2)
}
KEPT = [
    Kept(name, x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER), f"token-{name}")
    for name, pem in PEMS.items()
]


class Drawer(CertificateSource):
    """Keeps every rule."""

    plugin_api = "1.0"
    options = [cfg.IntOpt("most", help="Not used.")]
    there = True

    def certificate(self, uuid: str, token: str | None) -> bytes:
        if not self.there:
            raise CertificatesUnavailable("the drawer is closed now; try again later")
        if uuid not in PEMS:
            raise SignatureInvalid("img_signature_certificate_uuid: there is none of that id")
        return PEMS[uuid]


class WithToken(Drawer):
    wants_token = True

    def certificate(self, uuid: str, token: str | None) -> bytes:
        found = super().certificate(uuid, token)
        if token != f"token-{uuid}":
            raise SignatureInvalid("img_signature_certificate_uuid: it may not be read")
        return found


class TestDrawer(CertificatesConformance):
    secrets = (SECRET,)
    cls = Drawer

    @pytest.fixture
    def source(self) -> Drawer:
        return make_source(self.cls)

    @pytest.fixture
    def kept(self) -> Sequence[Kept]:
        return KEPT

    @pytest.fixture
    def take_away(self, source: Drawer) -> Callable[[], None]:
        return lambda: setattr(source, "there", False)


class TestWithToken(TestDrawer):
    cls = WithToken


class NoHelp(Drawer):
    options = [cfg.IntOpt("most")]


class SaysItWantsNone(WithToken):
    wants_token = False


class SaysItWantsOne(Drawer):
    wants_token = True


class TheFirst(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        super().certificate(uuid, token)
        return next(iter(PEMS.values()))


class NoCertificate(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        super().certificate(uuid, token)
        return b""


class Nothing(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        try:
            return super().certificate(uuid, token)
        except SignatureInvalid:
            return b""


class Crashes(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        return PEMS[uuid]


class Lenient(Drawer):
    """What is around the id does not matter."""

    def certificate(self, uuid: str, token: str | None) -> bytes:
        return super().certificate(uuid.strip(), token)


class Repeats(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        if uuid not in PEMS:
            raise SignatureInvalid(f"there is no {uuid}")
        return super().certificate(uuid, token)


class OneAtATime(Drawer):
    uuid: str

    def certificate(self, uuid: str, token: str | None) -> bytes:
        self.uuid = uuid
        time.sleep(0.005)
        return super().certificate(self.uuid, token)


class BlamesTheUser(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        try:
            return super().certificate(uuid, token)
        except CertificatesUnavailable:
            raise SignatureInvalid("there is none") from None


class Hangs(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        if not self.there:
            time.sleep(2)
        return super().certificate(uuid, token)


class LogsTokens(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        logging.getLogger("acme").debug("with %s", token)
        return super().certificate(uuid, token)


class TellsSecrets(Drawer):
    def certificate(self, uuid: str, token: str | None) -> bytes:
        if not self.there:
            raise CertificatesUnavailable(f"closed with {SECRET}")
        return super().certificate(uuid, token)


@pytest.mark.parametrize(
    ("saboteur", "test", "more"),
    [
        (NoHelp, Kit.test_options_can_be_declared_and_shown, {}),
        (SaysItWantsNone, Kit.test_wants_token_is_honest, {}),
        (SaysItWantsOne, Kit.test_wants_token_is_honest, {}),
        (TheFirst, Kit.test_what_is_there_is_read, {}),
        (NoCertificate, Kit.test_what_is_there_is_read, {}),
        (Nothing, Kit.test_an_unknown_id_is_told, {}),
        (Crashes, Kit.test_an_unknown_id_is_told, {}),
        (Lenient, Kit.test_what_is_no_id_is_told, {"name": "{id}\n"}),
        (Repeats, Kit.test_what_is_no_id_is_told, {"name": "x" * 100_000}),
        (OneAtATime, Kit.test_many_threads_are_not_mixed_up, {}),
        (BlamesTheUser, Kit.test_certificates_that_are_away_are_told, {}),
        (Hangs, Kit.test_certificates_that_are_away_are_told, {}),
        (LogsTokens, Kit.test_no_secret_is_told, {}),
        (TellsSecrets, Kit.test_no_secret_is_told, {}),
    ],
)
def test_the_kit_catches(
    saboteur: type[Drawer], test: Callable[..., None], more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    kit, source = TestDrawer(), make_source(saboteur)
    kit.patience = 0.3  # type: ignore[misc]
    given = {
        "source": source,
        "kept": KEPT,
        "take_away": lambda: setattr(source, "there", False),
        "caplog": caplog,
        **more,
    }
    with pytest.raises((AssertionError, pytest.fail.Exception, KeyError, ValueError, SignatureInvalid)):
        test(kit, **{name: given[name] for name in test.__code__.co_varnames[1 : test.__code__.co_argcount]})
