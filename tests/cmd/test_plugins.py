"""glance-plugins list, show and check, with plugins that do their worst when they are imported."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import own_logging
import plugin_saboteurs as saboteurs
import pytest
import strangers
from plugin_saboteurs import NONE, OF_ALL, OF_STARTS, Fault

from glancecore import conf as configuration
from glancecore.assembly.kernel import load_database
from glancecore.cmd import plugins, start

pytestmark = pytest.mark.long

#: What no "try" around an import can hold.
WORST = {
    "exits": Fault(("its import ends the process (exit code 7)",), module="import os; os._exit(7)"),
    "crashes": Fault(
        ("its import ends the process (signal SIGSEGV)",),
        module="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    ),
    "hangs": Fault(
        ("its import does not end: there was no result within 5 seconds",),
        module="import threading; threading.Event().wait()",
    ),
    "leaves": Fault(("it tried to end the process (SystemExit: 3)",), module="import sys; sys.exit(3)"),
}
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("site")
    marks = f"import pathlib; pathlib.Path({str(folder / 'imported')!r}).touch(); print('a word on standard output')"
    saboteurs.write(
        folder,
        "store",
        {
            "right": Fault((), module=marks),
            "twice": NONE,
            "dies late": Fault((), body="def start(self): import os; os._exit(9)"),
            "bad caps": saboteurs.OF_STORES["caps are texts"],
            "slow": OF_STARTS["start hangs"],
            **WORST,
        },
    )
    saboteurs.write(folder, "store", {"twice": NONE}, package="rival")
    saboteurs.write(folder, "import_method", {"two words": NONE, "renamed": Fault((), body="section = 'elsewhere'")})
    saboteurs.write(folder, "notifier", {"abstract": OF_ALL["abstract method"]})
    with strangers.installed(folder):
        yield folder


@pytest.fixture
def run(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    def call(*words: str, backends: str = "good:file", default: str = "", more: str = "") -> tuple[int, str]:
        file = tmp_path / "glance-api.conf"
        file.write_text(
            f"[DEFAULT]\nenabled_backends = {backends}\nenabled_import_methods =\nplugin_start_timeout ="
            f" 5\n{default}[glance_store]\ndefault_backend = good\n[good]\nfilesystem_store_datadir ="
            f" {tmp_path}/images\n[database]\nconnection = sqlite:///{tmp_path}/glance.sqlite\n{more}"
        )
        database = load_database(configuration.new(files=[str(file)]))
        database.sync()
        database.close()
        monkeypatch.setattr(sys, "argv", ["glance-plugins", "--config-file", str(file), *words])
        capfd.readouterr()
        code = start.run(plugins._main)
        return code, capfd.readouterr().out

    with own_logging.kept():
        yield call


def rows(said: str) -> dict[tuple[str, str], Any]:
    return {(x["kind"], x["name"]): x for x in json.loads(said)}


def test_list_imports_what_is_enabled_and_nothing_else(run: Run, site: Path) -> None:
    (site / "imported").unlink(missing_ok=True)
    code, said = run("--json", "list")
    found = rows(said)
    assert code == 0
    assert not (site / "imported").exists()
    assert found["store", "file"]["state"] == "enabled"
    assert found["store", "file"]["section"] == "good"
    assert found["auth", "none"]["section"] == "auth_none"
    assert found["import_step", "verify"]["section"] == "", "its class says another one than step_verify"
    assert {found["store", x]["state"] for x in ("right", "bad_caps", *WORST)} == {"installed"}
    code, said = run("--json", "list", backends="good:file, other:right, third:right")
    assert (site / "imported").exists()
    assert rows(said)["store", "right"]["section"] == "other, third"
    assert rows(said)["store", "right"]["reason"] == "[DEFAULT] enabled_backends (other, third)"


def test_list_of_all_survives_all(run: Run) -> None:
    code, said = run("--json", "list", "--all")
    found = rows(said)
    assert code == 0
    for name, fault in WORST.items():
        assert found["store", name]["state"] == "broken"
        assert fault.words[0] in found["store", name]["reason"]
    assert found["store", "bad_caps"]["state"] == "broken"
    assert found["store", "right"]["state"] == "installed"
    assert found["notifier", "abstract"]["state"] == "broken"
    assert found["import_method", "renamed"]["section"] == "elsewhere"


def test_a_name_of_two_distributions_is_told_without_an_import(run: Run) -> None:
    _, said = run("--json", "list")
    found = [x for x in json.loads(said) if x["name"] == "twice"]
    assert [x["distribution"] for x in found] == ["rival-store 1.0", "stranger-store 1.0"]
    assert {x["state"] for x in found} == {"broken"}


@pytest.mark.parametrize("name", [*WORST, "bad_caps", "dies_late", "slow", "twice"])
def test_check_says_what_is_wrong_with_a_second_store(run: Run, name: str) -> None:
    code, said = run("--json", "check", backends=f"good:file, other:{name}")
    assert code == 1
    words = {
        "bad_caps": "caps must be",
        "dies_late": "ends the process (exit code 9)",
        "slow": "has not ended within 5 seconds",
        "twice": "rival-store 1.0",
        **{x: fault.words[0] for x, fault in WORST.items()},
    }[name]
    assert words in said


def test_check_looks_at_the_others_too(run: Run) -> None:
    code, said = run(
        "--json",
        "check",
        backends="good:file, other:bad_caps",
        default="notifiers = abstract\n",
        more="[sever]\nthreads = 3\n",
    )
    found = rows(said)
    assert code == 1
    assert found["store", "bad_caps"]["state"] == "broken"
    assert found["store", "other"]["state"] == "unavailable"
    assert "Plugin has no missing" in found["notifier", "abstract"]["reason"]
    assert found["configuration", ""]["state"] == "unknown"


def test_check_tells_that_all_is_right(run: Run) -> None:
    assert run("check", backends="good:file, other:right") == (
        0,
        "Everything that the configuration enables is there and works.\n",
    )


def test_check_of_all_finds_what_is_only_installed(run: Run) -> None:
    code, said = run("--json", "check", "--all")
    assert code == 1
    assert {x[1] for x in rows(said)} >= {"twice", "bad_caps", "abstract", *WORST}


@pytest.mark.parametrize(
    ("words", "section"),
    [
        (("store", "right"), "the one that is called as the store's id"),
        (("store", "file"), "[good]"),
        (("import_method", "two_words"), "[method_two_words]"),
        (("import_method", "renamed"), "[elsewhere]"),
        (("periodic", "auditor"), "[periodic_auditor]"),
        (("database", "sql"), "[database]"),
    ],
)
def test_show_names_the_section(run: Run, words: tuple[str, str], section: str) -> None:
    code, said = run("show", *words)
    assert code == 0
    assert f"\nsection: {section}\n" in said
    assert "a word on standard output" not in said


def test_show_has_the_options_that_the_service_adds(run: Run) -> None:
    _, said = run("--json", "show", "store", "file")
    assert {"weight", "filesystem_store_datadir"} <= {x["name"] for x in json.loads(said)["options"]}


@pytest.mark.parametrize("name", WORST)
def test_show_survives(run: Run, name: str) -> None:
    assert run("show", "store", name) == (1, "")
