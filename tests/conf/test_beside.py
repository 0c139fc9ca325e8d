"""Glance's other files beside glance-api.conf: read, or what is lost is named."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from glancecore import conf as configuration
from glancecore.cmd import start
from glancecore.conf import beside
from glancecore.sdk.config_files import config_words, files_of


@pytest.fixture
def main(tmp_path: Path) -> Path:
    file = tmp_path / "glance-api.conf"
    file.write_text("[DEFAULT]\nworkers = 3\n")
    return file


@pytest.mark.parametrize("how", ["found", "named", "both named"])
def test_the_file_of_imports_is_read_and_the_main_file_wins(main: Path, how: str) -> None:
    imports = main.with_name("glance-image-import.conf")
    imports.write_text("[DEFAULT]\nworkers = 7\n[image_import_opts]\nimage_import_plugins = ['image_conversion']\n")
    words = ["--config-file", str(main), *(["--config-file", str(imports)] if how == "both named" else [])]
    conf = configuration.new(files=[str(main)]) if how == "found" else configuration.new(words)
    assert conf.image_import_opts.image_import_plugins == ["image_conversion"]
    assert conf.workers == (7 if how == "both named" else 3)
    assert sorted(conf.config_file) == sorted([str(imports), str(main)])


def test_it_is_read_beside_glance_api_conf_only(tmp_path: Path) -> None:
    (tmp_path / "glance-image-import.conf").write_text(
        "[image_import_opts]\nimage_import_plugins = ['image_conversion']\n"
    )
    (tmp_path / "other.conf").write_text("")
    assert (
        configuration.new(["--config-file", str(tmp_path / "other.conf")]).image_import_opts.image_import_plugins == []
    )


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """A file and two folders that disagree."""
    found = {"A": tmp_path / "a.conf", "D": tmp_path / "d", "E": tmp_path / "e"}
    found["A"].write_text("[DEFAULT]\nworkers = 5\n")
    for number, name in ((6, "D"), (7, "E")):
        found[name].mkdir()
        (found[name] / "x.conf").write_text(f"[DEFAULT]\nworkers = {number}\n")
    return found


@pytest.mark.parametrize(
    ("order", "wins"), [("AD", 6), ("DA", 5), ("ADE", 7), ("AED", 6), ("DAE", 7), ("D", 6), ("A", 5)]
)
@pytest.mark.parametrize("form", ["two words", "one word"])
def test_what_is_read_last_wins_everywhere(places: dict[str, Path], order: str, wins: int, form: str) -> None:
    words = [x for name in order for x in ("--config-file" if name == "A" else "--config-dir", str(places[name]))]
    if form == "one word":
        words = [f"{option}={path}" for option, path in zip(words[::2], words[1::2], strict=True)]
    parser = argparse.ArgumentParser()
    start.add_config_arguments(parser)
    for conf in (configuration.new(words), start.read_config(parser.parse_args(words))):
        assert conf.workers == wins
        assert beside.written(conf, {})["DEFAULT"]["workers"] == [str(wins)]
        assert len(files_of(conf)) == len(order)
        again = start.read_config(parser.parse_args(config_words(conf)))
        assert (again.workers, files_of(again)) == (wins, files_of(conf))


def test_default_folders_come_before_a_named_file(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / ".glance"
    (home / "glance-api.conf.d").mkdir(parents=True)
    (home / "glance-api.conf.d" / "x.conf").write_text("[DEFAULT]\nworkers = 8\nowner_is_tenant = false\n")
    monkeypatch.setenv("HOME", str(home.parent))
    places["A"].write_text("[DEFAULT]\nworkers = 5\nowner_is_tenant = true\n")
    conf = configuration.new(["--config-file", str(places["A"])])
    assert conf.workers == 5
    assert beside.written(conf, {})["DEFAULT"]["workers"] == ["5"]
    assert files_of(conf) == [str(home / "glance-api.conf.d" / "x.conf"), str(places["A"])]


@pytest.mark.parametrize("name", ["glance-cache.conf", "glance-scrubber.conf", "glance-manage.conf"])
def test_what_other_files_say_and_the_main_one_does_not_is_named(main: Path, name: str) -> None:
    main.with_name(name).write_text(
        "[DEFAULT]\nworkers = 3\nimage_cache_max_size = 5\n[database]\nconnection = sqlite://\n"
    )
    said = list(beside.lost([str(main)], None))
    assert len(said) == 1
    assert name in said[0]
    assert "[DEFAULT] image_cache_max_size, [database] connection" in said[0]
    assert "workers" not in said[0]
    main.write_text(main.with_name(name).read_text())
    assert list(beside.lost([str(main)], None)) == []


def test_filters_that_are_not_glances_are_named(main: Path) -> None:
    paste = main.with_name("glance-api-paste.ini")
    paste.write_text(
        "[composite:root]\n/: api\n[pipeline:glance-api]\npipeline = cors authtoken limits app\n[filter:cors]\nuse = "
        " egg:oslo.middleware#cors\n[filter:authtoken]\npaste.filter_factory ="
        " keystonemiddleware.auth_token:filter_factory\ndelay_auth_decision = true\n"
    )
    assert list(beside.lost([str(main)], None)) == []
    with paste.open("a") as file:
        file.write(
            "[filter:limits]\npaste.filter_factory = rate_limit.wsgi:factory\n[filter:audit]\npaste.filter_factory ="
            " keystonemiddleware.audit:filter_factory\n"
        )
    said = list(beside.lost([str(main)], None))
    assert [x.partition("[")[2].partition("]")[0] for x in said] == ["filter:limits", "filter:audit"]
    moved = paste.rename(main.with_name("other.ini"))
    assert list(beside.lost([str(main)], None)) == []
    assert len(list(beside.lost([str(main)], str(moved)))) == 2
