"""Keystone says who it is: the page sees no token."""

from __future__ import annotations

from collections.abc import Iterator

import lab
import pytest
from browsers import Visits
from clouds import Cloud, cloud
from playwright.sync_api import Browser, expect

#: Of every user that tests/backends/keystone_setup.py makes.
PASSWORD = "secret"


@pytest.fixture(scope="module")
def service() -> Iterator[Cloud]:
    url = lab.keystone().url
    with cloud(DEFAULT={"auth_strategy": "keystone"}, keystone_authtoken={
            "auth_type": "password", "auth_url": url, "www_authenticate_uri": url, "username": "glance", "password": PASSWORD, "project_name": "service", "user_domain_id": "default",
            "project_domain_id": "default"}) as made:
        yield made


def test_password(visits: Visits, chromium: Browser) -> None:
    del chromium
    visit = visits.new()
    page = visit.go("/images")
    expect(visit.button("Application credential")).to_be_visible()
    page.get_by_label("User", exact=True).fill("demo")
    page.get_by_label("Password").fill(PASSWORD)
    expect(page.get_by_label("Domain", exact=True)).to_have_value("Default")
    page.get_by_label("Project", exact=True).fill("demo")
    assert visit.serious() == []
    visit.button("Log in").click()
    visit.inside()
    expect(page.locator(".who")).to_have_text("demo")
    assert "gAAAA" not in page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    visit.go("/upload")
    page.get_by_label("or choose some").set_input_files([{"name": "disk.raw", "mimeType": "application/octet-stream", "buffer": b"x" * 3_000_000}])
    visit.button("Upload 1 file").click()
    expect(page.get_by_role("article", name="disk")).to_have_attribute("data-state", "done")
