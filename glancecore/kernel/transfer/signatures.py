"""Signed images: the data's signature is checked in the same pass as everything else.

The properties, the hashes and the keys are those of OpenStack's signed images (cursive): a Base64 signature over the
data's hash, by the key of an X.509 certificate that a key manager holds."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.certificates import CertificateSource

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.x509 import Certificate

SIGNATURE, METHOD = "img_signature", "img_signature_hash_method"
KEY_TYPE, CERTIFICATE = "img_signature_key_type", "img_signature_certificate_uuid"
#: Hash names in the property -> hashlib's.
HASHES = {"SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
#: Curves by the name that the property has; the curve's own name in the certificate.
CURVES = {
    "ECC_SECP521R1": "secp521r1",
    "ECC_SECP384R1": "secp384r1",
    "ECC_SECT571K1": "sect571k1",
    "ECC_SECT571R1": "sect571r1",
    "ECC_SECT409K1": "sect409k1",
    "ECC_SECT409R1": "sect409r1",
}
KEY_TYPES = ("RSA-PSS", "DSA", *CURVES)


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """``algorithm`` is the hash of the data that ``verify`` wants, in hexadecimal digits. ``verify`` raises
    SignatureInvalid."""

    algorithm: str
    verify: Callable[[str], None]


class Signatures:
    """``source`` None: this deployment has no certificates, so signed images are refused rather than believed."""

    def __init__(self, source: CertificateSource | None) -> None:
        self._source = source

    @property
    def wants_token(self) -> bool:
        """Whether certificates are asked for in the caller's name."""
        return self._source is not None and self._source.wants_token

    def check_of(self, image: Image, token: str | None = None) -> SignatureCheck | None:
        """How the data of ``image`` is to be checked, before its first byte; None when not all four properties are set.

        Raises SignatureInvalid for values that no signature can have, and for a certificate that can't be had or used;
        NotAuthenticated, CertificatesUnavailable."""
        values = [image.properties.get(x) for x in (SIGNATURE, METHOD, KEY_TYPE, CERTIFICATE)]
        if not all(values):
            return None
        text, method, kind, uuid = map(str, values)
        if method not in HASHES:
            raise errors.SignatureInvalid(f"{METHOD}: {method!r} is not one of {', '.join(HASHES)}")
        if kind not in KEY_TYPES:
            raise errors.SignatureInvalid(f"{KEY_TYPE}: {kind!r} is not one of {', '.join(KEY_TYPES)}")
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise errors.SignatureInvalid(f"{SIGNATURE}: not Base64") from exc
        if self._source is None:
            raise errors.SignatureInvalid(
                "the image is signed, and this deployment has no certificates to check it with"
            )
        verify = _verifier(self._source.certificate(uuid, token), kind, HASHES[method], signature)
        return SignatureCheck(HASHES[method], verify)


def _may_sign(certificate: Certificate) -> bool:
    """A certificate that says nothing of what its key is for may. Raises SignatureInvalid."""
    from cryptography import x509

    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError as exc:
        raise errors.SignatureInvalid(f"{CERTIFICATE}: what it names is no certificate that can be used") from exc
    return usage.digital_signature or usage.content_commitment


def _verifier(raw: bytes, kind: str, algorithm: str, signature: bytes) -> Callable[[str], None]:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    try:
        certificate = (
            x509.load_pem_x509_certificate(raw) if b"-----BEGIN" in raw else x509.load_der_x509_certificate(raw)
        )
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise errors.SignatureInvalid(f"{CERTIFICATE}: what it names is no certificate that can be used") from exc
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise errors.SignatureInvalid(f"{CERTIFICATE}: the certificate is not valid now")
    if not _may_sign(certificate):
        raise errors.SignatureInvalid(
            f"{CERTIFICATE}: the certificate's key is not for signing data: its key usage must be digitalSignature or"
            " nonRepudiation"
        )
    kinds: Mapping[str, HashAlgorithm] = {
        "sha224": hashes.SHA224(),
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }
    used = kinds[algorithm]
    if not (
        (kind == "RSA-PSS" and isinstance(key, rsa.RSAPublicKey))
        or (kind == "DSA" and isinstance(key, dsa.DSAPublicKey))
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == CURVES.get(kind))
    ):
        raise errors.SignatureInvalid(f"{KEY_TYPE}: the certificate's key is not of type {kind}")

    def verify(digest: str) -> None:
        data, hashed = bytes.fromhex(digest), Prehashed(used)
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, data, padding.PSS(padding.MGF1(used), padding.PSS.MAX_LENGTH), hashed)
            elif isinstance(key, dsa.DSAPublicKey):
                key.verify(signature, data, hashed)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, data, ec.ECDSA(hashed))
        except InvalidSignature as exc:
            raise errors.SignatureInvalid(
                f"{SIGNATURE}: the signature is not one of this data by the certificate's key"
            ) from exc

    return verify
