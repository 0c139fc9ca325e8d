"""glance-replicator reads from a cloud of clouds.yaml with a real Keystone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import lab
from shell import ISO, Shell


def test_from_a_cloud_with_keystone(people: dict[str, Shell], tmp_path: Path) -> None:
    demo = people["demo"]
    image_id = demo.json("openstack", "image", "create", "replicated", "--file", ISO, "--disk-format", "iso")["id"]
    login = {
        name.removeprefix("OS_").lower(): value
        for name, value in demo.env.items()
        if name not in ("OS_REGION_NAME", "OS_IDENTITY_API_VERSION")
    }
    (tmp_path / "clouds.yaml").write_text(
        json.dumps({"clouds": {"here": {"auth": login, "region_name": demo.env["OS_REGION_NAME"]}}})
    )
    with lab.service({"DEFAULT": {"auth_strategy": "headers"}}) as target:
        headers = [
            x
            for name, value in (
                ("X-Identity-Status", "Confirmed"),
                ("X-User-Id", "u"),
                ("X-Project-Id", "p"),
                ("X-Roles", "admin,member"),
            )
            for x in ("--target-header", f"{name}: {value}")
        ]
        done = subprocess.run(
            [
                lab.BIN / "glance-replicator",
                *headers,
                "--without",
                "owner",
                "--image",
                image_id,
                "livecopy",
                "here",
                target.url,
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"copied     {image_id}", f"1 copied ({ISO.stat().st_size} bytes)"]
