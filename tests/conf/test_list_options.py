"""Lists in each form that operators write, for every list option that there is."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from oslo_config import cfg, types

from glancecore.ports.options import DictOpt, ListOpt

LISTS = {
    "a, b": ["a", "b"],
    "a,b": ["a", "b"],
    "[a, b]": ["a", "b"],
    "['a', 'b']": ["a", "b"],
    '["a","b"]': ["a", "b"],
    "'a', 'b'": ["a", "b"],
    '"a","b"': ["a", "b"],
    '"a, b"': ["a", "b"],
    "'a'": ["a"],
    "['a']": ["a"],
    "a": ["a"],
    "[a]": ["a"],
    "": [],
    "[]": [],
    "['']": [],
    "a,": ["a"],
    "[ a , b ]": ["a", "b"],
    "10.20.0.0/16": ["10.20.0.0/16"],
    "[10.20.0.0/16, ::1/128]": ["10.20.0.0/16", "::1/128"],
    "[::1]:80, [::2]:80": ["[::1]:80", "[::2]:80"],
    "['a,b', c]": ["a,b", "c"],
    "it's, b": ["it's", "b"],
}
DICTS = {
    "fast:file, cheap:swift": {"fast": "file", "cheap": "swift"},
    "{fast:file,cheap:swift}": {"fast": "file", "cheap": "swift"},
    "{'fast': 'file', \"cheap\": \"swift\"}": {"fast": "file", "cheap": "swift"},
    "'fast:file', 'cheap:swift'": {"fast": "file", "cheap": "swift"},
    "fast : file": {"fast": "file"},
    "": {},
    "{}": {},
    "http:10.0.0.1:3128": {"http": "10.0.0.1:3128"},
    "a:'x, y', b:z": {"a": "x, y", "b": "z"},
    "a:it's": {"a": "it's"},
    "a:": {"a": ""},
}


def _read(option: cfg.Opt, value: str, folder: Path) -> object:
    file = folder / "conf"
    file.write_text(f"[DEFAULT]\n{option.name} = {value}\n")
    conf = cfg.ConfigOpts()
    conf.register_opt(option)
    conf([], default_config_files=[str(file)], default_config_dirs=[])
    return conf[option.name]


@pytest.mark.parametrize("value", LISTS)
def test_a_list_is_understood_in_every_form(value: str, tmp_path: Path) -> None:
    assert _read(ListOpt("words"), value, tmp_path) == LISTS[value]


@pytest.mark.parametrize("value", DICTS)
def test_pairs_are_understood_in_every_form(value: str, tmp_path: Path) -> None:
    assert _read(DictOpt("pairs"), value, tmp_path) == DICTS[value]


@pytest.mark.parametrize("value", ["[80, '443']", "80, 443", "['80','443']"])
def test_items_have_their_type(value: str, tmp_path: Path) -> None:
    assert _read(ListOpt("ports", types.Integer(1, 65535)), value, tmp_path) == [80, 443]


@pytest.mark.parametrize("value", ["[a, b", "['a, b]", "a, 'b"])
def test_what_does_not_end_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(cfg.ConfigFileValueError, match="does not end"):
        _read(ListOpt("words"), value, tmp_path)


@pytest.mark.parametrize("value", ["fast", "fast:file, cheap"])
def test_what_is_no_pair_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(cfg.ConfigFileValueError, match="name:value"):
        _read(DictOpt("pairs"), value, tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        "old-secret-0123456789, 'new-secret-0123456789",
        "[old-secret-0123456789, 'new-secret-0123456789]",
        'old-secret-0123456789, "new-secret-0123456789',
        "old-secret-0123456789, 'new-secret-0123456789\", x",
        "[old-secret-0123456789",
    ],
)
@pytest.mark.parametrize("kind", [ListOpt, DictOpt])
def test_what_is_refused_is_not_repeated(value: str, kind: type[cfg.Opt], tmp_path: Path) -> None:
    """It may be a secret, and the message goes to standard error and the log."""
    with pytest.raises(cfg.ConfigFileValueError) as caught:
        _read(kind("secrets", secret=True), value, tmp_path)
    assert "secret-0123456789" not in str(caught.value)


def test_the_item_that_is_refused_is_told_by_its_position(tmp_path: Path) -> None:
    with pytest.raises(cfg.ConfigFileValueError, match="item 2 begins with a quote"):
        _read(ListOpt("words"), "a, 'b, c", tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        "fast:file, fast:swift",
        "{'fast': 'file', fast: swift}",
        "'fast:file', 'fast:swift'",
        "fast:file, cheap:swift, fast:file",
    ],
)
def test_a_name_that_stands_twice_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(cfg.ConfigFileValueError, match="fast stands twice"):
        _read(DictOpt("pairs"), value, tmp_path)


def test_every_list_option_is_of_this_type() -> None:
    entries = [x for x in entry_points(group="oslo.config.opts") if x.value.startswith("glancecore")]
    options = [(group, option) for entry in entries for group, found in entry.load()() for option in found]
    assert len(options) > 100
    strangers = [
        f"[{group}] {option.name}"
        for group, option in options
        if isinstance(option.type, (types.List, types.Dict)) and not isinstance(option, (ListOpt, DictOpt))
    ]
    assert strangers == []
