"""What stands in the place of a broken plugin where to leave it out would let pass what it is there to refuse."""

from __future__ import annotations

from glancecore.domain.errors import CertificatesUnavailable
from glancecore.ports.certificates import CertificateSource


class UnavailableCertificates(CertificateSource):
    """No signature can be checked."""

    def certificate(self, _uuid: str, _token: str | None) -> bytes:
        raise CertificatesUnavailable("the certificates of signed images can't be asked for: their plugin is broken")
