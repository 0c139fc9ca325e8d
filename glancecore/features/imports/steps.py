"""The import steps that the operator wants."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.domain.errors import StepFailed
from glancecore.kernel.core import Plugins
from glancecore.kernel.own_command import own_command
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore.ports.options import section


class UnavailableStep(ImportStep):
    """In the place of a broken one, which may be a security check. No import begins with it; one that has begun before
    ends here, and is undone as far as it can be."""

    isolated = False

    def __init__(self, name: str, config: cfg.ConfigOpts) -> None:
        super().__init__(section(config, f"step_{name}", ()), config)
        self.unavailable_because = f"the import step {name} is broken"

    def run(self, _work: ImportWork) -> None:
        raise StepFailed(str(self.unavailable_because))

    def undo(self, _work: ImportWork) -> None:
        raise StepFailed(str(self.unavailable_because))


def load_steps(conf: cfg.ConfigOpts, plugins: Plugins) -> dict[str, ImportStep]:
    """In the operator's order. A missing import step stops the start; a broken one stops the imports, for it may be a
    security check."""
    made: dict[str, ImportStep] = plugins.every("import_step")
    found: dict[str, ImportStep] = {}
    for name in plugins.wanted("import_step"):
        step = made.get(name) or UnavailableStep(name, conf)
        if step.isolated:
            from glancecore.features.imports.step_process import (
                IsolatedStep,  # what it speaks is loaded by those who need it
            )

            step = IsolatedStep(
                name, step, own_command(conf, "glancecore.cmd.import_step", "--step", name), conf.imports.step_timeout
            )
        found[name] = step
    return found
