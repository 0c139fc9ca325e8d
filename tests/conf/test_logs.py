"""What is logged when the operator asks for more, and what the sample says of changes."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest

from glancecore import conf as configuration
from glancecore.conf import logs, opts
from glancecore.server.settings import AT_START_ONLY


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs._levelled:
        logging.getLogger(name).setLevel(logging.NOTSET)


def _set_up(folder: Path, more: str = "") -> None:
    (folder / "glance-api.conf").write_text(f"[DEFAULT]\ndebug = true\n{more}")
    logs.setup(configuration.new(files=[str(folder / "glance-api.conf")]))


@pytest.mark.parametrize(
    "name",
    [
        "botocore",
        "botocore.hooks",
        "boto3.resources",
        "s3transfer.tasks",
        "urllib3.connection",
        "kazoo.client",
        "stevedore.named",
    ],
)
def test_libraries_keep_quiet(tmp_path: Path, name: str) -> None:
    _set_up(tmp_path)
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert logging.getLogger("glancecore.kernel").isEnabledFor(logging.DEBUG)


def test_unless_the_operator_wants_them(tmp_path: Path) -> None:
    _set_up(tmp_path, "default_log_levels = stevedore=WARN\n")
    assert logging.getLogger("botocore.hooks").isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize("where", ["log_file = {}/own.log\n", "log_dir = {}\n"], ids=["file", "folder"])
@pytest.mark.parametrize(
    "turned",
    ["", "log_rotation_type = size\nmax_logfile_size_mb = 1\n", "log_rotation_type = interval\n"],
    ids=["watched", "by size", "by time"],
)
def test_others_may_not_read_the_log(tmp_path: Path, open_umask: None, where: str, turned: str) -> None:
    """Nor what is made when it is turned over, by us or by logrotate."""
    folder = tmp_path / "log"
    folder.mkdir()
    _set_up(tmp_path, where.format(folder) + turned)
    handler = next(x for x in logging.getLogger().handlers if isinstance(x, logging.FileHandler))
    if isinstance(handler, logging.handlers.BaseRotatingHandler):
        handler.doRollover()
    else:
        (file,) = folder.iterdir()
        file.rename(folder / "turned over")
    logging.getLogger("glancecore.test").warning("another line")
    handler.close()
    assert {oct(x.stat().st_mode & 0o777) for x in folder.iterdir()} == {"0o640"}
    assert len(list(folder.iterdir())) == 2
    assert "another line" in Path(handler.baseFilename).read_text()


def test_a_log_that_is_there_keeps_its_mode(tmp_path: Path, open_umask: None) -> None:
    """An operator's program may read it."""
    (tmp_path / "own.log").touch(0o644)
    _set_up(tmp_path, f"log_file = {tmp_path}/own.log\n")
    assert (tmp_path / "own.log").stat().st_mode & 0o777 == 0o644


def test_the_sample_tells_what_needs_a_restart() -> None:
    text = (lab.REPO / "etc/glance-api.conf.sample").read_text()
    head = text.partition("[DEFAULT]")[0]
    assert "SIGHUP" in head
    assert all(x in head for x in AT_START_ONLY)
    assert "can be changed without restarting" not in text
    assert "botocore=WARN" in text


def test_the_options_say_it_themselves() -> None:
    said = {
        (group, x.dest)
        for group, options in opts.list_opts()
        for x in options
        if "Read at the start only" in (x.help or "")
    }
    assert said == {("DEFAULT", x) for x in AT_START_ONLY}


@pytest.mark.parametrize("how", ["use_json = true", ""])
def test_lines_have_the_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    _set_up(tmp_path, f"log_file = {tmp_path}/log\n{how}\n")
    monkeypatch.setattr(logs.tracing, "trace_id", lambda: "4b" * 16)
    logging.getLogger("glancecore.x").warning("within", extra={"more": 1})
    monkeypatch.setattr(logs.tracing, "trace_id", str)
    logging.getLogger("glancecore.x").warning("without")
    within, without = [x for x in (tmp_path / "log").read_text().splitlines() if "with" in x]
    if how:
        assert json.loads(within)["extra"] == {"trace_id": "4b" * 16}
        assert json.loads(without)["extra"] == {}
    else:
        assert f"[trace {'4b' * 16}] within" in within
        assert "trace" not in without
