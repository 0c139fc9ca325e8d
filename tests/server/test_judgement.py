"""A configuration is judged in a process whose verdict is no line of its log, wherever that goes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lab
import pytest

from glancecore.server.judgement import Judgement

pytestmark = pytest.mark.long

CONFIG = """[DEFAULT]
enabled_backends = file:file
{more}
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {folder}/images
[database]
connection = sqlite:///{folder}/glance.db
[imports]
staging_driver = file
[typo]
x = 1
"""
TO_STANDARD_OUTPUT = """[loggers]
keys = root
[handlers]
keys = out
[formatters]
keys =
[logger_root]
level = DEBUG
handlers = out
[handler_out]
class = StreamHandler
args = (sys.stdout,)
"""


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str | None]:
    file = tmp_path / "glance-api.conf"
    (tmp_path / "logging.conf").write_text(TO_STANDARD_OUTPUT)

    def call(more: str) -> str | None:
        file.write_text(CONFIG.format(more=more, folder=tmp_path))
        monkeypatch.setattr(sys, "argv", ["glance-api", "--config-file", str(file)])
        return Judgement("glance-api").refusal()

    file.write_text(CONFIG.format(more="", folder=tmp_path))
    subprocess.run([lab.BIN / "glance-manage", "--config-file", file, "db", "sync"], check=True)
    return call


@pytest.mark.parametrize("more", ["", "log_config_append = {folder}/logging.conf"])
def test_what_is_logged_on_standard_output_is_no_verdict(
    judged: Callable[[str], str | None], tmp_path: Path, capfd: pytest.CaptureFixture[str], more: str
) -> None:
    more = more.format(folder=tmp_path)
    assert judged(more) is None
    assert "[typo]" in capfd.readouterr().out
    assert "[DEFAULT] workers" in (judged(f"{more}\nworkers = many") or "")
