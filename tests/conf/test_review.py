"""The operator is told what became of each option; typing errors are found, and stop the start where he wants it."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.assembly.stores import load_stores
from glancecore.conf import glance_options, library_options, review
from glancecore.domain.errors import ConfigError


def _read(folder: Path, text: str) -> cfg.ConfigOpts:
    (folder / "glance-api.conf").write_text(text)
    return configuration.new(files=[str(folder / "glance-api.conf")])


@pytest.mark.parametrize(
    ("section", "line", "outcome", "words"),
    [
        ("DEFAULT", "workers = 3", "same", ""),
        ("keystone_authtoken", "memcached_servers = x", "same", ""),
        ("oslo_policy", "policy_file = p", "same", ""),
        ("DEFAULT", "image-size-cap = 9", "same", ""),
        ("periodic_auditor", "repair = true", "same", ""),
        ("auth_basic", "admins = a", "same", ""),
        ("file", "filesystem_store_datadir = /x", "same", ""),
        ("os_glance_staging_store", "filesystem_store_datadir = /x", "same", ""),
        ("image_import_opts", "max_parallel_stores = 2", "renamed", "[imports] max_parallel_stores"),
        ("DEFAULT", "use_keystone_limits = false", "renamed", "unified"),
        ("os_glance_tasks_store", "filesystem_store_datadir = /x", "not needed", "tasks"),
        ("oslo_concurrency", "lock_path = /x", "not needed", "locks"),
        ("profiler", "enabled = true", "not supported", "traces"),
        ("file", "cinder_catalog_info = x", "not supported", "Cinder"),
    ],
)
def test_what_became_of_an_option(tmp_path: Path, section: str, line: str, outcome: str, words: str) -> None:
    rows = review.review(_read(tmp_path, f"[{section}]\n{line}\n"), {})
    assert len(rows) == 1
    assert rows[0].fate
    assert rows[0].fate.outcome == outcome
    assert words in rows[0].fate.words


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("[DEFAULT]\nworker = 3\n", "workers"),
        ("[databse]\nconnection = x\n", "[database]"),
        ("[file]\nfilesystem_store_datdir = /x\n", "filesystem_store_datadir"),
        ("[DEFAULT]\nuse_keystone_limit = true\n", "use_keystone_limits"),
        ("[xyz]\nfoo = 1\n", ""),
    ],
)
def test_what_nobody_knows_is_named_with_what_was_meant(
    tmp_path: Path, text: str, near: str, caplog: pytest.LogCaptureFixture
) -> None:
    conf = _read(tmp_path, text)
    (row,) = review.review(conf, {})
    assert row.fate is None
    assert row.near == near
    with caplog.at_level(logging.WARNING):
        review.tell(conf)
    assert row.text in caplog.text
    with pytest.raises(ConfigError, match=r"strict_options.*is not an option"):
        review.tell(_read(tmp_path, f"[DEFAULT]\nstrict_options = true\n{text.removeprefix('[DEFAULT]')}"))


@pytest.mark.parametrize(
    ("section", "name", "near"),
    [
        ("keystone_authtoken", "auth_ulr", "auth_url"),
        ("oslo_policy", "enforce_scop", "enforce_scope"),
        ("oslo_policy", "policy_fil", "policy_file"),
        ("cors", "allowed_orgin", "allowed_origin"),
        ("oslo_limit", "endpoint_idd", "endpoint_id"),
        ("oslo_middleware", "enable_proxy_header_parsing", "enable_proxy_headers_parsing"),
        ("oslo_messaging_notifications", "drivr", "driver"),
        ("oslo_messaging_rabbit", "rabbit_quorum_queu", "rabbit_quorum_queue"),
        ("oslo_messaging_kafka", "security_protocl", "security_protocol"),
        ("key_manager", "backnd", "backend"),
        ("barbican", "verify_ssll", "verify_ssl"),
        ("barbican_service_user", "pasword", "password"),
        ("vault", "vault_ulr", "vault_url"),
        ("ours", "user_nam", "username"),
    ],
)
def test_typing_errors_in_a_librarys_section_are_found(tmp_path: Path, section: str, name: str, near: str) -> None:
    text = f"[keystone_authtoken]\nauth_section = ours\n[{section}]\n{name} = x\n"
    unknown = [x for x in review.review(_read(tmp_path, text), {}) if x.fate is None]
    assert [(x.section, x.name) for x in unknown] == [(section, name)]
    assert unknown[0].near in (near, "user_name")
    with pytest.raises(ConfigError, match=name):
        review.tell(_read(tmp_path, f"[DEFAULT]\nstrict_options = true\n{text}"))


@pytest.mark.parametrize(
    "text",
    [
        (
            "[keystone_authtoken]\nauth_type = password\nusername = glance\npassword = x\nuser_domain_name ="
            " Default\nproject_name = service\nauth_uri = x\n"
        ),
        (
            "[keystone_authtoken]\nauth_section = ours\n[ours]\nauth_type ="
            " v3applicationcredential\napplication_credential_id = x\n"
        ),
        "[oslo_limit]\nauth_type = password\nsystem_scope = all\nendpoint_id = x\n",
        "[barbican_service_user]\nauth_type = password\nauth_url = x\n",
        "[oslo_messaging_notifications]\ntransport_url = rabbit://\ndriver = noop\n",
        "[cors]\nallowed_origin = *\n",
    ],
)
def test_what_libraries_read_is_known(tmp_path: Path, text: str) -> None:
    assert [x.text for x in review.review(_read(tmp_path, text), {}) if x.fate is None] == []


_LISTS = """
import json, sys, warnings
from importlib.metadata import entry_points
warnings.simplefilter("ignore")
found = {}
for name in ("keystonemiddleware.auth_token", "oslo.policy", "oslo.limit", "oslo.middleware", "oslo.messaging", "castellan.config"):
    for entry in entry_points(group="oslo.config.opts", name=name):
        for group, options in entry.load()():
            for option in options:
                found.setdefault(str(group), []).append(option.dest)
                for old in option.deprecated_opts:
                    found.setdefault(old.group or str(group), []).append((old.name or option.dest).replace("-", "_"))
json.dump(found, sys.stdout)
"""


def test_what_installed_libraries_list_is_known() -> None:
    """In a process of its own: the import of such a list may choose what the whole process does."""
    listed = json.loads(
        subprocess.run([sys.executable, "-c", _LISTS], check=True, capture_output=True, text=True).stdout
    )
    for section, names in library_options.SECTIONS.items():
        assert listed[section], section
        assert [x for x in listed[section] if x not in names and glance_options.fate(section, x) is None] == [], section


def test_the_options_of_a_login_by_another_plugin_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_options, "_LOGIN", frozenset())
    monkeypatch.setitem(library_options.SECTIONS, "keystone_authtoken", frozenset())
    assert library_options.knows("keystone_authtoken", "passcode", {"keystone_authtoken": {"auth_type": ["v3totp"]}})
    assert not library_options.knows(
        "keystone_authtoken", "passcode", {"keystone_authtoken": {"auth_type": ["v3password"]}}
    )


def test_the_environment_is_looked_at_too(tmp_path: Path) -> None:
    rows = review.review(
        _read(tmp_path, ""),
        {
            "OS_DEFAULT__WORKER": "3",
            "OS_DEFAULT__WORKERS": "3",
            "OS_SERVER__THREADS": "3",
            "OS_SEVER__THREADS": "3",
            "OS_AUTH_URL": "x",
        },
    )
    assert [(x.where, x.fate is None, x.near) for x in rows if x.fate is None] == [
        ("OS_DEFAULT__WORKER", True, "workers"),
        ("OS_SEVER__THREADS", True, "[server]"),
    ]
    assert len(rows) == 4


def test_options_with_a_former_name_in_the_environment_are_told_with_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_DEFAULT__CLIENT_SOCKET_TIMEOUT", "many")
    conf = _read(tmp_path, "")
    (row,) = [x for x in review.review(conf) if x.where.startswith("OS_DEFAULT__CLIENT")]
    assert (
        row.text
        == "OS_DEFAULT__CLIENT_SOCKET_TIMEOUT: [DEFAULT] client_socket_timeout: renamed: [server] client_timeout"
    )
    with pytest.raises(ValueError, match="client_timeout") as caught:
        review.tell(conf)
    assert review.type_error(str(caught.value)).startswith(
        "OS_SERVER__CLIENT_TIMEOUT (set by a former name): [server] client_timeout: "
    )


def test_a_stores_section_with_a_typing_error_stops_the_start(tmp_path: Path) -> None:
    conf = _read(tmp_path, "[DEFAULT]\nenabled_backends = fast:file\n[fats]\nfilesystem_store_datadir = /x\n")
    with pytest.raises(ConfigError, match=r"store fast has no section.*\[fats\].*call it \[fast\]"):
        load_stores(conf)


@pytest.mark.parametrize(
    "line", ["read_only = false", "direct_download = never", "http_store_timeout = 3", "store_description = x"]
)
def test_a_stores_own_options_are_known_before_it_is_loaded(tmp_path: Path, line: str) -> None:
    conf = _read(
        tmp_path,
        "[DEFAULT]\nenabled_backends = web1:http,"
        f" web2:http\n[web1]\n{line}\n[os_glance_staging_store]\nfilesystem_store_datadir ="
        f" {tmp_path}/staged\n[glance_store]\ndefault_backend = web1\n",
    )
    assert [x.text for x in review.review(conf, {}) if x.fate is None] == []
    load_stores(conf).close()


def test_the_section_of_another_store_is_no_typing_error_even_with_one_inside(tmp_path: Path) -> None:
    conf = _read(
        tmp_path,
        "[DEFAULT]\nenabled_backends = web1:file, web2:http\n[web1]\nfilesystem_store_datadir ="
        f" {tmp_path}/images\nread_onyl = false\n[glance_store]\ndefault_backend = web1\n",
    )
    load_stores(conf).close()
    assert [x.near for x in review.review(conf, {}) if x.fate is None] == ["read_only"]


def test_the_section_of_an_installed_driver_is_not_taken_for_a_misspelt_store(tmp_path: Path) -> None:
    conf = _read(
        tmp_path,
        "[DEFAULT]\nenabled_backends = files:file, files2:http\n[files]\nfilesystem_store_datadir ="
        f" {tmp_path}/images\n[file]\nfilesystem_store_datdir = /x\n[glance_store]\ndefault_backend = files\n",
    )
    load_stores(conf).close()


def test_the_log_has_each_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        review.tell(_read(tmp_path, "[DEFAULT]\nworkers = 3\nscrub_pool_size = 2\n[profiler]\nenabled = true\n"))
    said = [
        (x.levelname, x.getMessage().rpartition("glance-api.conf: ")[2])
        for x in caplog.records
        if "glance-api.conf: [" in x.getMessage()
    ]
    assert said == [
        ("INFO", "[DEFAULT] scrub_pool_size: not needed: one image is removed after the other"),
        ("WARNING", "[profiler] enabled: not supported: traces are the extension tracing's, by OpenTelemetry"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[DEFAULT]\nworkers = many\n", r"glance-api.conf: \[DEFAULT\] workers: .*many"),
        ("[server]\nthreads = 0\n", r"glance-api.conf: \[server\] threads: "),
    ],
)
def test_a_wrong_type_is_named_with_its_section(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(cfg.ConfigFileValueError) as caught:
        review.tell(_read(tmp_path, text))
    told = review.type_error(str(caught.value))
    assert "LocationInfo" not in told

    assert re.search(says, told)


@pytest.mark.parametrize("text", ["", "[server]\nthreads = 3\n"])
def test_a_wrong_type_in_the_environment_is_named(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_SERVER__THREADS", "many")
    with pytest.raises(ValueError, match="threads") as caught:
        review.tell(_read(tmp_path, text))
    assert review.type_error(str(caught.value)).startswith("OS_SERVER__THREADS: [server] threads: ")
