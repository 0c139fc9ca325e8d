"""glance-plugins check --glance-config: what becomes of each option, with all that is wrong, of these files alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from glancecore import conf as configuration
from glancecore.assembly.kinds import KINDS
from glancecore.assembly.loader import installed
from glancecore.cmd import plugins


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(text: str, *words: str) -> tuple[int, Any]:
        file = tmp_path / "glance-api.conf"
        file.write_text(text)
        monkeypatch.setattr(sys, "argv", ["glance-plugins", "--json", *words, "check", "--glance-config", str(file)])
        code = plugins._main()
        return code, json.loads(capsys.readouterr().out)["options"]

    return call


def test_each_contradiction_is_a_row_among_the_others(check: Any) -> None:
    code, rows = check(
        "[DEFAULT]\nworkers = 3\nowner_is_tenant = false\nadmin_role = boss\nuse_keystone_limits = true\nquota_driver ="
        " config\nauth_strategy = basic\nnotifiers = log\nnode_staging_uri = swift://x\n[paste_deploy]\nflavor ="
        " keystone+ratelimit\n[oslo_messaging_notifications]\ndriver = messaging\n[glance_store]\nstores ="
        " file\ndefault_store = rbd\n"
    )
    assert code == 1
    refused = [x["words"] for x in rows if x["became"] == "refused"]
    for word in (
        "owner_is_tenant",
        "admin_role",
        "use_keystone_limits",
        "flavor",
        "oslo_messaging_notifications",
        "default_store",
        "node_staging_uri",
    ):
        assert any(word in x for x in refused), word
    assert len(refused) == 7
    assert {"option": "[DEFAULT] workers", "became": "same"}.items() <= next(
        x for x in rows if x["option"] == "[DEFAULT] workers"
    ).items()


@pytest.mark.parametrize(
    "line",
    [
        "workers = many",
        "enabled_backends = fast",
        "use_keystone_limits = perhaps",
        "notifiers = [log",
        "staging_driver = file\nbind_port = 99999999",
    ],
)
def test_a_value_of_a_wrong_type_is_a_row_too(check: Any, line: str) -> None:
    code, rows = check(f"[DEFAULT]\n{line}\n[profiler]\nenabled = true\n")
    assert code == 1
    (refused,) = [x["words"] for x in rows if x["became"] == "refused"]
    assert line.rpartition("\n")[2].partition(" ")[0] in refused
    assert "LocationInfo" not in refused
    assert [x for x in rows if x["option"] == "[profiler] enabled"]


def test_nothing_of_this_machine_is_read(check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "home" / ".glance" / "glance-api.conf.d"
    folder.mkdir(parents=True)
    (folder / "x.conf").write_text("[DEFAULT]\nowner_is_tenant = false\nbind_port = 7\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OS_DEFAULT__ADMIN_ROLE", "boss")
    monkeypatch.setenv("OS_DEFAULT__WORKERS", "many")
    monkeypatch.setenv("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER", "messaging")
    code, rows = check("[DEFAULT]\nnotifiers = log\n")
    assert code == 0
    assert [x["option"] for x in rows] == ["[DEFAULT] notifiers"]


def test_what_is_right_is_told_with_exit_code_0(check: Any) -> None:
    code, rows = check("[DEFAULT]\nworkers = 3\n[paste_deploy]\nflavor = keystone\n")
    assert code == 0
    assert {x["became"] for x in rows} == {"same", "renamed"}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("enabled_backends = fast:file, volumes:cinder", "cinder"),
        ("enabled_backends = fast:rdb", "rbd"),
        ("auth_strategy = kerberos", "kerberos"),
        ("notifiers = log, pigeon", "pigeon"),
        ("enabled_import_methods = [glance-direct, web-upload]", "web-download"),
    ],
)
def test_a_plugin_that_is_nobodys_is_refused(check: Any, line: str, word: str) -> None:
    code, rows = check(f"[DEFAULT]\n{line}\n")
    assert code == 1
    (refused,) = [x for x in rows if x["became"] == "refused"]
    assert refused["option"] == f"[DEFAULT] {line.partition(' ')[0]}"
    assert word in refused["words"]


def test_a_driver_of_this_project_need_not_be_installed_where_the_files_are_looked_at(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "installed", lambda kind: [x for x in installed(kind) if x.ours])
    code, rows = check("[DEFAULT]\nenabled_backends = images:rbd\nauth_strategy = keystone\n")
    assert [x["words"] for x in rows if x["became"] == "refused"] == []
    assert code == 0


@pytest.mark.parametrize(("methods", "stores"), [("[]", {"acme"}), ("[glance-direct]", {"acme", "file"})])
def test_the_staging_store_is_wanted_for_imports_only(tmp_path: Path, methods: str, stores: set[str]) -> None:
    file = tmp_path / "glance-api.conf"
    file.write_text(f"[DEFAULT]\nenabled_backends = mine:acme\nenabled_import_methods = {methods}\n")
    assert set(KINDS["store"].wanted(configuration.new(files=[str(file)]))) == stores
