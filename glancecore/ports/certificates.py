"""What a certificate plugin implements: the X.509 certificate that an image names as the one of its signer."""

from __future__ import annotations

from abc import ABC, abstractmethod

from oslo_config import cfg

from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin


class CertificateSource(Plugin, ABC):
    """Thread-safe."""

    options: Options = ()
    #: Ask with the caller's token, so an import keeps it until it ends.
    wants_token = False

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        """``conf`` is the plugin's own section; ``config`` the whole, for oslo libraries with sections of their own."""
        self.conf = conf
        self.config = config

    def start(self) -> None:
        """Check the settings, once per process. Raises ConfigError naming option and fix."""

    @abstractmethod
    def certificate(self, uuid: str, token: str | None) -> bytes:
        """The certificate as PEM or DER; ``token`` is the caller's own, when there is one. ``uuid`` is what a user
        wrote: anything.

        Raises SignatureInvalid when there is none of that id, or it may not be read; NotAuthenticated for a token that
        is not taken any more; CertificatesUnavailable when the certificates can't be asked for now."""
