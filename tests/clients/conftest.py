"""The stock clients, in an environment of their own, and services for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shell import Shell

VERSIONS = ("python-glanceclient==4.13.0", "python-openstackclient==10.5.0", "openstacksdk==4.22.0")


@pytest.fixture(scope="session")
def clients() -> Path:
    lab.need("ipxe")
    return lab.venv("clients", *VERSIONS) / "bin"


@pytest.fixture(scope="session")
def people(clients: Path) -> Iterator[dict[str, Shell]]:
    """demo, alt_demo, reader and admin of a real Keystone, before a service that asks it."""
    port = lab.free_port()
    config = lab.merged(lab.keystone_config("ClientsRegion", f"http://127.0.0.1:{port}"),
                        {"import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"}})
    with lab.service(config, port=port):
        yield {name: Shell(clients, {
            "OS_AUTH_URL": str(config["keystone_authtoken"]["auth_url"]), "OS_USERNAME": name, "OS_PASSWORD": "secret",
            "OS_PROJECT_NAME": project, "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": "ClientsRegion", "OS_IDENTITY_API_VERSION": "3",
        }) for name, project in (("demo", "demo"), ("alt_demo", "alt_demo"), ("reader", "demo"), ("admin", "admin"))}
