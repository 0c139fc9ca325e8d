"""Through a real nginx that takes small bodies only, collects them before it passes them on, and waits for no answer
longer than a few seconds."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator

import lab
import pytest
from tusclient.client import TusClient
from tusing import CONFIG, DATA, Tus, image_of
from waiting import until

IDENTITY = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "user-demo",
    "X-Project-Id": "demo",
    "X-Roles": "member,reader",
}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lab.need("nginx-light")
    folder, port = tmp_path_factory.mktemp("nginx"), lab.free_port()
    with lab.service(
        lab.merged(CONFIG, {"oslo_middleware": {"enable_proxy_headers_parsing": True}, "uploads": {"patience": 1}})
    ) as service:
        places = "".join(
            f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root; " if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\nevents {{ }}\nhttp"
            f" {{ access_log off; {places}\nserver {{ listen 127.0.0.1:{port}; client_max_body_size 1m; location / {{"
            f" proxy_pass {service.url}; proxy_http_version 1.1; proxy_read_timeout 8s;\nproxy_set_header"
            " X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header"
            " X-Forwarded-Host $http_host; } } }\n"
        )
        process = subprocess.Popen(
            ["nginx", "-c", folder / "nginx.conf"],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )
        try:
            assert lab.answers(port, 20, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def test_small_pieces_pass(proxied: str) -> None:
    tus = Tus(proxied)
    image_id = tus.image()
    uploader = TusClient(f"{proxied}/v2/images/{image_id}/uploads", headers=IDENTITY).uploader(
        file_stream=io.BytesIO(DATA), chunk_size=700_000, upload_checksum=True
    )
    uploader.upload()
    assert uploader.url.startswith(f"{proxied}/v2/images/{image_id}/uploads/"), "the address is one behind the proxy's"
    until(lambda: tus.client.show(image_id)["status"] == "active")
    assert tus.client.download(image_id).content == DATA


def test_a_piece_that_is_too_large_for_the_proxy_changes_nothing(proxied: str) -> None:
    tus = Tus(proxied)
    url = tus.begun()
    assert tus.patch(url, 0, DATA[:900_000]).status_code == 204
    assert tus.patch(url, 900_000, DATA[900_000:2_900_000]).status_code == 413
    assert tus.offset(url) == 900_000
    for offset in range(900_000, len(DATA), 650_000):
        assert tus.patch(url, offset, DATA[offset : offset + 650_000]).status_code == 204
    until(lambda: tus.client.show(image_of(url))["status"] == "active")
    assert tus.client.download(image_of(url)).content == DATA
