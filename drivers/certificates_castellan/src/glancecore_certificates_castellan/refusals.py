"""What castellan's errors mean to the user who named the certificate."""

from __future__ import annotations

from collections.abc import Iterator

import requests
from barbicanclient import exceptions as barbican
from castellan.common import exception as castellan
from cryptography.exceptions import UnsupportedAlgorithm
from keystoneauth1 import exceptions as keystone

from glancecore.domain import errors
from glancecore_certificates_castellan.callers_token import NoToken

FIELD = "img_signature_certificate_uuid"
#: Statuses of Barbican that say something of the secret or of who asks for it, not of how Barbican is.
_OURS = (400, 403, 404, 406, 410)


def meaning(exc: Exception, *, refused: bool) -> errors.GlanceError:
    """Castellan wraps some errors, often twice, and lets others through: the first that says something counts.

    ``refused``: the token was answered 401. (Barbican's client loses that: it looks for a title that the answer has
    not.)"""
    if refused:
        return errors.NotAuthenticated(
            "the key manager does not take the token of this request (any more); get a new one and try again"
        )
    for each in _chain(exc):
        if isinstance(each, NoToken):
            return errors.SignatureInvalid(
                f"{FIELD}: certificates are in a key manager that wants a token of Keystone; this request has none"
            )
        if isinstance(each, castellan.ManagedObjectNotFoundError):
            return errors.SignatureInvalid(f"{FIELD}: the key manager has no certificate of that id")
        if isinstance(each, barbican.HTTPClientError) and each.status_code in _OURS:
            return errors.SignatureInvalid(
                f"{FIELD}: what the key manager has of that id may not be read with the token of this request"
            )
        if isinstance(each, (barbican.HTTPError, keystone.ClientException, requests.RequestException)):
            break
        if isinstance(
            each, (TypeError, ValueError, UnsupportedAlgorithm)
        ):  # castellan could not make sense of the content
            return no_certificate()
    return errors.CertificatesUnavailable(
        "the key manager with the certificates of signed images can't be asked now; try again later"
    )


def no_certificate() -> errors.SignatureInvalid:
    return errors.SignatureInvalid(
        f"{FIELD}: what the key manager has of that id is no certificate that can be used: store one as PEM, with "
        "secret_type certificate and payload_content_type application/octet-stream"
    )


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
