"""What only this store does: several datastores, sessions that end, reads sent on to a host, settings."""

import os
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import lab
import pytest
from glancecore_store_vmware.driver import VmwareStore

from glancecore.domain import errors
from glancecore.testing.settings import make_section
from glancecore.testing.store import make_store


def files(vcenter, *place):
    return {x.name for x in (vcenter.folder(*place) / "openstack_glance").glob("*")}


def test_the_heaviest_datastore_is_taken_and_all_are_searched(vcenter):
    store = make_store(VmwareStore, **vcenter.options("DC0:LocalDS_0:1", "DC0:LocalDS_1:7", "DC1:LocalDS_0"))
    url = store.put("weighed", [b"x"])
    assert "dsName=LocalDS_1" in url
    assert files(vcenter, "DC0", "LocalDS_1") == {"weighed"}
    lighter = make_store(VmwareStore, **vcenter.options("DC0:LocalDS_0", "DC0:LocalDS_1"))
    with pytest.raises(errors.BlobExists):  # in a datastore that would not be taken now
        lighter.put("weighed", [b"y"])
    assert [x.key for x in lighter.list()] == ["weighed"]
    lighter.delete(url)
    assert files(vcenter, "DC0", "LocalDS_1") == set()
    store.close()
    lighter.close()


def test_an_image_larger_than_every_datastore_is_refused_before_it_comes(vcenter):
    store = make_store(VmwareStore, **vcenter.options())
    with pytest.raises(errors.StoreFull):
        store.put("huge", iter(()), store.free() + (1 << 40))
    store.close()


def test_a_half_written_file_is_no_blob(vcenter):
    store = make_store(VmwareStore, **vcenter.options())
    (vcenter.folder() / "openstack_glance" / ".half.part").write_bytes(b"left by a killed writer")
    assert [x.key for x in store.list()] == []
    with pytest.raises(errors.BadLocation):
        store.open(f"vsphere://{vcenter.host}/folder/openstack_glance/.half.part?dcPath=DC0&dsName=LocalDS_0")
    store.discard("half")
    assert files(vcenter) == set()
    store.close()


@pytest.mark.timeout(120)
def test_a_ping_does_not_wait_for_the_timeout_of_requests():
    """Those that ask again meanwhile wait for the same question."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conf = make_section(
            VmwareStore.options,
            vmware_server_host=f"127.0.0.1:{silent.getsockname()[1]}",
            vmware_server_username="u",
            vmware_server_password="p",
            vmware_datastores=["DC0:LocalDS_0"],
            vmware_insecure=True,
            vmware_http_timeout=3600,
        )
        store = VmwareStore("silent", conf)
        for _ in range(2):
            with pytest.raises(errors.StoreUnavailable, match="does not answer"):
                store.ping()
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_session_that_the_vcenter_has_ended_is_made_anew(vcenter):
    store = make_store(VmwareStore, **vcenter.options())
    url = store.put("kept", [b"x" * 1000])

    def end_session():
        store._session.content().sessionManager.Logout()

    for operation in (
        lambda: store.size(url),
        lambda: b"".join(store.open(url, 10, 5)),
        store.ping,
        store.free,
        lambda: list(store.list()),
        lambda: store.delete(store.put("other", [b"y"])),
        lambda: store.delete(url),
    ):
        end_session()
        operation()
    assert files(vcenter) == set()
    store.close()


def test_glances_own_locations_are_read(vcenter):
    """Written as its driver does: the datacenter's folder with %2F, blanks as +."""
    store = make_store(VmwareStore, **vcenter.options(vmware_store_image_dir="/my images/"))
    url = store.put("kept", [b"x"])
    assert urlsplit(url).path == "/folder/my%20images/kept"
    assert b"".join(store.open(url.replace("%20", "+"))) == b"x"
    assert store.canonical(url.replace("%20", "+")) == url
    store.delete(url.replace("%20", "+"))
    store.close()


@pytest.fixture
def sending_on():
    """Another simulator, which sends reads on to an ESX host, without its session's help."""
    env = {**os.environ, "LAB_DIR": str(lab.LAB / "vcsim-redirect"), "VCSIM_ARGS": "-redirect"}
    script = lab.BACKENDS / "vcsim-up.sh"
    Path(env["LAB_DIR"]).mkdir(parents=True, exist_ok=True)
    for part in ("venvs", "vcsim/bin", "vcsim/wsdl"):  # what takes long to make
        Path(env["LAB_DIR"], part).parent.mkdir(parents=True, exist_ok=True)
        if not Path(env["LAB_DIR"], part).exists():
            Path(env["LAB_DIR"], part).symlink_to(lab.LAB / part)
    *settings, url = (
        subprocess.run([script], env=env, check=True, capture_output=True, text=True).stdout.strip().splitlines()
    )
    yield dict(x.split("=", 1) for x in settings), url.removeprefix("https://").removesuffix("/sdk")
    subprocess.run([lab.BACKENDS / "vcsim-down.sh"], env=env, check=True, capture_output=True)


def test_reads_may_be_sent_on_to_a_host(vcenter, sending_on):
    settings, host = sending_on
    store = make_store(VmwareStore, **vcenter.options(vmware_server_host=host, vmware_ca_file=settings["VCSIM_CA"]))
    url = store.put("kept", [b"0123456789"])
    assert (store.size(url), b"".join(store.open(url)), b"".join(store.open(url, 3, 4))) == (10, b"0123456789", b"3456")
    store.delete(url)
    store.close()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"vmware_server_host": None}, errors.ConfigError, ["[kit] vmware_server_host"]),
        ({"vmware_server_password": None}, errors.ConfigError, ["[kit] vmware_server_password"]),
        ({"vmware_datastores": []}, errors.ConfigError, ["[kit] vmware_datastores"]),
        ({"vmware_datastores": ["LocalDS_0"]}, errors.ConfigError, ["[kit] vmware_datastores", "DATACENTER:DATASTORE"]),
        ({"vmware_datastores": ["DC0:LocalDS_0:heavy"]}, errors.ConfigError, ["[kit] vmware_datastores", "WEIGHT"]),
        ({"vmware_datastores": ["DC9:LocalDS_0"]}, errors.ConfigError, ["[kit] vmware_datastores", "DC9"]),
        (
            {"vmware_datastores": ["DC0:Nowhere"]},
            errors.ConfigError,
            ["[kit] vmware_datastores", "Nowhere", "LocalDS_0, LocalDS_1"],
        ),
        ({"vmware_ca_file": "/nowhere.pem"}, errors.ConfigError, ["[kit] vmware_ca_file", "/nowhere.pem"]),
        ({"vmware_ca_file": None}, errors.ConfigError, ["[kit] vmware_ca_file", "authority"]),
        ({"vmware_server_password": "wrong"}, errors.StoreForbidden, ["[kit] vmware_server_username"]),
        ({"vmware_server_host": "127.0.0.1:1"}, errors.StoreUnavailable, ["kit"]),
    ],
    ids=lambda x: str(x)[:40],
)
def test_wrong_settings_are_named(vcenter, change, error, words):
    options = {name: value for name, value in {**vcenter.options(), **change}.items() if value is not None}
    with pytest.raises(error) as told:
        make_store(VmwareStore, **options)
    assert all(word in str(told.value) for word in words), told.value
    assert "wrong" not in str(told.value)


def test_insecure_is_believed(vcenter):
    options = {**vcenter.options(), "vmware_insecure": True}
    del options["vmware_ca_file"]
    make_store(VmwareStore, **options).close()
