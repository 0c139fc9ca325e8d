"""A policy file is right as a whole, or changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from glancecore import conf
from glancecore.assembly import extensions
from glancecore.assembly.core import list_rules
from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError, Forbidden
from glancecore.policies.authorizer import Authorizer

#: What is wrong -> the file, and what the operator is told.
WRONG = {
    "an undefined rule": ('"delete_image": "rule:admin_or_ownr"', "delete_image"),
    "a circle": ('"a": "rule:b"\n"b": "rule:a"\n"get_image": "rule:a"', "a"),
    "a rule that can't be understood": ('"delete_image": "role:admin and and"', "delete_image"),
    "a rule that is no text": ('"delete_image": true', "delete_image"),
    "a list": ('- "delete_image"', "name"),
    "no YAML": ('"delete_image": "role:admin', "YAML"),
    "a name that nothing asks for": ('"delete_imge": "role:admin"', "did you mean delete_image"),
    "bytes": (b"\xff\xfe", "can't be read"),
}


def written(path: Path, text: str | bytes) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def made(path: Path, told: list[bool] | None = None) -> Authorizer:
    config = path.with_suffix(".conf")
    config.write_text(f"[oslo_policy]\npolicy_file = {path}\n")
    return Authorizer(conf.new(["--config-file", str(config)]), list_rules(), (told if told is not None else []).append)


def may_delete(of: Authorizer, *roles: str) -> bool:
    of._until = 0.0  # its memory is over
    try:
        of.authorize(Context(user="u", project="p", roles=frozenset(roles)), "delete_image")
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_stops_the_start(tmp_path: Path, name: str) -> None:
    text, message = WRONG[name]
    written(tmp_path / "policy.yaml", text)
    with pytest.raises(ConfigError, match=message):
        made(tmp_path / "policy.yaml")


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        made(tmp_path / "policy.yaml")


@pytest.mark.parametrize("name", [*WRONG, "gone"])
def test_a_file_that_becomes_wrong_changes_nothing(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path, told = tmp_path / "policy.yaml", list[bool]()
    written(path, '"delete_image": "role:deleter"')
    asked = made(path, told)
    assert (may_delete(asked, "deleter"), may_delete(asked, "member"), may_delete(asked, "admin")) == (
        True,
        False,
        False,
    )
    if name == "gone":
        path.unlink()
    else:
        written(path, WRONG[name][0])
    for _ in range(3):
        assert (may_delete(asked, "deleter"), may_delete(asked, "member"), may_delete(asked, "admin")) == (
            True,
            False,
            False,
        )
    assert told == [True, False], "told once"
    assert len([x for x in caplog.records if x.levelname == "ERROR" and "stay as they were" in x.message]) == 1
    written(path, '"delete_image": "role:other"')
    assert (may_delete(asked, "deleter"), may_delete(asked, "other")) == (False, True)
    assert told == [True, False, True]


def test_a_file_that_comes_back_as_it_was_is_right_again(tmp_path: Path) -> None:
    path, told = tmp_path / "policy.yaml", list[bool]()
    written(path, '"delete_image": "role:deleter"')
    asked = made(path, told)
    path.rename(tmp_path / "away")
    may_delete(asked)
    (tmp_path / "away").rename(path)
    assert may_delete(asked, "deleter") is True
    assert told == [True, False, True]


def test_helpers_and_names_of_glance_are_no_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    written(
        path,
        '"helper": "role:deleter"\n"delete_image": "rule:helper"\n"manage_image_cache": "role:admin"\n"modify_task":'
        ' "!"\n"get_image": ""\n"add_image": "!"',
    )
    assert may_delete(made(path), "deleter") is True


def test_rules_of_an_extension_that_is_not_enabled_are_no_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    written(path, '"census_take": "role:counter"\n"delete_image": "role:deleter"')
    with pytest.raises(ConfigError, match="census_take"):
        made(path)
    config = conf.new(["--config-file", str(path.with_suffix(".conf"))])
    assert may_delete(Authorizer(config, list_rules(), idle=["census_"]), "deleter") is True
    assert "census_" in extensions.idle_rules({})
    assert "census_" not in extensions.idle_rules(extensions.load(conf.new(["--config-file", str(enabled(tmp_path))])))


def enabled(folder: Path) -> Path:
    path = folder / "enabled.conf"
    path.write_text("[DEFAULT]\nenabled_extensions = census\n")
    return path


def test_what_is_not_defined_is_nobodys(tmp_path: Path) -> None:
    written(tmp_path / "policy.yaml", "{}")
    asked = made(tmp_path / "policy.yaml")
    with pytest.raises(Forbidden):
        asked.authorize(Context(user="u", project="p", roles=frozenset({"admin", "member"})), "a_rule_of_nobody")


def test_memory_ends_by_the_clock(tmp_path: Path) -> None:
    """Without the tests' own reset."""
    written(tmp_path / "policy.yaml", '"delete_image": "role:one"')
    asked = made(tmp_path / "policy.yaml")
    assert may_delete(asked, "one") is True
    written(tmp_path / "policy.yaml", '"delete_image": "role:other"')
    asked._until = time.monotonic() - 0.001
    asked.allows(Context(user="u"), "get_images")
    assert asked.allows(Context(user="u", roles=frozenset({"other"})), "delete_image") is True
