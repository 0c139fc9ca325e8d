"""What stands in the place of a broken plugin where to leave it out would let pass what it is there to refuse."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.domain.errors import CertificatesUnavailable, StepFailed
from glancecore.ports.certificates import CertificateSource
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore.ports.options import section


class UnavailableStep(ImportStep):
    """No import begins with it; one that has begun before ends here, and is undone as far as it can be."""

    isolated = False

    def __init__(self, name: str, config: cfg.ConfigOpts) -> None:
        super().__init__(section(config, f"step_{name}", ()), config)
        self.unavailable_because = f"the import step {name} is broken"

    def run(self, _work: ImportWork) -> None:
        raise StepFailed(str(self.unavailable_because))

    def undo(self, _work: ImportWork) -> None:
        raise StepFailed(str(self.unavailable_because))


class UnavailableCertificates(CertificateSource):
    """No signature can be checked."""

    def certificate(self, _uuid: str, _token: str | None) -> bytes:
        raise CertificatesUnavailable("the certificates of signed images can't be asked for: their plugin is broken")
