"""What only this store does: snapshots and clones, holes, growing images, settings."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from glancecore_store_rbd.driver import RbdStore
from glancecore_store_rbd.transfer import READ, WRITE, WRITES

from glancecore.domain import errors
from glancecore.testing.store import make_store

from . import cluster

MIB = 1 << 20


def made(**options):
    return make_store(RbdStore, **{"rbd_store_ceph_conf": cluster.CONF, "rados_operation_timeout": 5, **options})


@pytest.fixture
def store():
    before = cluster.objects(cluster.POOL)
    store = made()
    yield store
    store.close()
    assert cluster.objects(cluster.POOL) == before


def image_of(url):
    return url.split("/")[4]


def test_the_snapshot_is_there_to_be_cloned(store):
    url = store.put("clone-me", [b"x" * 5000])
    [snapshot] = json.loads(cluster.rbd("snap", "ls", "clone-me", "--format", "json"))
    assert (snapshot["name"], snapshot["protected"], snapshot["size"]) == ("snap", "true", 5000)
    cluster.rbd("clone", "images/clone-me@snap", "vms/server-disk", "--rbd-default-clone-format", "1")
    try:
        with pytest.raises(errors.BlobInUse):
            store.delete(url)
        with pytest.raises(errors.BlobInUse):
            store.discard("clone-me")
        assert b"".join(store.open(url)) == b"x" * 5000  # it is as it was
        assert cluster.rbd("export", "--no-progress", "vms/server-disk", "-") == b"x" * 5000
    finally:
        cluster.rbd("rm", "vms/server-disk", "--no-progress")
    store.delete(url)


def test_an_image_with_clones_of_the_second_format_waits_in_the_trash(store):
    url = store.put("clone-me", [b"x" * 5000])
    cluster.rbd("clone", "images/clone-me@snap", "vms/server-disk", "--rbd-default-clone-format", "2")
    store.delete(url)
    with pytest.raises(errors.BlobNotFound):
        store.open(url)
    assert [x.key for x in store.list()] == []
    assert cluster.rbd("export", "--no-progress", "vms/server-disk", "-") == b"x" * 5000
    cluster.rbd("rm", "vms/server-disk", "--no-progress")
    cluster.rbd("trash", "purge", "images", "--no-progress")


def test_an_image_with_another_snapshot_is_in_use(store):
    url = store.put("kept", [b"x"])
    cluster.rbd("snap", "create", "kept@backup", "--no-progress")
    with pytest.raises(errors.BlobInUse):
        store.delete(url)
    assert b"".join(store.open(url)) == b"x"
    cluster.rbd("snap", "rm", "kept@backup", "--no-progress")
    store.delete(url)


def test_an_image_that_is_open_elsewhere_for_writing_comes_back(store):
    """A watcher makes the removal fail after the snapshot has gone."""
    import rbd

    url = store.put("watched", [b"x" * 100])
    with cluster.administrator().open_ioctx(cluster.POOL) as pool, rbd.Image(pool, "watched"):
        with pytest.raises(errors.BlobInUse):
            store.delete(url)
        assert b"".join(store.open(url)) == b"x" * 100
    store.delete(url)


def test_the_rest_of_a_broken_deletion_is_removed(store):
    url = store.put("half", [b"x"])
    cluster.rbd("snap", "unprotect", "half@snap")
    cluster.rbd("snap", "rm", "half@snap", "--no-progress")
    with pytest.raises(errors.BlobNotFound):
        store.open(url)
    with pytest.raises(errors.BlobNotFound):
        store.delete(url)


def test_zeros_take_no_space_when_thin():
    before = cluster.objects(cluster.POOL)
    store = made(rbd_thin_provisioning=True, rbd_store_chunk_size=4)
    data = [b"a" * MIB, bytes(40 * MIB), b"b"]
    for size in (None, 41 * MIB + 1):
        url = store.put("thin", data, size)
        assert b"".join(store.open(url)) == b"".join(data)
        blocks = {x for x in cluster.objects(cluster.POOL) - before if x.startswith("rbd_data.")}
        assert len(blocks) == 2
        store.delete(url)
    store.close()


def test_an_image_of_unknown_size_is_cut_to_what_came(store):
    data = os.urandom(WRITE * (WRITES + 2) + 12345)
    url = store.put("grown", (data[x : x + 99999] for x in range(0, len(data), 99999)))
    assert cluster.info("grown")["size"] == len(data)
    assert b"".join(store.open(url)) == data
    assert b"".join(store.open(url, READ - 3, 7)) == data[READ - 3 : READ + 4]
    store.delete(url)


def test_objects_have_the_asked_size():
    store = made(rbd_store_chunk_size=2)
    url = store.put("small-objects", [b"x"])
    assert cluster.info("small-objects")["object_size"] == 2 * MIB
    assert store.properties["chunk_size"] == 2 * MIB
    store.delete(url)
    store.close()


def test_many_transfers_share_one_connection(store):
    data = os.urandom(3 * MIB)
    with ThreadPoolExecutor(6) as pool:
        urls = list(pool.map(lambda n: store.put(f"parallel-{n}", [data]), range(12)))
        assert all(x == data for x in pool.map(lambda url: b"".join(store.open(url)), urls))
        list(pool.map(store.delete, urls))


@pytest.mark.parametrize(
    "url",
    [
        "rbd://{fsid}/images/{key}",
        "rbd://{fsid}/vms/{key}/snap",
        "rbd://{fsid}/images/{key}/backup",
        "rbd://other/images/{key}/snap",
        "rbd://{key}",
        "rbd://{fsid}/images/%6bept/snap",
        "rbd://{fsid}/images/a/b/snap",
        "rbd://{fsid}/images//snap",
    ],
)
def test_only_its_own_locations_are_read(store, url):
    kept = store.put("kept", [b"x"])
    with pytest.raises(errors.BadLocation):
        store.open(url.format(fsid=store.properties["fsid"], key="kept"))
    store.delete(kept)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rbd_store_ceph_conf": "/nowhere/ceph.conf"}, ["[kit] rbd_store_ceph_conf", "/nowhere/ceph.conf"]),
        ({"rbd_store_pool": "imagse"}, ["[kit] rbd_store_pool", "imagse", "rbd pool init"]),
        ({"rbd_store_chunk_size": 3}, ["[kit] rbd_store_chunk_size", "power of two"]),
    ],
)
def test_wrong_settings_are_named(options, words):
    with pytest.raises(errors.ConfigError) as told:
        made(**options)
    assert all(word in str(told.value) for word in words), told.value


def test_an_unknown_user_is_named():
    with pytest.raises(errors.StoreForbidden, match=r"\[kit\] rbd_store_user = nobody: .*keyring"):
        made(rbd_store_user="nobody")


def test_a_user_without_rights_is_refused(tmp_path):
    conf, name = cluster.user(tmp_path, "mon", "allow r")
    try:
        store = made(rbd_store_ceph_conf=conf, rbd_store_user=name)
        with pytest.raises(errors.StoreForbidden):
            store.put("x", [b"x"])
        store.close()
    finally:
        cluster.ceph("ceph", "auth", "del", f"client.{name}")


def test_a_cluster_whose_data_does_not_answer_is_away(store):
    """Its monitor alone says that all is well."""
    store.ping()
    cluster.freeze("osd")
    try:
        with pytest.raises(errors.StoreUnavailable):
            store.ping()
    finally:
        cluster.thaw()
    store.ping()


def test_without_the_bindings_the_packages_are_named(tmp_path):
    """In an interpreter that does not see them."""
    code = (
        "import sys; sys.modules['rados'] = None\ntry:\n import glancecore_store_rbd.driver\nexcept ImportError as"
        " exc:\n print(exc)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "python3-rados" in told
    assert "python3-rbd" in told
