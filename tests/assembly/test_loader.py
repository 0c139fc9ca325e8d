"""Every kind of plugins, with every fault that one of it can have: it is broken, and that is said, and the others are
used."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plugin_saboteurs as saboteurs
import pytest
import strangers
from plugin_saboteurs import NONE, RIGHT, Fault, faults_of, word
from waiting import until

from glancecore import conf as configuration
from glancecore.assembly import loader
from glancecore.assembly.kinds import KINDS, Broken
from glancecore.assembly.loader import Loader, installed, load
from glancecore.domain.errors import ConfigError, PluginBroken
from glancecore.ports.cache import CacheSettings

#: Kind -> the options that want its plugin NAME, beside others where there may be some.
WANTED = {
    "database": ("[database]\ndriver = NAME\n", ()),
    "cache": ("[DEFAULT]\nimage_cache_driver = NAME\n", ()),
    "import_method": (
        "[DEFAULT]\nenabled_import_methods = glance-direct, NAME, copy-image\n",
        ("glance-direct", "copy-image"),
    ),
    "import_step": (
        "[image_import_opts]\nimage_import_plugins = image_decompression, NAME\n",
        ("image_decompression",),
    ),
    "certificates": ("[DEFAULT]\ncertificate_source = NAME\n", ()),
    "auth": ("[DEFAULT]\nauth_strategy = NAME\n", ()),
    "notifier": ("[DEFAULT]\nnotifiers = NAME, log\n", ("log",)),
    "quota": ("[DEFAULT]\nquota_driver = NAME\n", ()),
    "extension": ("[DEFAULT]\nenabled_extensions = NAME\n", ()),
    "periodic": ("[periodic]\nenabled_jobs = NAME, reaper\n", ("reaper",)),
}
ALL_FAULTS = [(kind, name) for kind in KINDS for name in faults_of(kind)]


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For each kind: a plugin without a fault, one for each fault, and two that have one name."""
    folder = tmp_path_factory.mktemp("strangers")
    for kind in KINDS:
        saboteurs.write(folder, kind, {"right": NONE, "twice": NONE, **faults_of(kind)})
        saboteurs.write(folder, kind, {"twice": NONE}, package="rival")
    with strangers.installed(folder):
        yield folder


def configured(folder: Path, text: str = "") -> Any:
    file = folder / "glance-api.conf"
    file.write_text(f"[DEFAULT]\nplugin_start_timeout = 1\n{text}")
    return configuration.new(files=[str(file)])


def handed(kind: str, folder: Path) -> dict[str, Any]:
    return {
        "store": {"id": "odd", "section": "odd"},
        "cache": {"settings": CacheSettings(1 << 20, folder / "cache")},
        "periodic": {"tools": None},
        "extension": {"kernel": None},
    }.get(kind, {})


def make(kind: str, name: str, folder: Path) -> Any:
    return Loader(configured(folder)).make(kind, name, "[x] y", **handed(kind, folder))


@pytest.mark.parametrize("kind", KINDS)
def test_one_without_a_fault_is_made_and_started(strange: Path, kind: str, tmp_path: Path) -> None:
    assert isinstance(make(kind, "right", tmp_path), KINDS[kind].base_class)


@pytest.mark.parametrize(("kind", "fault"), ALL_FAULTS)
def test_a_fault_is_said_in_one_line_whatever_it_is(strange: Path, kind: str, fault: str, tmp_path: Path) -> None:
    about: Fault = faults_of(kind)[fault]
    if about.at != "load":
        load(kind, word(fault), "[x] y")
    with pytest.raises(PluginBroken) as caught:
        _ = load(kind, word(fault), "[x] y") if about.at == "load" else make(kind, word(fault), tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{kind} plugin {word(fault)!r}")
    assert " is broken: " in said
    assert "\n" not in said
    assert [x for x in about.words if x not in said] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_of_two_distributions_is_refused_with_both(strange: Path, kind: str) -> None:
    with pytest.raises(PluginBroken) as caught:
        load(kind, "twice", "[x] y")
    assert f"rival-{kind} 1.0" in str(caught.value)
    assert f"stranger-{kind} 1.0" in str(caught.value)
    assert [x.distribution for x in installed(kind) if x.name == "twice"] == [
        f"rival-{kind} 1.0",
        f"stranger-{kind} 1.0",
    ]


@pytest.mark.parametrize("fault", ["import error", "sys.exit at import", "__init__ raises", "twice"])
@pytest.mark.parametrize("kind", WANTED)
def test_a_broken_one_stops_the_start_or_is_left_out_as_its_kind_says(
    strange: Path, kind: str, fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text, others = WANTED[kind]
    told: list[tuple[str, str, bool]] = []
    conf = configured(tmp_path, text.replace("NAME", word(fault)).replace("[DEFAULT]\n", ""))
    made = Loader(conf, lambda *x: told.append(x))
    [option] = set(KINDS[kind].wanted(conf).values())
    if KINDS[kind].broken is Broken.STOPS:
        with pytest.raises(ConfigError) as caught:
            made.one(kind, **handed(kind, tmp_path))
        assert str(caught.value).startswith(f"{option} = {word(fault)}: {kind} plugin {word(fault)!r} is broken: ")
        assert str(caught.value).endswith("mend or replace this plugin, or choose another one")
        return
    found = made.every(kind, **{**handed(kind, tmp_path), **({"tools": None} if kind == "periodic" else {})})
    assert set(found) == set(others)
    assert list(made.broken) == [(kind, word(fault))]
    assert sorted(told) == sorted([(kind, word(fault), True), *((kind, x, False) for x in others)])
    [record] = [x for x in caplog.records if x.levelno == logging.ERROR]
    assert record.getMessage().startswith(f"a plugin is broken: {option} = {word(fault)}: ")
    assert record.getMessage().endswith(f"; {KINDS[kind].means}")
    assert record.exc_info is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_wanted_is_not_imported(strange: Path, kind: str) -> None:
    sys.modules.pop(f"stranger_{kind}_right", None)
    installed(kind)
    load(kind, "start_raises" if KINDS[kind].starts else "option_twice", "[x] y")
    assert f"stranger_{kind}_right" not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "glancecore",
        "glancecore>=1.0,<2",
        "glancecore<2,>=1.0",
        "glancecore >= 1",
        "Glancecore~=1.0",
        "glancecore[testing]>=0.9",
        "glancecore>=7; python_version < '3'",
        "glancecore>=7; extra == 'test'",
        "glancecore-store-file>=7",
        "glancecore>=1.0.0",
        "glancecore=",
        "other>=7",
    ],
)
def test_what_a_distribution_needs_and_gets(text: str) -> None:
    assert loader._unfulfilled(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "glancecore<1",
        "glancecore>=1.1",
        "glancecore>=0.5,<1.0",
        "glancecore==2.*",
        "glancecore[testing]>=2",
        "GlanceCore>1.0",
        "glancecore<1.0.0",
        "glancecore>=7; python_version > '3'",
    ],
)
def test_what_a_distribution_needs_and_does_not_get(text: str) -> None:
    assert "1.0.0 is installed" in loader._unfulfilled(text)


def test_the_usual_need_costs_no_library() -> None:
    asked = (
        "import sys; from glancecore.assembly import loader; assert loader._unfulfilled('glancecore<2,>=1.0') == '';"
        " assert 'packaging' not in sys.modules; loader._unfulfilled('glancecore<1'); assert 'packaging' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_ctrl_c_is_no_fault_of_a_plugin(tmp_path: Path) -> None:
    saboteurs.write(tmp_path, "store", {"stopped": Fault((), module="raise KeyboardInterrupt")})
    with strangers.installed(tmp_path), pytest.raises(KeyboardInterrupt):
        load("store", "stopped", "[x] y")


# -- a start that takes long -----------------------------------------------------------------------
def test_a_start_is_told_before_it_begins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seen: list[list[str]] = []
    Loader(configured(tmp_path)).in_time(
        "store", "acme", lambda: seen.append([x.getMessage() for x in caplog.records]), lambda _: None, of="fast"
    )
    assert "starting store plugin 'acme' of fast" in seen[0]


def test_one_that_hangs_is_not_tried_again_before_it_has_ended_and_then_it_is_closed(tmp_path: Path) -> None:
    go, begun, closed = threading.Event(), [], []
    made = Loader(configured(tmp_path))

    def start() -> str:
        begun.append(1)
        go.wait()
        return "late"

    for words in ("has not ended within 1 seconds", "has not ended yet"):
        with pytest.raises(PluginBroken, match=words):
            made.in_time("store", "acme", start, closed.append, of="fast")
    assert len(begun) == 1
    go.set()
    until(lambda: closed == ["late"])
    until(lambda: not any(x.hangs for x in made._starts.values()))
    assert made.in_time("store", "acme", start, closed.append, of="fast") == "late"
    assert closed == ["late"]


def test_what_a_start_says_by_name_is_not_changed(tmp_path: Path) -> None:
    def start() -> None:
        raise ConfigError("[acme] url: not set; give one")

    with pytest.raises(ConfigError, match=r"\[acme\] url"):
        Loader(configured(tmp_path)).in_time("auth", "acme", start, lambda _: None)


def test_every_kind_has_a_plugin_that_is_right() -> None:
    assert set(RIGHT) == set(KINDS)
