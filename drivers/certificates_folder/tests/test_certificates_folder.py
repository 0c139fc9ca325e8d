"""Files in a folder. Whole uploads and imports of signed images with it: tests/api."""

from __future__ import annotations

import uuid
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from glancecore_certificates_folder.driver import CertificateFolder
from glancecore_certificates_folder.options import OPTIONS, SECTION
from oslo_config import cfg

from glancecore.domain import errors

PEM = b"-----BEGIN CERTIFICATE-----\n"


def make(folder: Path) -> CertificateFolder:
    conf = cfg.ConfigOpts()
    conf.register_opts(OPTIONS, group=SECTION)
    conf([])
    conf.set_override("path", str(folder), group=SECTION)
    source = CertificateFolder(conf[SECTION], conf)
    source.start()
    return source


def test_it_is_found_as_an_operator_names_it() -> None:
    (found,) = entry_points(group="glancecore.certificates", name="folder")
    assert found.load() is CertificateFolder


def test_a_certificate_is_the_file_of_its_id_in_either_case(tmp_path: Path) -> None:
    name = str(uuid.uuid4())
    (tmp_path / f"{name}.pem").write_bytes(PEM)
    assert make(tmp_path).certificate(name, None) == make(tmp_path).certificate(name.upper(), "token") == PEM


@pytest.mark.parametrize(
    ("name", "word"),
    [(str(uuid.uuid4()), "trusted"), ("../secret", "UUID"), ("", "UUID"), (f"{uuid.uuid4()}\n", "UUID")],
)
def test_what_is_no_certificate_of_the_folder(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret.pem").write_bytes(PEM)
    with pytest.raises(errors.SignatureInvalid, match=f"img_signature_certificate_uuid.*{word}"):
        make(tmp_path / "folder").certificate(name, None)


def test_without_its_folder_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="no such folder"):
        make(tmp_path / "missing")
