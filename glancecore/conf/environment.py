"""Options from the environment: ``OS_<SECTION>__<OPTION>``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from oslo_config import cfg
from oslo_config.sources import _environment

VARIABLE = re.compile(r"OS_([A-Z0-9_]+?)__([A-Z0-9_]+)")


class FormerNames(_environment.EnvironmentConfigurationSource):
    """oslo.config's own, which knows an option by its present name only: by the names that it had before, too, as in
    files."""

    def get(self, group_name: str | None, option_name: str, opt: cfg.Opt) -> tuple[Any, cfg.LocationInfo | None]:
        absent = found = super().get(group_name, option_name, opt)
        for other in opt.deprecated_opts:
            if found[1] is not None:
                return found
            found = super().get(other.group or group_name, (other.name or option_name).replace("-", "_"), opt)
        return absent if found[1] is None else found


def variables(sections: Iterable[str], environ: Mapping[str, str] = os.environ) -> Iterator[tuple[str, str, str]]:
    """Variable, section and option. A section is called as one of ``sections`` that it may mean."""
    known = {x.upper(): x for x in sections}
    for variable in environ:
        if match := VARIABLE.fullmatch(variable):
            yield variable, known.get(match[1]) or section_of(match[1]), match[2].lower()


def section_of(text: str) -> str:
    """As it is called in files."""
    return text if text == "DEFAULT" else text.lower()
