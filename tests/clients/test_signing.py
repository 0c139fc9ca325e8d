"""Signed images with openssl and the stock client: the commands of the castellan driver's README, typed as they stand
there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import lab
from backends import keystone_setup
from cryptography.fernet import Fernet
from shell import ISO, Shell

README = lab.REPO / "drivers" / "certificates_castellan" / "README.md"
REGION = "SigningRegion"


def test_signing_an_image(clients: Path, tmp_path: Path) -> None:
    [block] = re.findall(r"```console\n(.*?)```", README.read_text(), flags=re.DOTALL)
    commands = [line.removeprefix("$ ") for line in block.splitlines()]
    assert len(commands) == 4
    lab.need("openssl")
    shutil.copy(ISO, tmp_path / "ipxe.iso")
    barbican, port = lab.backend("barbican"), lab.free_port()
    auth_url = lab.keystone().url
    config = lab.merged(
        lab.keystone_config(REGION, f"http://127.0.0.1:{port}"),
        {
            "DEFAULT": {"certificate_source": "castellan"},
            "key_manager": {"backend": "barbican"},
            "imports": {"token_keys": Fernet.generate_key().decode()},
            "barbican": {"auth_endpoint": auth_url, "barbican_region_name": REGION},
        },
    )
    keystone = keystone_setup.Keystone(auth_url)
    keystone_setup.endpoint(keystone, keystone.ensure("service", {"type": "key-manager"}), REGION, barbican.url)
    with lab.service(config, port=port):
        demo = Shell(
            Path("/bin"),
            {
                "OS_AUTH_URL": auth_url,
                "OS_USERNAME": "demo",
                "OS_PASSWORD": "secret",
                "OS_PROJECT_NAME": "demo",
                "OS_USER_DOMAIN_ID": "default",
                "OS_PROJECT_DOMAIN_ID": "default",
                "OS_REGION_NAME": REGION,
                "OS_IDENTITY_API_VERSION": "3",
            },
        )
        begin = ["set -eo pipefail", f"cd {tmp_path}", f"PATH={clients}:$PATH"]
        demo.run("bash", "-c", "\n".join([*begin, *commands, "openstack image save --file copy.iso signed"]))
        assert (tmp_path / "copy.iso").read_bytes() == ISO.read_bytes()

        # the same signature over a file that has changed since
        changed = "printf x >>ipxe.iso"
        said = demo.run("bash", "-c", "\n".join([*begin, *commands[:3], changed, commands[3]]), ok=False)
        assert "400" in said
        listed = demo.run(clients / "openstack", "image", "list", "--name", "signed", "--long", "-f", "json")
        assert [x["Status"] for x in json.loads(listed)] == ["active"]
