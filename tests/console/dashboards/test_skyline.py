"""Skyline, as it is on PyPI, in a browser against us: list, create with data, look at, delete."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keystone_setup
import lab
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from serving import served

REQUIREMENTS = ("skyline-apiserver==9.0.0", "skyline-console==9.0.0")
REGION = "skyline"
DATA = b"what Skyline sends" * 100_000


class Networks(http.server.BaseHTTPRequestHandler):
    """A network service without extensions: Skyline lets nobody in where there is none."""

    def do_GET(self) -> None:
        text = json.dumps({"extensions": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def networks() -> Iterator[None]:
    """In Keystone's catalogue, in Skyline's region alone."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Networks) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        keystone = keystone_setup.Keystone(lab.keystone().url)
        keystone_setup.endpoint(
            keystone,
            keystone.ensure("service", {"type": "network"}, name="neutron"),
            REGION,
            f"http://127.0.0.1:{server.server_port}",
        )
        yield
        server.shutdown()


@pytest.fixture(scope="module")
def skyline(service: lab.Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address: nginx as Skyline configures it, which has the pages and passes calls on to the services and to
    Skyline's server."""
    lab.need("nginx-light")
    venv, folder, inner, port = (
        lab.venv("skyline", *REQUIREMENTS),
        tmp_path_factory.mktemp("skyline"),
        lab.free_port(),
        lab.free_port(),
    )
    env = {**os.environ, "OS_CONFIG_DIR": str(folder), "PYTHONWARNINGS": "ignore", "PYTHONPATH": ""}
    (folder / "skyline.yaml").write_text(
        json.dumps(
            {
                "default": {
                    "database_url": f"sqlite:///{folder}/skyline.sqlite",
                    "log_dir": str(folder),
                    "policy_file_path": str(folder),
                    "ssl_enabled": False,
                },
                "openstack": {
                    "keystone_url": lab.keystone().url,
                    "default_region": REGION,
                    "system_user_name": "admin",
                    "system_project": "admin",
                    "system_user_password": "secret",
                },
            }
        )
    )
    [package] = venv.glob("lib/python3*/site-packages/skyline_apiserver")
    subprocess.run(
        [venv / "bin/alembic", "-c", package / "db/alembic/alembic.ini", "upgrade", "head"],
        cwd=package / "db",
        env=env,
        check=True,
        stdout=sys.stderr,
    )
    with networks():
        made = subprocess.run(
            [venv / "bin/skyline-nginx-generator", "--listen-address", f"127.0.0.1:{port}", "--log-dir", folder],
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        # what Skyline has fixed, and only one of a machine can have
        for fixed, ours in (
            ("/run/nginx.pid", str(folder / "nginx.pid")),
            ("unix:/var/lib/skyline/skyline.sock", f"127.0.0.1:{inner}"),
        ):
            assert fixed in made
            made = made.replace(fixed, ours)
        (folder / "nginx.conf").write_text(made)
        with (
            served(
                [venv / "bin/uvicorn", "skyline_apiserver.main:app", "--port", str(inner)],
                folder,
                env,
                f"http://127.0.0.1:{inner}/docs",
            ),
            served(
                ["/usr/sbin/nginx", "-c", folder / "nginx.conf", "-g", "daemon off;"],
                folder,
                env,
                f"http://127.0.0.1:{port}",
            ),
        ):
            yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(chromium: Browser, skyline: str) -> Iterator[Page]:
    """Somebody of the project demo, at his images."""
    context = chromium.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(90_000)
    context.add_init_script("localStorage.setItem('lang', 'en')")
    made = context.new_page()
    # the login page of Skyline 9.0.0 wants to offer the domains, which its server tells only to who is logged in
    made.route("**/contrib/domains", lambda route: route.fulfill(json=["Default"]))
    with made.expect_response("**/contrib/regions"):
        made.goto(f"{skyline}/auth/login")
    made.locator("#normal_login_region").click()
    made.locator(".ant-select-item-option").filter(has_text=REGION).click()
    made.get_by_placeholder("Username").fill("demo")
    made.get_by_placeholder("Password").fill("secret")
    with made.expect_response("**/policies"):
        made.get_by_role("button", name="Log in").click()
    made.goto(f"{skyline}/compute/image")
    yield made
    context.close()


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[id='Create image_{name}']")


def choose(page: Page, name: str, option: str) -> None:
    page.locator(".ant-select").filter(has=field(page, name)).click()
    page.locator(".ant-select-dropdown:not(.ant-select-dropdown-hidden) .ant-select-item-option").filter(
        has_text=option
    ).first.click()


def test_list_create_upload_delete(page: Page, images: Callable[[], list[dict[str, Any]]]) -> None:
    expect(page.get_by_text("No Data")).to_be_visible()
    page.get_by_role("button", name="Create Image").click()
    field(page, "name").fill("by-skyline")
    field(page, "file").set_input_files([{"name": "disk.raw", "mimeType": "application/octet-stream", "buffer": DATA}])
    choose(page, "disk_format", "RAW")
    choose(page, "os_distro", "Debian")
    field(page, "os_version").fill("13")
    field(page, "os_admin_user").fill("root")
    page.get_by_role("button", name="Confirm").click()
    row = page.locator("tbody tr").filter(has_text="by-skyline")
    expect(row).to_contain_text("Active")
    [image] = images()
    assert (image["name"], image["status"], image["size"], image["os_distro"]) == (
        "by-skyline",
        "active",
        len(DATA),
        "debian",
    )
    row.get_by_role("link").first.click()
    expect(page.locator("body")).to_contain_text(str(image["checksum"]))
    page.go_back()
    row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("No Data")).to_be_visible()
    assert images() == []
