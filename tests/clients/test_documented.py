"""The commands of docs/deploying.md and docs/moving-from-glance.md that want a real Keystone, or a real Glance, typed
as they stand there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lab
import pytest
from peer.deployment import Peer

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

from walking import Machine, Walk, text_of

DEPLOYING, MOVING = "docs/deploying.md", "docs/moving-from-glance.md"
REGION = "DocumentedRegion"
Begin = Callable[[str], Walk]


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Begin]:
    walks: list[Walk] = []

    def begin(page: str) -> Walk:
        walks.append(Walk(page, tmp_path))
        return walks[-1]

    yield begin
    for each in walks:
        each.close()


def _with_keystone(machine: Machine, database: str) -> str:
    """Tells the machine what the page's names are here. Returns Keystone's address."""
    config = lab.keystone_config(REGION, f"http://127.0.0.1:{machine.port}")
    url = str(config["keystone_authtoken"]["auth_url"])
    machine.told = {
        "https://keystone.example.org": url,
        "127.0.0.1:11211": lab.backend("memcached").url,
        "mysql+pymysql://glance:secret@db.example.org/glance": database,
        "192.0.2.10:9393": f"127.0.0.1:{machine.port}",
    }
    machine.run("mkdir -p /var/lib/glance /var/lib/glancecore")
    return url


def test_with_keystone_and_mariadb(walk: Begin) -> None:
    page = walk(DEPLOYING)
    machine = page.machine()
    page.only("glance-manage db sync")
    with lab.new_database("mariadb") as database:
        _with_keystone(machine, database)
        page.file("auth_strategy = keystone", machine, "/etc/glance/glance-api.conf")
        assert "Everything that the configuration enables is there and works." in page.run(
            "glance-manage db sync", machine
        )
        machine.ready()
        page.close()


def test_beside_glance(walk: Begin, clients: Path) -> None:
    page = walk(MOVING)
    machine = page.machine()
    with lab.new_database("mariadb") as database:
        url = _with_keystone(machine, database)
        machine.told["mysql+pymysql://glance:secret@db.example.org/glancecore"] = machine.told.pop(
            "mysql+pymysql://glance:secret@db.example.org/glance"
        )
        page.file(
            "enabled_backends = try:file",
            machine,
            "try.conf",
            more="[keystone_authtoken]\n"
            + text_of(DEPLOYING, "auth_strategy = keystone").partition("[keystone_authtoken]\n")[2],
        )
        page.run("glance-manage --config-file try.conf", machine)
        machine.ready()
        machine.programs = (clients,)
        machine.env = {
            "OS_AUTH_URL": url,
            "OS_USERNAME": "demo",
            "OS_PASSWORD": "secret",
            "OS_PROJECT_NAME": "demo",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": REGION,
            "OS_IDENTITY_API_VERSION": "3",
        }
        assert "| ID | Name |" in page.run("glance --os-image-url", machine)
        page.close()


def test_taking_over(walk: Begin, adopted: Peer) -> None:
    page = walk(MOVING)
    machine = page.machine()
    machine.told = {"mysql+pymysql://glance:secret@db.example.org/glance": adopted.database}
    stores = "".join(f"[{x}]\nfilesystem_store_datadir = {adopted.folder / x}\n" for x in ("fast", "slow"))
    (machine.home / ".glance" / "glance-api.conf").write_text(
        "[DEFAULT]\nauth_strategy = none\nenabled_backends = fast:file, slow:file\n[glance_store]\ndefault_backend ="
        f" fast\n[database]\nconnection = sqlite:///{machine.folder}/glance.sqlite\n{stores}"
    )
    page.only("glance-manage db sync")
    said = page.run("glance-manage db sync", machine, found="glance-manage adopt")
    assert "Nothing was written; this is what would be done." in said
    assert "Taken over:" in page.run("export GLANCE_DATABASE", machine, found="glance-manage adopt")
    machine.ready()
