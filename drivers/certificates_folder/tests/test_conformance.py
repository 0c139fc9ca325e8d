"""The kit on files in a folder."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import signing
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from glancecore_certificates_folder.driver import CertificateFolder

from glancecore.testing.certificates import CertificatesConformance, Kept, make_source


class TestFolder(CertificatesConformance):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        made = tmp_path / "trusted"
        made.mkdir()
        return made

    @pytest.fixture
    def source(self, folder: Path) -> CertificateFolder:
        return make_source(CertificateFolder, path=str(folder))

    @pytest.fixture
    def kept(self, folder: Path) -> Sequence[Kept]:
        found = []
        for _ in range(2):
            name, pem = str(uuid.uuid4()), signing.certificate(ec.generate_private_key(ec.SECP384R1()))
            (folder / f"{name}.pem").write_bytes(pem)
            found.append(Kept(name, x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)))
        return found

    @pytest.fixture
    def take_away(self, folder: Path) -> Callable[[], None]:
        return lambda: void(folder.rename(folder.with_name("away")))


def void(_found: object) -> None:
    """Its result is not wanted."""
