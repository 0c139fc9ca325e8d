"""Signers of images: keys, their certificates, and the four properties of a signed image."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import NameOID

METHODS = {
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}

USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def certificate(key: Any, days: int = 10, *, begins: int = -20, usage: str | None = None) -> bytes:
    """PEM; it ends in so many days. ``usage``: the only one that its key usage allows, such as digital_signature."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=days))
    )
    if usage is not None:
        made = made.add_extension(x509.KeyUsage(**{x: x == usage for x in USAGES}), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def sign(key: Any, kind: str, method: str, data: bytes) -> str:
    used = METHODS[method]
    if kind == "RSA-PSS":
        raw = key.sign(data, padding.PSS(padding.MGF1(used), padding.PSS.MAX_LENGTH), used)
    else:
        raw = key.sign(data, used if kind == "DSA" else ec.ECDSA(used))
    return base64.b64encode(raw).decode()


def properties(key: Any, kind: str, method: str, data: bytes, certificate_id: str) -> dict[str, str]:
    return {
        "img_signature": sign(key, kind, method, data),
        "img_signature_hash_method": method,
        "img_signature_key_type": kind,
        "img_signature_certificate_uuid": certificate_id,
    }
