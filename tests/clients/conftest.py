"""The stock clients, in an environment of their own, and services for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from peer.deployment import Peer, dead
from shell import Shell

VERSIONS = (
    "python-glanceclient==4.13.0",
    "python-openstackclient==10.5.0",
    "openstacksdk==4.22.0",
    "python-barbicanclient==7.6.0",
)


@pytest.fixture(scope="session")
def clients() -> Path:
    lab.need("ipxe")
    return lab.venv("clients", *VERSIONS) / "bin"


@pytest.fixture(scope="session")
def adopted() -> Iterator[Peer]:
    """A deployment of the real Glance, which the service of ``people`` has taken over."""
    with dead("mariadb") as deployment:
        yield deployment


@pytest.fixture(scope="session")
def people(clients: Path, adopted: Peer) -> Iterator[dict[str, Shell]]:
    """demo, alt_demo, reader and admin of a real Keystone, before a service that asks it."""
    port = lab.free_port()
    config = lab.merged(
        lab.keystone_config("ClientsRegion", f"http://127.0.0.1:{port}"),
        {
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
            "DEFAULT": {"enabled_backends": "file:file, fast:file, slow:file"},
            **{name: {"filesystem_store_datadir": adopted.folder / name} for name in ("fast", "slow")},
        },
    )
    with lab.service(config, port=port, start=False) as service:
        done = subprocess.run(
            [lab.BIN / "glance-manage", "--config-file", service.config_file, "adopt", "--from", adopted.database],
            check=False,
            capture_output=True,
            text=True,
        )
        assert "8 active" in done.stdout, done.stderr  # it finds things to look at, so its exit code is 1
        service.start()
        yield {
            name: Shell(
                clients,
                {
                    "OS_AUTH_URL": str(config["keystone_authtoken"]["auth_url"]),
                    "OS_USERNAME": name,
                    "OS_PASSWORD": "secret",
                    "OS_PROJECT_NAME": project,
                    "OS_USER_DOMAIN_ID": "default",
                    "OS_PROJECT_DOMAIN_ID": "default",
                    "OS_REGION_NAME": "ClientsRegion",
                    "OS_IDENTITY_API_VERSION": "3",
                },
            )
            for name, project in (("demo", "demo"), ("alt_demo", "alt_demo"), ("reader", "demo"), ("admin", "admin"))
        }
