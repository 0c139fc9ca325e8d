"""Signed images: upload and import, each kind of key and hash, with the certificates in a folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api import Person
from conftest import built
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from import_calls import DIRECT, begin, ended, show, stage
from signing import METHODS, certificate, properties

from glancecore.assembly.lifecycle import Service

DATA = os.urandom(2_000_000)
KEYS: dict[str, Any] = {
    "RSA-PSS": rsa.generate_private_key(65537, 2048),
    "DSA": dsa.generate_private_key(2048),
    "ECC_SECP384R1": ec.generate_private_key(ec.SECP384R1()),
    "ECC_SECP521R1": ec.generate_private_key(ec.SECP521R1()),
}
IDS = {
    kind: str(uuid.uuid4()) for kind in (*KEYS, "expired", "not yet", "encipher", "issues", "signs", "commits", "junk")
}


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder: Path = tmp_path_factory.mktemp("certificates")
    for kind, key in KEYS.items():
        (folder / f"{IDS[kind]}.pem").write_bytes(certificate(key))
    (folder / f"{IDS['expired']}.pem").write_bytes(certificate(KEYS["RSA-PSS"], -1))
    (folder / f"{IDS['not yet']}.pem").write_bytes(certificate(KEYS["RSA-PSS"], 20, begins=1))
    for name, usage in (
        ("encipher", "key_encipherment"),
        ("issues", "key_cert_sign"),
        ("signs", "digital_signature"),
        ("commits", "content_commitment"),
    ):
        (folder / f"{IDS[name]}.pem").write_bytes(certificate(KEYS["RSA-PSS"], usage=usage))
    (folder / f"{IDS['junk']}.pem").write_bytes(b"no certificate")
    with built(
        "sqlite", {"DEFAULT": {"certificate_source": "folder"}, "certificates_folder": {"path": folder}}
    ) as service:
        yield Person(service.app)


def signed(kind: str = "RSA-PSS", method: str = "SHA-256", **other: str) -> dict[str, str]:
    return {**properties(KEYS[kind], kind, method, DATA, IDS[kind]), **other}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("method", METHODS)
def test_a_good_signature(owner: Person, kind: str, method: str) -> None:
    image_id = owner.create(**signed(kind, method))["id"]
    assert owner.upload(image_id, DATA).status_code == 204
    assert show(owner, image_id)["status"] == "active"
    image_id = owner.create(**signed(kind, method))["id"]
    assert stage(owner, image_id, DATA).status_code == 204
    assert begin(owner, image_id, DIRECT).status_code == 202
    assert ended(owner, image_id)["status"] == "success"


@pytest.mark.parametrize(
    ("name", "status"),
    [("expired", 400), ("not yet", 400), ("encipher", 400), ("issues", 400), ("signs", 204), ("commits", 204)],
)
def test_what_a_certificate_must_be_for(owner: Person, name: str, status: int) -> None:
    image_id = owner.create(**signed(img_signature_certificate_uuid=IDS[name]))["id"]
    answer = owner.upload(image_id, DATA)
    assert answer.status_code == status, answer.text
    if status == 400:
        assert "img_signature_certificate_uuid" in (answer.json or {})["message"]


@pytest.mark.parametrize("kind", KEYS)
def test_a_signature_of_other_data(owner: Person, kind: str) -> None:
    other = DATA[:-1] + bytes([DATA[-1] ^ 1])
    image_id = owner.create(**signed(kind))["id"]
    answer = owner.upload(image_id, other)
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "signature_invalid")
    image = show(owner, image_id)
    assert (image["status"], image["size"]) == ("queued", None)
    assert stage(owner, image_id, other).status_code == 204
    assert begin(owner, image_id, DIRECT).status_code == 202
    assert ended(owner, image_id)["error"] == "signature_invalid"
    assert show(owner, image_id)["status"] == "queued"
    assert owner.upload(image_id, DATA).status_code == 204


@pytest.mark.parametrize(
    "wrong",
    [
        {"img_signature": "not base64!"},
        {"img_signature_hash_method": "MD5"},
        {"img_signature_key_type": "ROT13"},
        {"img_signature_key_type": "DSA"},
        {"img_signature_key_type": "ECC_SECP384R1"},
        {"img_signature_certificate_uuid": str(uuid.uuid4())},
        {"img_signature_certificate_uuid": "../../etc/passwd"},
        {"img_signature_certificate_uuid": IDS["expired"]},
        {"img_signature_certificate_uuid": IDS["junk"]},
        {"img_signature_certificate_uuid": IDS["DSA"]},
        {"img_signature_hash_method": "SHA-512"},
    ],
)
def test_what_can_not_be_checked_is_refused(owner: Person, wrong: dict[str, str]) -> None:
    image_id = owner.create(**signed(**wrong))["id"]
    answer = owner.upload(image_id, DATA)
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "signature_invalid"), answer.text
    assert show(owner, image_id)["status"] == "queued"


@pytest.mark.parametrize("missing", signed())
def test_some_but_not_all_properties_mean_no_check(owner: Person, missing: str) -> None:
    image_id = owner.create(**{k: v for k, v in signed().items() if k != missing})["id"]
    assert owner.upload(image_id, b"anything").status_code == 204


def test_without_certificates_signed_images_are_refused(service: Service) -> None:
    owner = Person(service.app, f"s-{uuid.uuid4().hex[:6]}")
    image_id = owner.create(**signed())["id"]
    assert owner.upload(image_id, DATA).status_code == 400


def test_a_signature_that_nobody_checks_is_refused(service: Service) -> None:
    owner = Person(service.app, f"s-{uuid.uuid4().hex[:6]}")
    image_id = owner.create()["id"]
    assert stage(owner, image_id, DATA).status_code == 204
    assert begin(owner, image_id, {"method": {"name": "glance-direct", "signature": "x"}}).status_code == 400
