"""What an import step implements: something that is done with the staged data before it goes to the stores.

Steps run in the operator's order, one after the other. A step that fails ends the import with its error; the steps that
have run are then undone, the last one first. The kit ``glancecore.testing.import_step`` checks each
rule. The whole of a vendor's step:

    class ChecksumStep(ImportStep):
        plugin_api = "1.0"

        def run(self, work: ImportWork) -> None:
            digest = hashlib.sha256()
            with work.staged.open("rb") as src:
                while chunk := src.read(1 << 20):
                    work.check_alive()
                    digest.update(chunk)
            work.set_properties(sha256=digest.hexdigest())

        def undo(self, work: ImportWork) -> None:
            work.remove_properties("sha256")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

from oslo_config import cfg

from glancecore.domain.image import Image
from glancecore.ports.import_method import MethodRequest
from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin


class ImportWork(Protocol):
    """What a step is handed."""

    @property
    def image(self) -> Image:
        """The image as it is now."""

    @property
    def request(self) -> MethodRequest:
        """What the caller asked for, and his roles."""

    @property
    def staged(self) -> Path:
        """The staged data as a local file. Read only: other data goes into a file of ``scratch``, and to
        ``replace``."""

    @property
    def scratch(self) -> Path:
        """An empty folder of this step's own, removed when it ends; there is room for what ``image_size_cap`` allows or
        the operator gave."""

    def check_alive(self) -> None:
        """Raises ImportCancelled, LeaseLost, ImportSuspended; call it at least once a second."""

    def progress(self, bytes: int, total: int | None = None) -> None:  # noqa: A002 (the word for it)
        """How far the step is; shown to the user. Also does ``check_alive``."""

    def reserve(self, size: int) -> None:
        """Make sure that there is room for ``size`` bytes in place of the staged data, under image_size_cap and the
        project's limit. Call it before so many are written to ``scratch``; ``replace`` does it in any case. Also does
        ``check_alive``. Raises TooLarge, QuotaExceeded."""

    def replace(self, path: Path) -> None:
        """``path``, in ``scratch``, becomes the staged data: it is hashed, inspected as what ``image`` then says it is,
        and stored."""

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        """What the data is from now on; call it before ``replace``, which records both at once. Without a ``replace``
        the data is inspected anew, as what it is called now, when the step ends."""

    def set_properties(self, **properties: str) -> None:
        """Give the image custom properties, in place of what it has."""

    def remove_properties(self, *names: str) -> None:
        """Take custom properties away; those that it has not are no error."""


class ImportStep(Plugin, ABC):
    """One import step. Thread-safe: one instance serves all imports of a process."""

    options: Options = ()
    #: Section of its options, when operators know one by another name than step_NAME.
    section: str | None = None
    #: Makes other data of the staged data, or may.
    changes_data = False
    #: Wants data of any kind. Other steps run only on data that passed the inspection. With ``changes_data``: what
    #: comes is not refused before the last such step has run.
    takes_anything = False
    #: Runs in a process of its own, which is ended when the import is cancelled, or when nothing was heard of the step
    #: for [imports] step_timeout. False for a step that calls ``check_alive`` once a second whatever the data is, and
    #: lets nothing else wait for what it can't bound: it spares the start of a process, some tenths of a second.
    isolated = True
    #: Checks ``signature`` of the method object that the caller sent.
    checks_signatures = False
    #: Not None: no import can begin that this step would work on, and why. The service's own.
    unavailable_because: str | None = None

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        """``conf`` is the step's own section; ``config`` the whole, for oslo libraries with sections of their own."""
        self.conf = conf
        self.config = config

    def start(self) -> None:
        """Check the settings and that all tools are there, once per process. Raises ConfigError naming option and
        fix."""

    @abstractmethod
    def run(self, work: ImportWork) -> None:
        """Do it. Called again from its beginning when the process died in it. Raises StepFailed or another named error
        with a sentence for the user; anything else is shown as a failure of the step, with details in the log only."""

    def undo(self, work: ImportWork) -> None:
        """Take back what ``run`` did to the image, because the import has failed; also when ``run`` itself failed
        half-way, or twice. The staged data is the engine's to remove. What it raises is logged.

        A retry of the import goes on behind the last step that made other data: the steps up to that one don't run
        again, and the image is given the properties and formats that they gave it."""
