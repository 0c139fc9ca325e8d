"""The operator's properties on each imported image."""

from __future__ import annotations

from glancecore.domain import errors, fields
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore_step_inject_metadata.options import OPTIONS, SECTION


class InjectMetadata(ImportStep):
    """Give the image the properties of ``inject``, unless its importer has one of ``ignore_user_roles``."""

    plugin_api = "1.0"
    options = OPTIONS
    section = SECTION
    isolated = False
    takes_anything = True

    def start(self) -> None:
        for name in self.conf.inject:
            if fields.is_base(name) or fields.is_reserved(name) or len(name) > fields.MAX_NAME:
                raise errors.ConfigError(f"[{SECTION}] inject: {name!r} can't be a property; use another name")

    def run(self, work: ImportWork) -> None:
        if not {x.lower() for x in self.conf.ignore_user_roles} & set(work.request.roles):
            work.set_properties(**self.conf.inject)

    def undo(self, work: ImportWork) -> None:
        work.remove_properties(
            *(name for name, value in self.conf.inject.items() if work.image.properties.get(name) == value)
        )
