"""Horizon, as it is on PyPI, in a browser against us: list, create with data, look at, delete."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from playwright.sync_api import Browser, Page, expect
from serving import served

HERE = Path(__file__).parent
REQUIREMENTS = ("horizon==27.0.0", "waitress==3.0.2")
#: Horizon begins in the region of a login without a project, which has the identity service alone.
REGION = "RegionOne"
DATA = b"what Horizon sends" * 100_000


@pytest.fixture(scope="module")
def horizon(service: lab.Service) -> Iterator[str]:
    """Its address. Static files are collected and compressed once."""
    venv, folder, port = lab.venv("horizon", *REQUIREMENTS), lab.LAB / "horizon", lab.free_port()
    folder.mkdir(exist_ok=True)
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "openstack_dashboard.settings",
        "HORIZON_KEYSTONE": lab.keystone().url,
        "HORIZON_STATIC": str(folder / "static"),
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": "",
    }
    [package] = venv.glob("lib/python3*/site-packages/openstack_dashboard")
    (package / "local" / "local_settings.py").write_text(
        (HERE / "horizon_settings.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    if not (folder / "static" / "dashboard" / "manifest.json").exists():
        for words in (["collectstatic", "--noinput"], ["compress", "--force"]):
            subprocess.run(
                [venv / "bin/python", "-m", "django", *words],
                env=env,
                cwd=folder,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
            )
    url = f"http://127.0.0.1:{port}"
    with served(
        [venv / "bin/python", HERE / "horizon_serve.py", "127.0.0.1", str(port)], folder, env, f"{url}/auth/login/"
    ):
        yield url


@pytest.fixture
def page(chromium: Browser, horizon: str) -> Iterator[Page]:
    """Somebody of the project demo, at his images."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(90_000)
    made = context.new_page()
    made.goto(f"{horizon}/auth/login/?next=/project/images/")
    made.get_by_label("User Name").fill("demo")
    made.locator("#id_password").fill("secret")
    made.get_by_role("button", name="Sign In").click()
    yield made
    context.close()


def test_list_create_upload_delete(page: Page, images: Callable[[], list[dict[str, Any]]]) -> None:
    expect(page.get_by_text("No items to display")).to_be_visible()
    page.get_by_role("button", name="Create Image").click()
    form = page.locator(".modal-content")
    form.get_by_label("Image Name").fill("by horizon")
    form.locator("input[type=file]").set_input_files(
        [{"name": "disk.raw", "mimeType": "application/octet-stream", "buffer": DATA}]
    )
    form.locator("#imageForm-format").select_option(label="Raw")
    form.get_by_role("button", name="Create Image").click()
    row = page.locator("tr.ng-scope:not(.detail-row)").filter(has_text="by horizon")
    expect(row).to_contain_text("Active")
    [image] = images()
    assert (image["name"], image["status"], image["size"]) == ("by horizon", "active", len(DATA))
    row.get_by_role("link", name="by horizon").click()
    expect(page.locator("body")).to_contain_text(str(image["checksum"]))
    page.go_back()
    row.locator(".themable-checkbox label").click()
    page.get_by_role("button", name="Delete Images").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete Image", exact=True).click()
    expect(page.get_by_text("No items to display")).to_be_visible()
    assert images() == []
