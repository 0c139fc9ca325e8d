"""Every documented sequence of commands is typed here as it stands on its page, or named with the reason why not."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
from blocks import PAGES, REPO
from up_and_down import up_and_down
from waiting import until
from walking import Machine, Walk, pages_with_commands, text_of

Begin = Callable[[str], Walk]
#: One machine without login, for pages that begin behind the installation: the configuration of docs/deploying.md.
FIRST = "auth_strategy = none\nenabled_backends = fast:file"
#: Where those are typed that want Keystone.
KEYSTONE = "tests/clients/test_documented.py"


def first(page: Walk, more: str = "") -> Machine:
    """A machine as docs/deploying.md leaves it before the service is started, where the configuration says ``more``."""
    machine = page.machine()
    configure(machine, more)
    machine.run("mkdir -p /var/lib/glance /srv\nglance-manage db sync")
    return machine


def configure(machine: Machine, more: str, *, without: str = "") -> None:
    """The configuration of docs/deploying.md, without a line, and more."""
    text = text_of("docs/deploying.md", FIRST).replace(without, "")
    (machine.home / ".glance" / "glance-api.conf").write_text(machine.replaced(f"{text}\n{more}"))


def serve(machine: Machine) -> None:
    machine.run("glance-api")
    machine.ready()


def image(machine: Machine, data: bytes = b"data", *, store: str = "", **fields: object) -> str:
    def call(method: str, path: str, kind: str, body: bytes) -> bytes:
        headers = {"Content-Type": kind, **({"X-Image-Meta-Store": store} if store else {})}
        asked = urllib.request.Request(f"http://127.0.0.1:{machine.port}{path}", body, headers, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return bytes(answer.read())

    made = json.loads(
        call(
            "POST",
            "/v2/images",
            "application/json",
            json.dumps({"disk_format": "raw", "container_format": "bare", **fields}).encode(),
        )
    )
    call("PUT", f"/v2/images/{made['id']}/file", "application/octet-stream", data)
    return str(made["id"])


def test_readme(walk: Begin) -> None:
    page = walk("README.md")
    page.not_here("make run", "they make the environment that tests run in")
    page.not_here(
        "sudo apt-get install", "packages of others, from the network; tests/clients has the same in its environment"
    )
    for begin in ("export OS_AUTH_TYPE", "openstack image save", "unset OS_AUTH_TYPE"):
        page.elsewhere(begin, "tests/clients/test_tour.py")


def test_contributing(walk: Begin) -> None:
    walk("CONTRIBUTING.md").not_here("make unit", "they make the environment that tests run in")


def test_deploying(walk: Begin) -> None:
    page = walk("docs/deploying.md")
    machine = page.machine(pip=True)
    page.not_here("make dist", "the wheels that the walks install are made by the same program")
    page.run("pip install --find-links dist 'glancecore[standard]'", machine)
    page.file(FIRST, machine, "/etc/glance/glance-api.conf")
    said = page.run("mkdir -p /var/lib/glance", machine)
    assert "Everything that the configuration enables is there and works." in said
    machine.ready()
    assert '"images":[]' in page.run("curl", machine)
    up_and_down(f"http://127.0.0.1:{machine.port}")
    machine.stop()
    page.run("pip install --find-links dist glancecore-auth-basic", machine)
    page.not_here("htpasswd", "it asks for passwords; the driver's tests make such files by it")
    users = {"alice": "admin", "bob": "password", "carol": "other"}
    (machine.home / ".glance/htpasswd").write_text(
        "".join(f"{x}:{bcrypt.hashpw(y.encode(), bcrypt.gensalt(4)).decode()}\n" for x, y in users.items())
    )
    machine.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=images -addext subjectAltName=IP:127.0.0.1 "
        "-keyout /etc/glance/tls.key -out /etc/glance/tls.pem 2>openssl.log"
    )
    page.file("auth_strategy = basic", machine, "/etc/glance/glance-api.conf")
    page.file("communitize_image", machine, "/etc/glance/policy.yaml")
    page.run("glance-manage db sync", machine)
    machine.told = {"192.0.2.10:9292": f"127.0.0.1:{machine.port}"}
    assert '"images":[]' in page.run("curl", machine)
    with pytest.raises(AssertionError, match="401"):
        machine.run(
            f"curl -fsS --cacert /etc/glance/tls.pem --user bob:wrong https://127.0.0.1:{machine.port}/v2/images"
        )
    assert re.search(r"auth +keystone +\w+ +\w+ +glancecore-auth-keystone", machine.run("glance-plugins list"))
    page.elsewhere("glance-manage db sync", KEYSTONE)
    page.elsewhere("install -m 644 /opt/glance/share", "tests/deploy/test_systemd.py")


def test_moving_from_glance(walk: Begin) -> None:
    page = walk("docs/moving-from-glance.md")
    for begin in (
        "glance-manage --config-file try.conf",
        "glance --os-image-url",
        "glance-manage db sync",
        "export GLANCE_DATABASE",
    ):
        page.elsewhere(begin, KEYSTONE)


def test_operating(walk: Begin) -> None:
    page = walk("docs/operating.md")
    machine = first(page)
    said = page.run("glance-manage quota set", machine)
    assert "image_size_total: 0 of no limit, default" in said
    assert "image_count_total: 0 of 500, set for this project" in said


def test_backup(walk: Begin) -> None:
    page = walk("docs/backup.md")
    machine = first(page)
    serve(machine)
    machine.run("mkdir -p /var/lib/backups")
    page.run("glance-manage db backup", machine)
    image(machine)
    machine.stop()
    machine.run("rm /var/lib/glance/glance.sqlite*; cp /var/lib/backups/glance.sqlite /var/lib/glance/glance.sqlite")
    assert "operations that were under way and let go of their data: 0" in machine.run("glance-manage db restored")
    machine.run("glance-periodic run orphans --dry-run\nglance-periodic run auditor --dry-run")


def test_stores(walk: Begin) -> None:
    page = walk("docs/stores.md")
    machine = first(page, text_of("docs/stores.md", "web:http"))
    serve(machine)
    image(machine, store="cheap")
    machine.stop()
    (machine.folder / "fast" / ".glance-store").unlink()  # moved without it
    said = page.run("glance-manage store list", machine, found="glance-manage store (list|show)")
    assert "there is no .glance-store" in said
    assert "fast: used" in machine.run("glance-manage store list")
    assert "images 1, bytes 4, only copy 1" in page.run("glance-manage store status", machine)
    assert re.search(
        r"^cheap: up, draining, takes no new data.*\n  images 0,",
        machine.run("glance-manage store status cheap"),
        re.MULTILINE,
    )
    configure(machine, text_of("docs/stores.md", "web:http").replace("cheap:file, ", ""))
    assert "store cheap is removed" in page.run("glance-manage store remove", machine)


def test_registry(walk: Begin) -> None:
    page = walk("docs/registry.md")
    registry = page.machine(pip=True)
    page.file("secrets = ", registry, "/etc/glance/glance-registry.conf")
    registry.run(
        "cd /etc/glance\nopenssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry -addext"
        " subjectAltName=IP:127.0.0.1 -keyout registry.key -out registry.pem 2>openssl.log"
    )
    page.run("pip install", registry)
    node = page.machine(pip=True, peer=registry.port)
    configure(
        node,
        text_of("docs/registry.md", "driver = registry"),
        without="connection = sqlite:////var/lib/glance/glance.sqlite",
    )
    (node.home / ".glance" / "ca.pem").write_bytes((registry.home / ".glance" / "registry.pem").read_bytes())
    node.run("mkdir -p /var/lib/glance")
    page.run("pip install", node)
    node.ready()
    assert "glance" not in {x.name for x in node.folder.rglob("*.sqlite*")}
    image_id = image(node)
    assert image_id in (registry.folder / "glance.sqlite-wal").read_text(errors="replace") + (
        registry.folder / "glance.sqlite"
    ).read_text(errors="replace")


def test_replicating(walk: Begin) -> None:
    page = walk("docs/replicating.md")
    sites = {name: first(page) for name in ("site-a", "site-b")}
    for site in sites.values():
        serve(site)
    image_id = image(sites["site-a"])
    machine = page.machine(pip=True)
    clouds = {
        name: {"auth_type": "none", "auth": {"endpoint": f"http://127.0.0.1:{x.port}"}} for name, x in sites.items()
    }
    (machine.work / "clouds.yaml").write_text(json.dumps({"clouds": clouds}))
    machine.run("mkdir -p /srv")
    page.run("pip install", machine)
    said = page.run("glance-replicator size", machine, found="glance-replicator compare")
    assert f"copied     {image_id}" in said
    assert {x.name for x in (machine.folder / "images").iterdir()} == {f"{image_id}.json", f"{image_id}.img"}
    machine.run("glance-replicator compare site-a site-b")


def test_caching(walk: Begin) -> None:
    page = walk("docs/caching.md")
    machine = first(page, text_of("docs/caching.md", "image_cache_dir"))
    serve(machine)
    image_id = image(machine)
    machine.told = {"1c6f0a6e-…": image_id}
    said = page.run("glance-cache-prefetcher", machine)
    page.run("glance-cache-manage", machine)
    assert '"job": "cache_cleaner"' in said
    until(lambda: image_id in machine.run(f"glance-cache-manage --url http://127.0.0.1:{machine.port} list-cached"))


def test_uploads(walk: Begin) -> None:
    page = walk("docs/uploads.md")
    page.not_here(
        "pip install ./drivers/ext_tus",
        "it is in the environment of the machines here; drivers/ext_tus tests the distribution",
    )
    machine = first(
        page, text_of("docs/uploads.md", "enabled_extensions = tus").replace("= tus", "= tus, parts, resumable")
    )
    serve(machine)
    page.run("parts=", machine)
    assert '"status":"active"' in machine.run(
        "curl -sSf http://127.0.0.1:9292/v2/images/8f0e9a52-5ad0-4b0d-a4c4-0d3ad5b1f002"
    )
    said = page.run("head -c", machine)
    assert "Upload-Offset: 12000000" in said
    assert '"status":"active"' in said
    assert '"size":20000000' in said
    assert "Upload-Offset: 12000000" in page.run("staged=", machine)
    until(
        lambda: (
            '"status":"active"'
            in machine.run("curl -sSf http://127.0.0.1:9292/v2/images/8f0e9a52-5ad0-4b0d-a4c4-0d3ad5b1f003")
        )
    )
    page.not_here(
        "pip install ./clients/osc_glancecore", "clients/osc_glancecore/tests uploads and downloads with both programs"
    )


def test_imports(walk: Begin) -> None:
    walk("docs/imports.md").not_here(
        "glance image-create-via-import",
        "its web server is an example; tests/clients/test_imports.py imports from one by the same command",
    )


def test_metadefs(walk: Begin) -> None:
    page = walk("docs/metadefs.md")
    machine = first(page)
    page.run("glance-manage metadefs load", machine)
    assert [x.name for x in (machine.folder / "metadefs").iterdir()] == ["OS::Compute::Watchdog.json"]


def test_notifications(walk: Begin) -> None:
    page = walk("docs/notifications.md")
    machine = first(
        page,
        "[DEFAULT]\nnotifiers = webhook\n[notify_webhook]\nendpoints = audit\n"
        "[webhook_audit]\nurl = http://127.0.0.1:9/\nsecrets = whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n",
    )
    serve(machine)
    image_id = image(machine)
    said = page.run("glance-manage outbox list", machine)
    assert "webhook:audit" in said
    assert image_id in said


def test_periodic(walk: Begin) -> None:
    page = walk("docs/periodic.md")
    machine = first(
        page,
        "[DEFAULT]\nenabled_backends = fast:file, cheap:file\n[cheap]\nfilesystem_store_datadir ="
        " /srv/cheap\n[periodic]\nembedded = false\n" + text_of("docs/periodic.md", "tag=golden"),
    )
    serve(machine)
    image_id = image(machine, tags=["golden"])
    said = page.run("glance-periodic run replicator", machine)
    assert f"[planned] {image_id}: would be copied to store cheap (tag=golden -> 2 stores)" in said
    page.run("glance-periodic list", machine)


@pytest.mark.parametrize(
    ("name", "made", "passed"),
    [
        ("writing-a-store", "glancecore-store-acme", r"\b1\d\d passed\b"),
        ("writing-an-import-step", "glancecore-step-acme", r"\b1\d passed\b"),
    ],
)
def test_writing(walk: Begin, name: str, made: str, passed: str) -> None:
    page = walk(f"docs/{name}.md")
    machine = page.machine(pip=True)
    if name == "writing-an-import-step":
        page.run("mkdir -p", machine)
    said = page.run("python3 -m venv .venv", machine)
    assert re.search(passed, said), said
    assert not re.search("failed|skipped|error", said)
    assert machine.work.name == made
    left = subprocess.run(
        ["grep", "-rli", "template", "--exclude-dir=.[a-z]*", machine.work], capture_output=True, text=True, check=False
    )
    assert left.stdout == "", "the renaming missed something"
    if name == "writing-a-store":
        assert "Result: passed" in page.run("../.venv/bin/python -m pytest -p", machine)
        assert (machine.work / "src/glancecore_store_acme/certificate.json").is_file()
    assert "Everything that the configuration enables is there and works." in page.run(
        "../.venv/bin/pip" if name == "writing-a-store" else ".venv/bin/pip", machine
    )
    machine.ready()
    image(machine)


def test_families(walk: Begin) -> None:
    page = walk("docs/families.md")
    machine = first(page, "[DEFAULT]\nenabled_extensions = families")
    serve(machine)
    said = page.run("FAMILY=$(", machine)
    assert '"family_version":"20260201"' in said
    assert "a disk, 20260101" in said, "after the rollback"
    assert '"reason":"no network on arm"' in said
    page.not_here(
        "openstack image publish", "tests/clients/test_osc.py types the same commands, in the real openstackclient"
    )


def test_osc_glancecore(walk: Begin) -> None:
    walk("clients/osc_glancecore/README.md").not_here(
        "pip install python-openstackclient", "tests/clients/test_osc.py installs it beside the real openstackclient"
    )


def test_console(walk: Begin) -> None:
    walk("docs/console.md").not_here(
        "pip install glancecore-ext-console",
        "it is in the environment of the machines here; drivers/ext_console tests it",
    )


def test_writing_an_extension(walk: Begin) -> None:
    page = walk("docs/writing-an-extension.md")
    machine = page.machine(pip=True)
    said = page.run("python3 -m venv .venv", machine)
    assert re.search(r"\b[23]\d passed\b", said), said
    assert not re.search("failed|skipped|error", said)
    assert "Everything that the configuration enables is there and works." in page.run("cat >try.conf", machine)
    machine.ready()
    told = page.run("curl", machine)
    assert '"acme_note":"keep until spring"' in told
    assert '{"name":"acme","version":"1.0.0","title":"Acme: a note on each image"}' in told
    until(lambda: "acme.note" in (machine.folder / "server.log").read_text())
    page.run("../.venv/bin/pip wheel", machine)
    assert [x.name for x in (machine.work / "dist").iterdir()] == ["glancecore_ext_acme-1.0.0-py3-none-any.whl"]
    files = "\n".join(x.read_text() for x in (machine.work / "src").rglob("*.py"))
    shown = re.findall(
        r"^```python\n(.*?)^```$", (REPO / "docs/writing-an-extension.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(shown) == 3
    assert [x for x in shown if x not in files] == [], "the page shows what the files say"


def test_writing_a_plugin(walk: Begin) -> None:
    page = walk("docs/writing-a-plugin.md")
    machine = page.machine(pip=True)
    for begin in (
        "mkdir -p",
        "cat >src/glancecore_acme/keys.py",
        "cat >src/glancecore_acme/lines.py",
        "cat >src/glancecore_acme/limits.py",
        "cat >src/glancecore_acme/signer.py",
        "cat >src/glancecore_acme/emptied.py",
    ):
        page.run(begin, machine)
    said = page.run("python3 -m venv .venv", machine)
    assert re.search(r"\b\d{3} passed\b", said), said
    assert not re.search("failed|skipped|error", said)
    said = page.run(".venv/bin/pip install", machine)
    assert "Everything that the configuration enables is there and works." in said
    assert "acme: done" in said
    machine.ready()


def test_readmes_of_drivers(walk: Begin) -> None:
    for driver in ("db_sql", "db_registry"):
        page = walk(f"drivers/{driver}/README.md")
        page.run("pip install", page.machine(pip=True))
    basic = walk("drivers/auth_basic/README.md")
    basic.not_here("htpasswd", "the driver's tests make such files by it")
    basic.not_here("openstack", "tests/clients/test_standalone.py asks by the same words")
    walk("drivers/certificates_castellan/README.md").elsewhere("openssl req", "tests/clients/test_signing.py")
    walk("drivers/quota_unified/README.md").not_here(
        "openstack registered limit", "the driver's tests do it by Keystone's API"
    )


def test_every_page_is_walked() -> None:
    """A new page with commands is walked, too. (A new block on an old page makes its walk fail.)"""
    here = Path(__file__).read_text()
    named = {
        x.replace("{driver}", y).replace("{name}", z)
        for x in re.findall(r'walk\(f?"([^"]+)"\)', here)
        for y in ("db_sql", "db_registry")
        for z in ("writing-a-store", "writing-an-import-step")
    }
    assert set(pages_with_commands()) == named


@pytest.mark.parametrize("page", PAGES, ids=lambda x: str(x.relative_to(REPO)))
def test_what_pip_is_told_to_install_is_there(page: Path) -> None:
    """Also in the middle of a sentence: drivers by their folder, this project's distributions and extras by their
    names."""
    setup = (REPO / "setup.cfg").read_text()
    text = page.read_text()
    for words in re.findall(r"pip install ([^`\n]*)", text):
        for driver in re.findall(r"\./drivers/(\w+)", words):
            assert (REPO / "drivers" / driver / "pyproject.toml").exists(), driver
        for extra in re.findall(r"(?:glancecore|\.)\[(\w+)\]", words):
            assert f"\n{extra} =\n" in setup, extra
        for name in re.findall(r"glancecore-([a-z0-9-]+)", words):
            assert (REPO / "drivers" / name.replace("-", "_") / "pyproject.toml").exists(), name
