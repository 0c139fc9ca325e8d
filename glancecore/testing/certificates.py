"""The conformance kit for sources of certificates: one test for each rule of ``glancecore.ports.certificates``.

class TestMine(CertificatesConformance):
    @pytest.fixture
    def source(self): ...       # started, from make_source
    @pytest.fixture
    def kept(self): ...         # two Kept at least: certificates that are there, each with a token that may read it
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import pytest
from cryptography import x509
from oslo_config import cfg

from glancecore.domain.errors import CertificatesUnavailable, NotAuthenticated, SignatureInvalid
from glancecore.ports.certificates import CertificateSource
from glancecore.testing._plugin import check_hidden, check_options, check_sentence, configured, within

AnySource = TypeVar("AnySource", bound=CertificateSource)
#: ``{id}`` stands for that of a certificate which is there.
HOSTILE = (
    "",
    " ",
    "unknown",
    "../{id}",
    "/etc/passwd",
    "{id}/../{id}",
    "{id}\x00",
    "{id}\n",
    " {id}",
    "{id}.pem",
    "urn:uuid:{id}",
    "{{{id}}}",
    "{id}?x=y",
    "{id}#x",
    "%2e%2e/{id}",
    "x" * 100_000,
    "\ud800",
    "\u0661" * 32,
    "*",
    "http://127.0.0.1:1/{id}",
    "file:///etc/passwd",
)


@dataclass(frozen=True)
class Kept:
    """A certificate, as ``der``, under ``uuid``; ``token``: of somebody who may read it."""

    uuid: str
    der: bytes
    token: str | None = field(default=None, repr=False)


def make_source(cls: type[AnySource], config: cfg.ConfigOpts | None = None, **options: Any) -> AnySource:
    """A started source of ``cls`` whose section holds ``options``, and nothing that it did not declare. ``config``:
    with other sections that it reads."""
    source = cls(*configured("certificates", cls.options, options, config))
    source.start()
    return source


class CertificatesConformance:
    """``secrets``: what it is told beside tokens, and must tell nobody. ``patience``: seconds that an answer may take:
    a user waits for it."""

    secrets: ClassVar[tuple[str, ...]] = ()
    patience: ClassVar[float] = 30.0

    @pytest.fixture
    def source(self) -> CertificateSource:
        raise NotImplementedError("give the kit a started source")

    @pytest.fixture
    def kept(self) -> Sequence[Kept]:
        raise NotImplementedError("give the kit two certificates at least")

    @pytest.fixture
    def take_away(self) -> Callable[[], None] | None:
        """Makes what ``source`` reads unreachable; None: it can't be."""
        return None

    # -- what it says of itself --------------------------------------------------------------------
    def test_options_can_be_declared_and_shown(self, source: CertificateSource) -> None:
        check_options(source.options)

    def test_wants_token_is_honest(self, source: CertificateSource, kept: Sequence[Kept]) -> None:
        """An import keeps the caller's token for a source that wants it, and for no other."""
        if not source.wants_token:
            for each in kept:
                assert self.read(source, each.uuid, None) == each.der
            return
        with pytest.raises((SignatureInvalid, NotAuthenticated)) as told:
            source.certificate(kept[0].uuid, None)
        check_sentence(told.value)

    # -- certificates ------------------------------------------------------------------------------
    def read(self, source: CertificateSource, name: str, token: str | None) -> bytes:
        """As DER. Raises what ``certificate`` raises."""
        raw = within(self.patience, lambda: source.certificate(name, token), "certificate")
        assert isinstance(raw, bytes)
        found = x509.load_pem_x509_certificate(raw) if b"-----BEGIN" in raw else x509.load_der_x509_certificate(raw)
        from cryptography.hazmat.primitives.serialization import Encoding

        return found.public_bytes(Encoding.DER)

    def test_what_is_there_is_read(self, source: CertificateSource, kept: Sequence[Kept]) -> None:
        for each in [*kept, *kept]:
            assert self.read(source, each.uuid, each.token) == each.der

    def test_an_unknown_id_is_told(self, source: CertificateSource, kept: Sequence[Kept]) -> None:
        with pytest.raises(SignatureInvalid) as told:
            source.certificate(str(uuid.uuid4()), kept[0].token)
        check_sentence(told.value)

    @pytest.mark.parametrize("name", HOSTILE, ids=lambda text: ascii(text[:20]))
    def test_what_is_no_id_is_told(self, source: CertificateSource, kept: Sequence[Kept], name: str) -> None:
        """A user has written it: it is never a path, or a URL."""
        with pytest.raises(SignatureInvalid) as told:
            within(
                self.patience,
                lambda: source.certificate(name.replace("{id}", kept[0].uuid), kept[0].token),
                "certificate",
            )
        check_sentence(told.value)
        assert len(str(told.value)) < 1000, "the sentence repeats what the user wrote"

    def test_many_threads_are_not_mixed_up(self, source: CertificateSource, kept: Sequence[Kept]) -> None:
        asked = [*kept] * 8
        with ThreadPoolExecutor(8) as pool:
            for each, found in zip(asked, pool.map(lambda x: self.read(source, x.uuid, x.token), asked), strict=True):
                assert found == each.der

    # -- failures ----------------------------------------------------------------------------------
    def test_certificates_that_are_away_are_told(
        self, source: CertificateSource, kept: Sequence[Kept], take_away: Callable[[], None] | None
    ) -> None:
        """It is nobody's fault: the signature may be right."""
        if take_away is None:
            return
        take_away()
        with pytest.raises(CertificatesUnavailable) as told:
            within(self.patience, lambda: source.certificate(kept[0].uuid, kept[0].token), "certificate")
        check_sentence(told.value)

    def test_no_secret_is_told(
        self,
        source: CertificateSource,
        kept: Sequence[Kept],
        take_away: Callable[[], None] | None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """In no log, at no level, and in no error; a token is a secret."""
        caplog.set_level(logging.DEBUG)
        said: list[object] = []
        mine = "s3cret-token-of-the-kit"

        def ask(name: str, token: str | None) -> None:
            try:
                source.certificate(name, token)
            except (SignatureInvalid, NotAuthenticated, CertificatesUnavailable) as exc:
                said.append(exc)

        for name in (kept[0].uuid, str(uuid.uuid4()), "unknown"):
            for token in (kept[0].token, mine):
                ask(name, token)
        if take_away is not None:
            take_away()
            ask(kept[0].uuid, kept[0].token)
        check_hidden([x for x in (*self.secrets, *(y.token for y in kept), mine) if x], caplog.text, *said)
