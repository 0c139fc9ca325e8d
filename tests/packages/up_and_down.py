"""Serves an image up and down with the ``glance-api`` beside this interpreter, as docs/deploying.md configures it:
``up_and_down.py FOLDER``.

The standard library alone: it runs where nothing else than the service is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import lab

SIZE = 3 << 20


def call(url: str, method: str = "GET", body: bytes | None = None, kind: str = "application/json") -> bytes:
    asked = urllib.request.Request(url, body, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return bytes(answer.read())


def up_and_down(url: str) -> None:
    """An image goes there, is what it was when it comes back, and is deleted. Raises AssertionError, and OSError when
    nobody answers."""
    data = os.urandom(SIZE)
    made = json.loads(
        call(
            f"{url}/v2/images",
            "POST",
            json.dumps({"name": "x", "disk_format": "raw", "container_format": "bare"}).encode(),
        )
    )
    image = f"{url}/v2/images/{made['id']}"
    call(f"{image}/file", "PUT", data, "application/octet-stream")
    shown = json.loads(call(image))
    assert (shown["status"], shown["size"]) == ("active", SIZE), shown
    assert shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert call(f"{image}/file") == data
    call(image, "DELETE")
    assert json.loads(call(f"{url}/v2/images"))["images"] == []


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        with contextlib.suppress(OSError):  # also an answer that says not yet
            call(f"{url}/healthcheck/ready")
            return
        assert process.poll() is None, f"glance-api ended with {process.returncode}"
        time.sleep(0.1)
    raise AssertionError(f"{url} is not ready")


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    page = (Path(__file__).parents[2] / "docs/deploying.md").read_text(encoding="utf-8")
    text = page.partition("```ini\n")[2].partition("```")[0].replace("/var/lib/glance", str(folder))
    config = folder / "glance-api.conf"
    config.write_text(text)
    programs = Path(sys.executable).parent
    for words in (["glance-manage", "db", "sync"], ["glance-plugins", "check"]):
        subprocess.run([programs / words[0], *words[1:], "--config-file", config], check=True, stdin=subprocess.DEVNULL)
    port = lab.free_port()
    environ = {**os.environ, "OS_DEFAULT__BIND_PORT": str(port), "OS_DEFAULT__WORKERS": "1"}
    process = subprocess.Popen(
        [programs / "glance-api", "--config-file", config], env=environ, stdin=subprocess.DEVNULL, cwd=folder
    )
    try:
        wait(f"http://127.0.0.1:{port}", process)
        up_and_down(f"http://127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode == 0, process.returncode


if __name__ == "__main__":
    main(Path(sys.argv[1]))
