"""The cache API by python-glanceclient and openstackclient, and glance-cache-manage, with a real Keystone and with HTTP
basic."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import lab
import pytest
from shell import ISO, Shell
from waiting import until

REGION = "CacheRegion"


@pytest.fixture(scope="module")
def admin(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    port = lab.free_port()
    config = lab.merged(
        lab.keystone_config(REGION, f"http://127.0.0.1:{port}"),
        {
            "DEFAULT": {
                "image_cache_dir": tmp_path_factory.mktemp("clients") / "cache",
                "worker_self_reference_url": "http://one.example:9292",
            }
        },
    )
    with lab.service(config, port=port):
        yield Shell(
            clients,
            {
                "OS_AUTH_URL": str(config["keystone_authtoken"]["auth_url"]),
                "OS_USERNAME": "admin",
                "OS_PASSWORD": "secret",
                "OS_PROJECT_NAME": "admin",
                "OS_USER_DOMAIN_ID": "default",
                "OS_PROJECT_DOMAIN_ID": "default",
                "OS_REGION_NAME": REGION,
                "OS_IDENTITY_API_VERSION": "3",
            },
        )


def manage(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [lab.BIN / "glance-cache-manage", "--force", *words],
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_stock_clients(admin: Shell) -> None:
    image_id = admin.json("openstack", "image", "create", "cached", "--file", ISO, "--disk-format", "iso")["id"]
    admin.run("glance", "cache-queue", image_id)
    until(lambda: "cached" in admin.run("glance", "cache-list"))
    assert image_id in admin.run("glance", "cache-list")
    assert image_id in admin.run("openstack", "cached", "image", "list")
    admin.run("glance", "cache-delete", image_id)
    assert image_id not in admin.run("glance", "cache-list")
    admin.run("openstack", "cached", "image", "queue", image_id)
    until(lambda: "cached" in admin.run("glance", "cache-list"))
    admin.run("openstack", "cached", "image", "clear", "--cache")
    assert image_id not in admin.run("glance", "cache-list")
    admin.run("glance", "cache-clear")
    admin.run("openstack", "image", "delete", image_id)


def test_cache_manage_by_the_catalogue(admin: Shell) -> None:
    image_id = admin.json("openstack", "image", "create", "managed", "--file", ISO, "--disk-format", "iso")["id"]
    manage(admin.env, "queue-image", image_id)
    end = time.monotonic() + 30
    while not json.loads(manage(admin.env, "--json", "list-cached")):
        assert time.monotonic() < end
        time.sleep(0.2)
    while manage(admin.env, "nodes", image_id).split() != ["http://one.example:9292"]:
        assert time.monotonic() < end
    assert json.loads(manage(admin.env, "--json", "list-cached"))[0]["image_id"] == image_id
    manage(admin.env, "delete-all-cached-images")
    assert json.loads(manage(admin.env, "--json", "list-cached")) == []
    admin.run("openstack", "image", "delete", image_id)


def test_cache_manage_by_http_basic(tmp_path: Path) -> None:
    users = tmp_path / "htpasswd"
    users.write_text(f"admin:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    config = {
        "DEFAULT": {"auth_strategy": "basic", "image_cache_dir": tmp_path / "cache"},
        "auth_basic": {"http_basic_auth_user_file": users, "admins": "admin"},
    }
    with lab.service(config) as service:
        login = {
            "OS_AUTH_TYPE": "http_basic",
            "OS_ENDPOINT": service.url,
            "OS_USERNAME": "admin",
            "OS_PASSWORD": "secret",
        }
        assert json.loads(manage(login, "--json", "list-cached")) == []
        assert "Nothing is queued" in manage(
            {},
            "--url",
            service.url,
            "--os-auth-type",
            "http_basic",
            "--os-endpoint",
            service.url,
            "--os-username",
            "admin",
            "--os-password",
            "secret",
            "list-queued",
        )
