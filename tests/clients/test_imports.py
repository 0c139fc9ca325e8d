"""Imports by the commands of the stock clients, with a real Keystone."""

from __future__ import annotations

import re
import time
from pathlib import Path

import lab
from shell import ISO, Shell

_ID = re.compile(r"^\| id +\| ([0-9a-f-]{36}) ", re.MULTILINE)
FORMATS = ("--disk-format", "iso", "--container-format", "bare")


def made(text: str) -> str:
    found = _ID.search(text)
    assert found, text
    return found[1]


def until_active(shell: Shell, image_id: str, tmp_path: Path) -> None:
    end = time.monotonic() + 60
    while "active" not in (text := shell.run("glance", "image-show", image_id)):
        assert time.monotonic() < end, text
        time.sleep(0.5)
    shell.run("glance", "image-download", image_id, "--file", tmp_path / image_id)
    assert (tmp_path / image_id).read_bytes() == ISO.read_bytes()


def test_glanceclient_imports_a_file_in_one_command(people: dict[str, Shell], tmp_path: Path) -> None:
    demo = people["demo"]
    image_id = made(
        demo.run(
            "glance",
            "image-create-via-import",
            "--name",
            "direct",
            *FORMATS,
            "--file",
            ISO,
            "--import-method",
            "glance-direct",
        )
    )
    until_active(demo, image_id, tmp_path)
    tasks = demo.run("glance", "image-tasks", image_id)
    assert "success" in tasks
    assert "Copied 2 MiB" in tasks
    demo.run("glance", "image-delete", image_id)


def test_glanceclient_imports_in_steps(people: dict[str, Shell], tmp_path: Path) -> None:
    demo = people["demo"]
    assert "import-methods" in demo.run("glance", "import-info")
    image_id = made(demo.run("glance", "image-create", "--name", "steps", *FORMATS))
    demo.run("glance", "image-stage", image_id, "--file", ISO)
    assert "uploading" in demo.run("glance", "image-show", image_id)
    demo.run("glance", "image-import", image_id, "--import-method", "glance-direct")
    until_active(demo, image_id, tmp_path)
    demo.run("glance", "image-delete", image_id)


def test_glanceclient_imports_from_the_web(people: dict[str, Shell], tmp_path: Path) -> None:
    demo, web = people["demo"], lab.nginx()
    Path(web.settings["NGINX_ROOT"], "ipxe.iso").write_bytes(ISO.read_bytes())
    image_id = made(
        demo.run(
            "glance",
            "image-create-via-import",
            "--name",
            "web",
            *FORMATS,
            "--import-method",
            "web-download",
            "--uri",
            f"{web.url}/ipxe.iso",
        )
    )
    until_active(demo, image_id, tmp_path)
    admin = people["admin"]
    listed = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", admin.run("glance", "task-list"))
    assert any(image_id in admin.run("glance", "task-show", task_id) for task_id in listed)
    demo.run("glance", "image-delete", image_id)


def test_openstackclient_stages_and_imports(people: dict[str, Shell], tmp_path: Path) -> None:
    demo = people["demo"]
    image_id = demo.json("openstack", "image", "create", "osc", *FORMATS)["id"]
    demo.run("openstack", "image", "stage", image_id, "--file", ISO)
    demo.run("openstack", "image", "import", image_id, "--method", "glance-direct")
    until_active(demo, image_id, tmp_path)
    demo.run("openstack", "image", "delete", image_id)
