"""glance-periodic with a job that is broken, beside those that are not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import own_logging
import plugin_saboteurs as saboteurs
import pytest
import strangers

from glancecore import conf as configuration
from glancecore.assembly.kernel import load_database
from glancecore.cmd import periodic, start

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    saboteurs.write(tmp_path / "site", "periodic", {"odd": saboteurs.OF_ALL["sys.exit at import"]})
    file = tmp_path / "glance-api.conf"
    file.write_text(
        "[DEFAULT]\nenabled_import_methods =\n[file]\nfilesystem_store_datadir ="
        f" {tmp_path}/images\n[database]\nconnection = sqlite:///{tmp_path}/glance.sqlite\n[periodic]\nenabled_jobs ="
        " odd, reaper\n"
    )
    database = load_database(configuration.new(files=[str(file)]))
    database.sync()
    database.close()

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["glance-periodic", "--config-file", str(file), *words])
        capfd.readouterr()
        code = start.run(periodic._main)
        return code, *capfd.readouterr()

    with strangers.installed(tmp_path / "site"), own_logging.kept():
        yield call


def test_list_tells_of_all(run: Run) -> None:
    code, said, _ = run("list", "--json")
    jobs = {x["job"]: x for x in json.loads(said)["jobs"]}
    assert code == 0
    assert "it tried to end the process" in jobs["odd"]["broken"]
    assert jobs["odd"]["enabled"] is True
    assert jobs["reaper"]["broken"] is None
    assert "periodic plugin 'odd' is broken" in run("list")[1]


def test_the_others_can_be_run(run: Run) -> None:
    assert run("run", "reaper")[0] == periodic.DONE


@pytest.mark.parametrize("words", [("run", "odd"), ("report", "odd")])
def test_the_broken_one_can_not(run: Run, words: tuple[str, ...]) -> None:
    code, _, said = run(*words)
    assert code == periodic.FAILED
    assert "error: periodic plugin 'odd' is broken: it tried to end the process (SystemExit: 3)" in said
    assert "Traceback" not in said
