"""Starting a module of ours as a process."""

from __future__ import annotations

import sys
from pathlib import Path

from oslo_config import cfg

from glancecore.sdk.config_files import config_words


def own_command(conf: cfg.ConfigOpts, module: str, *words: str) -> list[str]:
    """The words of the command, with the configuration that ``conf`` was read from."""
    # the server that has loaded us may be another program than Python, and of another environment
    python = Path(sys.prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    command = [str(python) if python.exists() else sys.executable, "-m", module]
    return [*command, *config_words(conf), *(["--debug"] if conf.debug else []), *words]
