"""A real service with the console, and a browser that looks at it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest

#: playwright drives the browser and has axe with it; large, so not in everybody's environment.
TOOLS = lab.venv("browser", "playwright==1.65.2", "axe-playwright-python==0.1.8")
sys.path.extend(
    str(x)
    for x in (
        *TOOLS.glob("lib/python3*/site-packages"),
        lab.REPO / "tests" / "e2e",
        lab.REPO / "tests" / "backends",
        Path(__file__).parent,
    )
)

from browsers import ARGUMENTS, Visits  # noqa: E402
from clouds import Cloud, cloud  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

STATIC = lab.REPO / "drivers/ext_console/src/glancecore_ext_console/static"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    lab.need("chromium")
    done = subprocess.run(
        [lab.REPO / "tools/console.sh", "--once"],
        env={**os.environ, "LAB_DIR": str(lab.LAB)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (STATIC / "index.html").exists(), f"the console is not built: {done.stderr}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def service() -> Iterator[Cloud]:
    with cloud() as made:
        yield made


@pytest.fixture
def visits(chromium: Browser, service: Cloud) -> Iterator[Visits]:
    """At its end: no page has broken its policy, failed, or asked another host."""
    made = Visits(chromium, service.url)
    yield made
    made.close()


@pytest.fixture
def shots() -> Path | None:
    """Where screenshots for the documents go: SHOTS=docs/console. None: none are wanted."""
    folder = os.environ.get("SHOTS")
    return lab.REPO / folder if folder else None
