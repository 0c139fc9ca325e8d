"""The certificates of the server, as the operator names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from glancecore import conf as configuration
from glancecore.domain.errors import ConfigError
from glancecore.server import tls


def test_an_authority_without_a_certificate_is_refused(tmp_path: Path) -> None:
    """It would serve everybody over plain HTTP."""
    file = tmp_path / "glance-api.conf"
    file.write_text("[DEFAULT]\nca_file = /etc/ssl/clients.pem\n")
    with pytest.raises(ConfigError, match=r"ca_file.*set cert_file and key_file"):
        tls.check(configuration.new(files=[str(file)]))
