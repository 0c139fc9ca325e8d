"""The kit on a real Barbican."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import lab
import pytest
import signing
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from glancecore_certificates_castellan.driver import CastellanCertificates
from key_manager import Keeper, Server, auth_url
from oslo_config import cfg

from glancecore.testing.certificates import CertificatesConformance, Kept, make_source


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("barbican"))
    yield made
    made.kill()


@pytest.fixture(scope="module")
def all_kept() -> Sequence[Kept]:
    found = []
    for keeper in (Keeper("demo"), Keeper("alt_demo")):
        pem = signing.certificate(ec.generate_private_key(ec.SECP384R1()))
        found.append(Kept(keeper.keep(pem), x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER), keeper.token))
    return found


class TestBarbican(CertificatesConformance):
    @pytest.fixture
    def kept(self, all_kept: Sequence[Kept]) -> Sequence[Kept]:
        return all_kept

    @pytest.fixture
    def source(self, tmp_path: Path) -> CastellanCertificates:
        return self.made(tmp_path, barbican_endpoint=lab.backend("barbican").url)

    def made(self, folder: Path, **barbican: object) -> CastellanCertificates:
        (folder / "conf").write_text(lab.config_text({"key_manager": {"backend": "barbican"}, "barbican": {"auth_endpoint": auth_url(), **barbican}}))
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(folder / "conf")], default_config_dirs=[])
        return make_source(CastellanCertificates, conf)


class TestBarbicanThatGoesAway(TestBarbican):
    """One of its own, which may be killed."""

    @pytest.fixture
    def source(self, server: Server, tmp_path: Path) -> CastellanCertificates:
        server.start()
        return self.made(tmp_path, barbican_endpoint=server.url, timeout=5)

    @pytest.fixture
    def take_away(self, server: Server) -> Callable[[], None]:
        return server.kill
