"""Options of Glance that have other names here are honoured, and never lost silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.assembly.stores import load_stores
from glancecore.conf import from_glance
from glancecore.domain.errors import ConfigError


def _read(folder: Path, text: str) -> cfg.ConfigOpts:
    (folder / "glance-api.conf").write_text(text)
    return configuration.new(files=[str(folder / "glance-api.conf")])


@pytest.mark.parametrize(
    ("section", "name", "value", "group", "ours", "means"),
    [
        ("image_import_opts", "max_parallel_stores", "3", "imports", "max_parallel_stores", 3),
        ("wsgi", "task_pool_threads", "5", "imports", "workers", 5),
        ("DEFAULT", "client_socket_timeout", "900", "server", "client_timeout", 900.0),
        ("DEFAULT", "max_header_line", "20000", "server", "limit_request_field_size", 20000),
        ("DEFAULT", "disk_formats", "['raw','iso']", "image_format", "disk_formats", ["raw", "iso"]),
        ("DEFAULT", "container_formats", "bare", "image_format", "container_formats", ["bare"]),
        ("DEFAULT", "use_keystone_limits", "true", "DEFAULT", "quota_driver", "unified"),
        ("DEFAULT", "use_keystone_limits", "false", "DEFAULT", "quota_driver", "config"),
        ("oslo_messaging_notifications", "driver", "messagingv2", "DEFAULT", "notifiers", ["log", "messaging"]),
        ("oslo_messaging_notifications", "driver", "noop", "DEFAULT", "notifiers", ["log"]),
        ("DEFAULT", "notification_driver", "messaging", "DEFAULT", "notifiers", ["log", "messaging"]),
        (
            "glance_store",
            "stores",
            "file,http,swift",
            "DEFAULT",
            "enabled_backends",
            {"file": "file", "http": "http", "swift": "swift"},
        ),
        (
            "glance_store",
            "stores",
            "glance.store.x, file",
            "DEFAULT",
            "enabled_backends",
            {"glance.store.x": "glance.store.x", "file": "file"},
        ),
        ("glance_store", "filesystem_store_datadir", "/x", "glance_store", "default_backend", "file"),
    ],
)
def test_it_is_honoured(
    tmp_path: Path, section: str, name: str, value: str, group: str, ours: str, means: object
) -> None:
    conf = _read(tmp_path, f"[{section}]\n{name} = {value}\n")
    assert (conf[ours] if group == "DEFAULT" else conf[group][ours]) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[DEFAULT]\nuse_keystone_limits = true\nquota_driver = config\n", "use_keystone_limits"),
        (
            "[DEFAULT]\nnotifiers = log\n[oslo_messaging_notifications]\ndriver = messagingv2\n",
            "oslo_messaging_notifications",
        ),
        ("[glance_store]\nstores = file\ndefault_store = rbd\n", "default_store"),
        ("[DEFAULT]\nowner_is_tenant = False\n", "owner_is_tenant"),
        ("[DEFAULT]\nadmin_role = cloud_admin\n", "context_is_admin"),
        ("[DEFAULT]\nallow_additional_image_properties = false\n", "image_property_quota = 0"),
    ],
)
def test_what_contradicts_it_stops_the_start(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    ("variable", "value", "group", "ours", "means"),
    [
        ("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER", "messagingv2", "DEFAULT", "notifiers", ["log", "messaging"]),
        ("OS_GLANCE_STORE__STORES", "file,http", "DEFAULT", "enabled_backends", {"file": "file", "http": "http"}),
        ("OS_DEFAULT__USE_KEYSTONE_LIMITS", "true", "DEFAULT", "quota_driver", "unified"),
        ("OS_IMAGE_IMPORT_OPTS__MAX_PARALLEL_STORES", "3", "imports", "max_parallel_stores", 3),
        ("OS_DEFAULT__CLIENT_SOCKET_TIMEOUT", "900", "server", "client_timeout", 900.0),
        ("OS_DEFAULT__DISK_FORMATS", "raw,iso", "image_format", "disk_formats", ["raw", "iso"]),
    ],
)
def test_it_is_honoured_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, group: str, ours: str, means: object
) -> None:
    monkeypatch.setenv(variable, value)
    conf = _read(tmp_path, "")
    assert (conf[ours] if group == "DEFAULT" else conf[group][ours]) == means


def test_the_present_name_wins_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_DEFAULT__CLIENT_SOCKET_TIMEOUT", "900")
    monkeypatch.setenv("OS_SERVER__CLIENT_TIMEOUT", "700")
    assert _read(tmp_path, "[server]\nclient_timeout = 5\n").server.client_timeout == 700


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OS_DEFAULT__OWNER_IS_TENANT", "false"),
        ("OS_DEFAULT__ADMIN_ROLE", "boss"),
        ("OS_DEFAULT__ALLOW_ADDITIONAL_IMAGE_PROPERTIES", "no"),
    ],
)
def test_what_is_gone_stops_the_start_from_the_environment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=variable.rpartition("__")[2].lower()):
        _read(tmp_path, "")


def test_what_contradicts_the_environment_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER", "messagingv2")
    with pytest.raises(ConfigError, match="oslo_messaging_notifications"):
        _read(tmp_path, "[DEFAULT]\nnotifiers = log\n")


def test_stores_in_the_old_form_have_their_options_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_GLANCE_STORE__FILESYSTEM_STORE_DATADIR", f"{tmp_path}/images")
    conf = _read(tmp_path, "[DEFAULT]\nenabled_import_methods =\n[glance_store]\nstores = file\n")
    load_stores(conf).close()
    assert conf.file.filesystem_store_datadir == f"{tmp_path}/images"


def test_a_store_with_its_options_in_the_environment_has_a_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_FAST__FILESYSTEM_STORE_DATADIR", f"{tmp_path}/images")
    conf = _read(tmp_path, "[DEFAULT]\nenabled_backends = Fast:file\nenabled_import_methods =\n[fats]\nx = 1\n")
    load_stores(conf).close()
    assert conf.Fast.filesystem_store_datadir == f"{tmp_path}/images"


def test_what_is_gone_and_would_change_nothing_is_let_pass(tmp_path: Path) -> None:
    _read(tmp_path, "[DEFAULT]\nowner_is_tenant = True\nadmin_role = admin\nallow_additional_image_properties = true\n")


def test_stores_in_the_old_form_have_their_options_in_the_common_section(tmp_path: Path) -> None:
    text = f"[glance_store]\nstores = file,http\ndefault_store = file\nfilesystem_store_datadir = {tmp_path}/images\n"
    conf = _read(tmp_path, f"[DEFAULT]\nnode_staging_uri = file://{tmp_path}/staged/\n{text}")
    stores = load_stores(conf)
    try:
        assert stores.ids == ["file", "http"]
        assert conf.file.filesystem_store_datadir == f"{tmp_path}/images"
        assert (tmp_path / "images").is_dir()
        assert (tmp_path / "staged").is_dir()
    finally:
        stores.close()


def test_with_enabled_backends_the_common_section_is_not_a_stores(tmp_path: Path) -> None:
    text = (
        "[DEFAULT]\nenabled_backends = fast:file\n[fast]\nfilesystem_store_datadir ="
        f" {tmp_path}/fast\n[glance_store]\nfilesystem_store_datadir = /nowhere/x\n"
    )
    conf = _read(tmp_path, text)
    load_stores(conf).close()
    assert conf.fast.filesystem_store_datadir == f"{tmp_path}/fast"


@pytest.mark.parametrize("uri", ["http://x", "file://var/lib/glance/staging", "file://node2/staging", "file:staging"])
def test_staging_that_is_no_folder_is_refused(tmp_path: Path, uri: str) -> None:
    text = f"[DEFAULT]\nnode_staging_uri = {uri}\n[glance_store]\nfilesystem_store_datadir = {tmp_path}/images\n"
    with pytest.raises(ConfigError, match="node_staging_uri"):
        load_stores(_read(tmp_path, text))


@pytest.mark.parametrize("uri", ["file://{}/staged", "file://localhost{}/staged", "file://{}/staged/"])
def test_staging_in_a_folder_of_this_machine(tmp_path: Path, uri: str) -> None:
    assert (
        from_glance.staging(_read(tmp_path, f"[DEFAULT]\nnode_staging_uri = {uri.format(tmp_path)}\n"))
        == f"{tmp_path}/staged"
    )


@pytest.mark.parametrize(
    "line",
    ["weight = 1", "store_description = x", "default_backnd = file", "default_backend = file", "read_only = true"],
)
def test_other_words_in_the_common_section_make_no_stores(tmp_path: Path, line: str) -> None:
    conf = _read(tmp_path, f"[glance_store]\n{line}\n")
    assert conf.enabled_backends == {"file": "file"}
    assert not from_glance.said(conf, "enabled_backends")


@pytest.mark.parametrize(
    "line",
    [
        "stores = file,http",
        "default_store = file",
        "filesystem_store_datadir = /x",
        "https_insecure = false",
        "swift_store_user = x",
    ],
)
def test_glances_old_form_of_stores_makes_them(tmp_path: Path, line: str) -> None:
    assert _read(tmp_path, f"[glance_store]\n{line}\n").enabled_backends == {"file": "file", "http": "http"}
