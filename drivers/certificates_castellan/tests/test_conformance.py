"""The kit on a real Barbican, with tokens of a real Keystone."""

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
def found() -> Sequence[Kept]:
    """Of two users, each with his own token."""
    made = []
    for user in ("demo", "alt_demo"):
        keeper, pem = Keeper(user), signing.certificate(ec.generate_private_key(ec.SECP384R1()))
        made.append(
            Kept(keeper.keep(pem), x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER), keeper.token)
        )
    return made


class TestBarbican(CertificatesConformance):
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        """Of our own, before the same secrets: it may be killed."""
        made = Server(tmp_path / "barbican")
        made.start()
        yield made
        made.kill()

    @pytest.fixture
    def source(self, server: Server, tmp_path: Path) -> CastellanCertificates:
        (tmp_path / "conf").write_text(
            lab.config_text(
                {
                    "key_manager": {"backend": "barbican"},
                    "barbican": {"auth_endpoint": auth_url(), "barbican_endpoint": server.url},
                }
            )
        )
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(tmp_path / "conf")], default_config_dirs=[])
        return make_source(CastellanCertificates, conf)

    @pytest.fixture
    def kept(self, found: Sequence[Kept]) -> Sequence[Kept]:
        return found

    @pytest.fixture
    def take_away(self, server: Server) -> Callable[[], None]:
        return server.kill
