"""Against castellan itself, with the key manager in memory that it brings for tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from castellan.common.objects import x_509
from glancecore_certificates_castellan.driver import CastellanCertificates
from oslo_config import cfg
from oslo_context import context

from glancecore.domain import errors


@pytest.fixture
def source(tmp_path: Path) -> CastellanCertificates:
    file = tmp_path / "glance.conf"
    file.write_text("[key_manager]\nbackend = castellan.tests.unit.key_manager.mock_key_manager.MockKeyManager\n")
    conf = cfg.ConfigOpts()
    conf(["--config-file", str(file)])
    return CastellanCertificates(None, conf)  # type: ignore[arg-type]  # it has no options of its own


def test_a_certificate_comes_as_it_was_stored(source: CastellanCertificates) -> None:
    uuid = source._manager.store(context.RequestContext(auth_token="t"), x_509.X509(b"the certificate"))
    assert source.certificate(uuid, "t") == b"the certificate"


@pytest.mark.parametrize("uuid", ["", "unknown", "../x"])
def test_an_unknown_one_is_refused(source: CastellanCertificates, uuid: str) -> None:
    with pytest.raises(errors.SignatureInvalid, match="key manager"):
        source.certificate(uuid, "t")
