"""Uploads by other people's pages: tus-js-client and Uppy in a browser, through a proxy that bounds bodies."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from browsers import PASSWORD
from clouds import Caller, Cloud, cloud
from playwright.sync_api import Browser, Page
from waiting import until

#: What is had from npm; one file is made of them for the page.
PACKAGES = ("tus-js-client@4.3.1", "@uppy/core@6.3.1", "@uppy/tus@6.0.0", "rolldown@1.3.2")
#: MiB that the proxy lets through in one request.
MOST = 64
#: Bytes of the file: partial uploads of it are larger than what the proxy lets through.
SIZE = 210 << 20
ENTRY = (
    'export { Upload } from "tus-js-client"; export { default as Uppy } from "@uppy/core"; export { default as Tus }'
    ' from "@uppy/tus";'
)
NGINX = """worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  types {{ text/javascript js; text/html html; }}
  client_max_body_size {most}m;
  server {{
    listen 127.0.0.1:{port};
    location /page/ {{ alias {folder}/page/; }}
    location / {{
      proxy_pass {url}; proxy_http_version 1.1; proxy_request_buffering off;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
    }}
  }}
}}
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Cloud]:
    with cloud(DEFAULT={"enable_proxy_headers_parsing": True}) as made:
        yield made


@pytest.fixture(scope="module")
def proxy(service: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lab.nginx()
    folder, port = tmp_path_factory.mktemp("proxy"), lab.free_port()
    packages = lab.npm("browser-clients", *PACKAGES)
    (packages / "entry.mjs").write_text(ENTRY, encoding="utf-8")
    page = folder / "page"
    page.mkdir()
    subprocess.run(
        [
            packages / "node",
            packages / "node_modules/rolldown/bin/cli.mjs",
            "entry.mjs",
            "--file",
            page / "clients.js",
            "--format",
            "esm",
            "--platform",
            "browser",
        ],
        cwd=packages,
        check=True,
        capture_output=True,
    )
    (page / "index.html").write_text(
        '<!doctype html><html lang="en"><title>A page</title><input type="file" aria-label="File"></html>',
        encoding="utf-8",
    )
    config = folder / "nginx.conf"
    config.write_text(
        NGINX.format(folder=folder, port=port, url=service.url, most=MOST, user="user root;"), encoding="utf-8"
    )
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", config], stdin=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Nowhere alike, quickly made: each MiB has its own number."""
    path, digest = tmp_path_factory.mktemp("file") / "disk.raw", hashlib.sha512()
    block = bytearray(1 << 20)
    with path.open("wb") as out:
        for number in range(SIZE >> 20):
            block[:8] = number.to_bytes(8, "big")
            digest.update(block)
            out.write(block)
    return path, digest.hexdigest()


@pytest.fixture
def page(chromium: Browser, proxy: str, file: tuple[Path, str]) -> Iterator[Page]:
    """Of another project than ours; its file is chosen."""
    context = chromium.new_context(http_credentials={"username": "rosa", "password": PASSWORD, "send": "always"})
    made = context.new_page()
    made.goto(f"{proxy}/page/index.html")
    made.get_by_label("File").set_input_files(str(file[0]))
    yield made
    context.close()


def uploads(proxy: str, image_id: str) -> str:
    return f"{proxy}/v2/images/{image_id}/uploads"


def became_active(caller: Caller, image_id: str, digest: str) -> None:
    until(lambda: caller.show(image_id)["status"] == "active", lambda: json.dumps(caller.show(image_id)))
    shown = caller.show(image_id)
    assert (shown["size"], shown["os_hash_value"]) == (SIZE, digest)


def seen(page: Page) -> list[Any]:
    """Of each request: its method, and what it says of its upload."""
    found: list[Any] = []
    page.on("request", lambda x: found.append((x.method, x.headers.get("upload-concat", "").partition(";")[0])))
    return found


def test_partial_uploads_are_joined(page: Page, proxy: str, service: Cloud, file: tuple[Path, str]) -> None:
    """Each of the three is larger than what the proxy lets through, so pieces of them come, three at a time."""
    caller = service.caller("rosa")
    image_id, requests = caller.image("by parts", None), seen(page)
    page.evaluate(
        """async ([endpoint, piece]) => {
        const { Upload } = await import('/page/clients.js');
        const file = document.querySelector('input').files[0];
        await new Promise((resolve, reject) => new Upload(file, { endpoint, chunkSize: piece, parallelUploads: 3, storeFingerprintForResuming: false,
            onError: reject, onSuccess: resolve }).start());
    }""",
        [uploads(proxy, image_id), MOST << 20],
    )
    became_active(caller, image_id, file[1])
    assert [requests.count(("POST", x)) for x in ("partial", "final")] == [3, 1]
    assert requests.count(("PATCH", "partial")) >= 6


def test_uppy_goes_on(page: Page, proxy: str, service: Cloud, file: tuple[Path, str]) -> None:
    """The connection is cut in the middle, once."""
    caller = service.caller("rosa")
    image_id = caller.image("by uppy", None)
    protocol = page.context.new_cdp_session(page)
    protocol.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 48 << 20}
    protocol.send("Network.emulateNetworkConditions", slow)
    page.evaluate(
        """async ([endpoint, piece]) => {
        const { Uppy, Tus } = await import('/page/clients.js');
        window.sent = 0;
        const uppy = new Uppy().use(Tus, { endpoint, chunkSize: piece, retryDelays: [200, 500, 1000, 3000, 5000, 10000, 20000, 20000] });
        uppy.on('upload-progress', (_, progress) => { window.sent = progress.bytesUploaded; });
        uppy.addFile({ name: 'disk.raw', data: document.querySelector('input').files[0] });
        window.result = uppy.upload().then((x) => ({ successful: x.successful.length, failed: x.failed.map((each) => String(each.error)) }));
        window.result.then(() => { window.ended = true; });
    }""",
        [uploads(proxy, image_id), 8 << 20],
    )
    until(lambda: page.evaluate("window.sent") > SIZE / 4)
    starts: list[int] = []
    page.on(
        "request", lambda x: starts.append(int(x.headers["upload-offset"])) if x.headers.get("upload-offset") else None
    )
    failed: list[str] = []
    page.on("requestfailed", lambda x: failed.append(x.method))
    protocol.send("Network.emulateNetworkConditions", {**slow, "offline": True})
    until(lambda: page.evaluate("window.ended") or failed)  # events come while something is asked
    protocol.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    assert page.evaluate("window.result") == {"successful": 1, "failed": []}
    became_active(caller, image_id, file[1])
    assert "PATCH" in failed, "it was broken off"
    assert min(starts) > 0, "it did not begin anew"
