"""A service with one broken plugin of a kind that it can do without: all else works, and what is missing is said and
refused."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import plugin_saboteurs as saboteurs
import pytest
import strangers
from plugin_saboteurs import OF_ALL, OF_STARTS, faults_of, word
from prometheus_client import REGISTRY

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors

pytestmark = pytest.mark.long

ADMIN = {"x-user-id": "u", "x-project-id": "p", "x-roles": "admin,member,reader", "x-identity-status": "Confirmed"}
#: Options of a broken plugin ODD.
CONFIG: dict[str, lab.Config] = {
    "cache": {"DEFAULT": {"image_cache_driver": "ODD", "image_cache_dir": "{folder}/cache"}},
    "import_method": {"DEFAULT": {"enabled_import_methods": "glance-direct, ODD"}},
    "import_step": {
        "image_import_opts": {"image_import_plugins": "ODD"},
        "DEFAULT": {"enabled_import_methods": "glance-direct, copy-image"},
    },
    "certificates": {"DEFAULT": {"certificate_source": "ODD"}},
    "notifier": {"DEFAULT": {"notifiers": "ODD, log"}},
    "periodic": {"periodic": {"enabled_jobs": "ODD, reaper"}},
}


@contextlib.contextmanager
def serving(folder: Path, config: lab.Config) -> Iterator[Service]:
    file = folder / "glance-api.conf"
    text = lab.config_text(
        lab.merged(
            {
                "DEFAULT": {
                    "auth_strategy": "headers",
                    "enabled_backends": "good:file",
                    "notifiers": "",
                    "plugin_start_timeout": 1,
                    "enabled_import_methods": "",
                },
                "database": {"connection": f"sqlite:///{folder}/glance.sqlite"},
                "good": {"filesystem_store_datadir": folder / "images"},
                "auth_headers": {"trusted_addresses": "127.0.0.1"},
                "glance_store": {"default_backend": "good"},
            },
            config,
        )
    )
    file.write_text(text.replace("{folder}", str(folder)))
    conf = configuration.new(files=[str(file)])
    database = load_database(conf)
    database.sync()
    database.close()
    service = build(conf)
    try:
        yield service
    finally:
        service.close()


def uploaded(service: Service, **properties: str) -> tuple[int, dict[str, Any]]:
    client = service.app.test_client()
    image = client.post(
        "/v2/images", json={"disk_format": "raw", "container_format": "bare", **properties}, headers=ADMIN
    ).get_json()
    done = client.put(
        f"/v2/images/{image['id']}/file", data=b"x", headers={**ADMIN, "content-type": "application/octet-stream"}
    )
    return done.status_code, client.get(f"/v2/images/{image['id']}", headers=ADMIN).get_json()


@pytest.mark.parametrize("kind", CONFIG)
@pytest.mark.parametrize("fault", ["sys.exit at import", "__init__ raises"])
def test_the_rest_of_the_service_works(kind: str, fault: str, tmp_path: Path) -> None:
    config = {
        section: {x: str(y).replace("ODD", word(fault)) for x, y in options.items()}
        for section, options in CONFIG[kind].items()
    }
    saboteurs.write(tmp_path / "site", kind, {fault: OF_ALL[fault]})
    with strangers.installed(tmp_path / "site"), serving(tmp_path, config) as service:
        assert list(service.broken) == [(kind, word(fault))]
        assert REGISTRY.get_sample_value("glance_plugin_broken", {"kind": kind, "name": word(fault)}) == 1
        assert REGISTRY.get_sample_value("glance_plugin_broken", {"kind": "auth", "name": "headers"}) == 0
        status, image = uploaded(service)
        assert (status, image["status"]) == (204, "active")


def test_a_broken_import_method_is_not_offered(tmp_path: Path) -> None:
    saboteurs.write(tmp_path / "site", "import_method", {"old": OF_ALL["old __init__"]})
    with (
        strangers.installed(tmp_path / "site"),
        serving(tmp_path, {"DEFAULT": {"enabled_import_methods": "glance-direct, old"}}) as service,
    ):
        assert service.app.test_client().get("/v2/info/import", headers=ADMIN).get_json()["import-methods"][
            "value"
        ] == ["glance-direct"]


def test_nothing_is_imported_past_a_broken_step_but_copied(tmp_path: Path) -> None:
    saboteurs.write(tmp_path / "site", "import_step", {"odd": OF_ALL["abstract method"]})
    with (
        strangers.installed(tmp_path / "site"),
        serving(
            tmp_path,
            {
                "DEFAULT": {"enabled_import_methods": "glance-direct, copy-image"},
                "image_import_opts": {"image_import_plugins": "odd"},
            },
        ) as service,
    ):
        client = service.app.test_client()
        image = client.post(
            "/v2/images", json={"disk_format": "raw", "container_format": "bare"}, headers=ADMIN
        ).get_json()
        assert (
            client.put(
                f"/v2/images/{image['id']}/stage",
                data=b"x",
                headers={**ADMIN, "content-type": "application/octet-stream"},
            ).status_code
            == 204
        )
        refused = client.post(
            f"/v2/images/{image['id']}/import", json={"method": {"name": "glance-direct"}}, headers=ADMIN
        )
        assert refused.status_code == 503
        assert "the import step odd is broken" in refused.get_data(as_text=True)
        assert "missing" not in refused.get_data(as_text=True), "what is wrong with it is the operator's business"
        assert client.get(f"/v2/images/{image['id']}", headers=ADMIN).get_json()["status"] == "uploading"
        _, other = uploaded(service)
        copied = client.post(
            f"/v2/images/{other['id']}/import",
            json={"method": {"name": "copy-image"}, "all_stores": True},
            headers=ADMIN,
        )
        assert copied.status_code == 202


def test_data_of_signed_images_is_refused_without_certificates(tmp_path: Path) -> None:
    saboteurs.write(tmp_path / "site", "certificates", {"odd": OF_STARTS["start raises"]})
    signed = {
        "img_signature": "eA==",
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
        "img_signature_certificate_uuid": "x",
    }
    with (
        strangers.installed(tmp_path / "site"),
        serving(tmp_path, {"DEFAULT": {"certificate_source": "odd"}}) as service,
    ):
        assert uploaded(service, **signed)[0] == 503
        assert uploaded(service)[0] == 204


@pytest.mark.parametrize("fault", faults_of("store"))
def test_a_bad_second_store_leaves_the_others_serving(fault: str, tmp_path: Path) -> None:
    saboteurs.write(tmp_path / "site", "store", {fault: faults_of("store")[fault]})
    with (
        strangers.installed(tmp_path / "site"),
        serving(
            tmp_path,
            {
                "DEFAULT": {"enabled_backends": f"good:file, bad:{word(fault)}"},
                "bad": {"store_description": "the bad one"},
            },
        ) as service,
    ):
        client = service.app.test_client()
        rows = client.get("/v2/info/stores", headers=ADMIN).get_json()["stores"]
        assert rows == [
            {"id": "good", "default": "true"},
            {"id": "bad", "description": "the bad one", "available": "false"},
        ]
        detail = client.get("/v2/info/stores/detail", headers=ADMIN).get_json()["stores"]
        assert [x for x in faults_of("store")[fault].words if x not in detail[1]["unavailable-because"]] == []
        assert "unavailable-because" not in detail[0]
        assert REGISTRY.get_sample_value("glance_plugin_broken", {"kind": "store", "name": "bad"}) == 1
        assert uploaded(service)[0] == 204
        service.stores.revive(0)  # whatever is wrong, the thread that tries again goes on
        assert not service.stores.get("bad").available


def test_a_store_whose_start_failed_comes_back(tmp_path: Path) -> None:
    fault = saboteurs.Fault(
        (),
        body=(
            "def start(self):\n        import pathlib\n        if not"
            f" pathlib.Path({str(tmp_path / 'cure')!r}).exists(): raise OSError('not there')"
        ),
    )
    saboteurs.write(tmp_path / "site", "store", {"odd": fault})
    with (
        strangers.installed(tmp_path / "site"),
        serving(tmp_path, {"DEFAULT": {"enabled_backends": "good:file, bad:odd"}}) as service,
    ):
        assert list(service.broken) == [("store", "bad")]
        (tmp_path / "cure").touch()
        service.stores.revive(0)
        assert service.stores.get("bad").available
        assert service.broken == {}
        assert REGISTRY.get_sample_value("glance_plugin_broken", {"kind": "store", "name": "bad"}) == 0


def test_one_that_can_not_be_imported_is_not_imported_again_and_again(tmp_path: Path) -> None:
    counted = tmp_path / "imports"
    saboteurs.write(
        tmp_path / "site",
        "store",
        {
            "odd": saboteurs.Fault(
                (),
                module=f"with open({str(counted)!r}, 'a') as file: file.write('x')\nimport a_library_that_is_not_there",
            )
        },
    )
    with (
        strangers.installed(tmp_path / "site"),
        serving(tmp_path, {"DEFAULT": {"enabled_backends": "good:file, bad:odd"}}) as service,
    ):
        for _ in range(3):
            service.stores.revive(0)
        assert counted.read_text() == "x"
        assert list(service.broken) == [("store", "bad")]


def test_one_for_logins_may_need_what_the_service_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry", raising=False)
    saboteurs.write(tmp_path / "site", "auth", {"odd": saboteurs.Fault((), module="import opentelemetry.trace")})
    with strangers.installed(tmp_path / "site"), serving(tmp_path, {"DEFAULT": {"auth_strategy": "odd"}}) as service:
        assert service.broken == {}


@pytest.mark.parametrize(
    ("kind", "config", "option"),
    [
        ("store", {"DEFAULT": {"enabled_backends": "good:odd"}}, "[glance_store] default_backend = good"),
        (
            "store",
            {"DEFAULT": {"enabled_import_methods": "glance-direct", "staging_driver": "odd"}},
            "[DEFAULT] staging_driver = odd",
        ),
        ("database", {"database": {"driver": "odd"}}, "[database] driver = odd"),
        ("auth", {"DEFAULT": {"auth_strategy": "odd"}}, "[DEFAULT] auth_strategy = odd"),
        ("quota", {"DEFAULT": {"quota_driver": "odd"}}, "[DEFAULT] quota_driver = odd"),
    ],
)
def test_what_it_can_not_do_without_stops_the_start(kind: str, config: lab.Config, option: str, tmp_path: Path) -> None:
    saboteurs.write(tmp_path / "site", kind, {"odd": OF_ALL["sys.exit at import"]})
    with strangers.installed(tmp_path / "site"), pytest.raises(errors.ConfigError) as caught, serving(tmp_path, config):
        pass
    assert str(caught.value).startswith(f"{option}: ")
    assert "it tried to end the process" in str(caught.value)
