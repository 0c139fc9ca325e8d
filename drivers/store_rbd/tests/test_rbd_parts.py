"""Images that grow by parts: who writes last, what the finished image is like, and what it needs."""

import json
import os
import threading
from uuid import uuid4

import lab
import pytest
from glancecore_store_rbd import cluster as cluster_module
from glancecore_store_rbd import growing
from glancecore_store_rbd.cluster import Cluster
from glancecore_store_rbd.driver import SNAPSHOT, RbdStore
from glancecore_store_rbd.transfer import GROW

from glancecore.domain import errors
from glancecore.ports.store import Cap, StoredPart
from glancecore.testing.store import make_store

from . import cluster, writing

MIB = 1 << 20
OPTIONS = {"rbd_store_ceph_conf": cluster.CONF, "rados_operation_timeout": 20}
#: Longer than it takes to freeze who writes it.
LONG = 256 * MIB


@pytest.fixture
def store():
    before = cluster.objects(cluster.POOL)
    store = make_store(RbdStore, **OPTIONS)
    yield store
    store.close()
    assert cluster.objects(cluster.POOL) == before


def begun(store, *parts):
    """The key, the handle, and these parts, which have come."""
    key = f"grows-{uuid4().hex[:8]}"
    handle = store.begin_parts(None, key)
    found = []
    for data in parts:
        store.put_part(key, handle, len(found), sum(x.size for x in found), [data])
        found.append(StoredPart(len(found), len(data)))
    return key, handle, found


def all_of(store, url):
    return b"".join(store.open(url))


def test_a_frozen_writer_that_was_overtaken_changes_nothing(store):
    """It wakes up when the image is complete, with eight requests in its hands, and goes on."""
    first, second, third = os.urandom(MIB), os.urandom(3 * MIB), os.urandom(MIB + 7)
    key, handle, parts = begun(store, first)
    with writing.written(options=OPTIONS, key=key, handle=handle, number=1, offset=MIB, size=LONG) as older:
        lab.freeze(older.pid)
        store.put_part(key, handle, 2, MIB, [second])
        store.put_part(key, handle, 3, 4 * MIB, [third])
        url = store.complete_parts(key, handle, [*parts, StoredPart(2, len(second)), StoredPart(3, len(third))])
        assert all_of(store, url) == first + second + third
        lab.thaw(older.pid)
        assert older.stdout.read() == "BlobInUse\n"
    assert all_of(store, url) == first + second + third
    assert cluster.rbd("export", "--no-progress", key, "-") == first + second + third, "nor behind the snapshot"
    store.delete(url)


def test_nothing_is_left_of_a_frozen_writer_whose_parts_were_discarded(store):
    key, handle, _ = begun(store, b"first")
    with writing.written(options=OPTIONS, key=key, handle=handle, number=1, offset=5, size=LONG) as older:
        lab.freeze(older.pid)
        store.discard(key)
        lab.thaw(older.pid)
        assert older.stdout.read() == "BlobNotFound\n"


def test_a_frozen_writer_wakes_up_to_a_new_image_of_its_key(store):
    key, handle, _ = begun(store)
    with writing.written(options=OPTIONS, key=key, handle=handle, number=0, offset=0, size=LONG) as older:
        lab.freeze(older.pid)
        store.discard(key)
        other = store.begin_parts(None, key)
        assert other != handle
        store.put_part(key, other, 0, 0, [b"other"])
        lab.thaw(older.pid)
        assert older.stdout.read() == "BlobNotFound\n"
    url = store.complete_parts(key, other, [StoredPart(0, 5)])
    assert all_of(store, url) == b"other"
    store.delete(url)


def test_who_is_overtaken_disturbs_nobody_else_in_its_process(store):
    """Each part has a connection of its own, which alone is shut out."""
    key, handle, _ = begun(store)
    middle, over, told = threading.Event(), threading.Event(), []

    def slow():
        yield os.urandom(MIB)
        middle.set()
        over.wait()
        yield os.urandom(9 * MIB)

    def older():
        try:
            store.put_part(key, handle, 0, 0, slow())
        except errors.StoreError as exc:
            told.append(type(exc))

    def beside():
        yield b"b" * MIB
        store.put_part(key, handle, 1, 0, [b"newer"])
        over.set()
        thread.join()
        yield b"c" * MIB

    thread = threading.Thread(target=older)
    thread.start()
    assert middle.wait(60)
    try:
        url = store.put(f"{key}-beside", beside())
    finally:
        over.set()
    assert told == [errors.BlobInUse]
    assert all_of(store, url) == b"b" * MIB + b"c" * MIB
    store.delete(url)
    with pytest.raises(errors.BlobInUse):
        store.put_part(key, handle, 0, 0, [b"smaller"])
    url = store.complete_parts(key, handle, [StoredPart(1, 5)])
    assert all_of(store, url) == b"newer"
    store.delete(url)


def test_a_writer_that_slept_for_long_looks_whose_turn_it_is(store, monkeypatch):
    """The cluster shuts it out for a time only."""
    monkeypatch.setattr(growing, "_LOOK", 0)
    monkeypatch.setattr(growing.Connection, "shut_out", lambda *_: None)
    key, handle, _ = begun(store)

    def slow():
        yield b"o" * MIB
        store.put_part(key, handle, 1, 0, [b"newer"])
        yield b"old" * MIB

    with pytest.raises(errors.BlobInUse):
        store.put_part(key, handle, 0, 0, slow())
    url = store.complete_parts(key, handle, [StoredPart(1, 5)])
    assert all_of(store, url) == b"newer"
    store.delete(url)


def test_the_finished_image_is_like_any_other(store):
    data = os.urandom(GROW + 2 * MIB + 5)
    key, handle, parts = begun(store, data[:7], data[7:])
    url = store.complete_parts(key, handle, parts)
    other = store.put(f"{key}-other", [data])
    found, wanted = cluster.info(key), cluster.info(f"{key}-other")
    for each in (found, wanted):
        for name in ("name", "id", "block_name_prefix", "create_timestamp", "access_timestamp", "modify_timestamp"):
            del each[name]
    assert found == wanted
    assert [x.partition("_0")[0] for x in header(key)] == [x.partition("_0")[0] for x in header(f"{key}-other")]
    assert snapshot(key) == snapshot(f"{key}-other") == (SNAPSHOT, len(data), "true")
    for each in (url, other):
        store.delete(each)


def snapshot(name):
    [found] = json.loads(cluster.rbd("snap", "ls", name, "--format", "json"))
    return found["name"], found["size"], found["protected"]


def header(name):
    """What RBD's header of an image says."""
    import rados
    import rbd

    with cluster.administrator().open_ioctx(cluster.POOL) as pool, rados.ReadOpCtx() as operation:
        with rbd.Image(pool, name, read_only=True) as image:
            number = image.id()
        found, _ = pool.get_omap_vals(operation, "", "", 1000)
        pool.operate_read_op(operation, f"rbd_header.{number}")
        return dict(found)


def test_who_died_between_the_snapshot_and_its_protection_is_made_good(store):
    key, handle, parts = begun(store, b"all")
    cluster.rbd("snap", "create", f"{key}@{SNAPSHOT}", "--no-progress")
    url = store.complete_parts(key, handle, parts)
    assert snapshot(key) == (SNAPSHOT, 3, "true")
    assert all_of(store, url) == b"all"
    assert growing._KEY not in header(key)
    with pytest.raises(errors.SizeMismatch):
        store.complete_parts(key, handle, [StoredPart(0, 4)])
    store.delete(url)


def test_who_died_while_parts_were_discarded_can_not_be_completed(store):
    """Some of the data may have gone."""
    key, handle, parts = begun(store, b"all")
    with store._cluster.pool() as pool:
        growing.end(store._cluster.connection, pool, handle)
    with pytest.raises(errors.BlobNotFound):
        store.complete_parts(key, handle, parts)
    with pytest.raises(errors.BlobNotFound):
        store.open_parts(key, handle, parts)
    handle = store.begin_parts(None, key)
    store.put_part(key, handle, 0, 0, [b"again"])
    store.delete(store.complete_parts(key, handle, [StoredPart(0, 5)]))


def test_zeros_of_parts_take_no_space_when_thin_and_are_zeros_where_something_failed():
    before = cluster.objects(cluster.POOL)
    store = make_store(RbdStore, **OPTIONS, rbd_thin_provisioning=True, rbd_store_chunk_size=4)
    key, handle, parts = begun(store, b"a" * MIB)

    def broken():
        yield b"x" * 40 * MIB
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put_part(key, handle, 1, MIB, broken())
    store.put_part(key, handle, 2, MIB, [bytes(39 * MIB), b"b"])
    url = store.complete_parts(key, handle, [*parts, StoredPart(2, 39 * MIB + 1)])
    assert all_of(store, url) == b"a" * MIB + bytes(39 * MIB) + b"b"
    assert len({x for x in cluster.objects(cluster.POOL) - before if x.startswith("rbd_data.")}) == 2
    store.delete(url)
    store.close()


def test_an_upload_that_grows_is_not_deleted_by_its_location(store):
    key, handle, parts = begun(store, b"all")
    with pytest.raises(errors.BlobNotFound):
        store.delete(store._url(key))
    url = store.complete_parts(key, handle, parts)
    assert url == store._url(key)
    store.delete(url)


def test_who_sends_nothing_shuts_out_nobody_and_has_no_connection(store, monkeypatch):
    """A member with slow clients costs the cluster nothing that others pay as well."""
    apart, connected = Cluster.apart, []

    def seen(*words):
        connected.append(words)
        return apart(*words)

    monkeypatch.setattr(Cluster, "apart", seen)
    key, handle, _ = begun(store)
    waits, end = threading.Event(), threading.Event()

    def silent():
        yield b"x"
        waits.set()
        end.wait()
        raise ConnectionResetError

    def older():
        with pytest.raises(ConnectionResetError):
            store.put_part(key, handle, 0, 0, silent())

    thread = threading.Thread(target=older)
    thread.start()
    assert waits.wait(60)
    try:
        assert connected == []
        store.put_part(key, handle, 1, 0, [b"newer"])
    finally:
        end.set()
        thread.join()
    assert len(connected) == 1
    store.delete(store.complete_parts(key, handle, [StoredPart(1, 5)]))


def test_there_is_an_end_to_connections(store, monkeypatch):
    monkeypatch.setattr(cluster_module, "PATIENCE", 0.1)
    store._cluster._apart = threading.BoundedSemaphore(1)
    key, handle, _ = begun(store)

    def beside():
        yield b"x" * MIB
        with pytest.raises(errors.StoreUnavailable, match="written at once already"):
            store.put_part(key, handle, 1, 0, [b"newer"])
        yield b"y"

    store.put_part(key, handle, 0, 0, beside())
    store.delete(store.complete_parts(key, handle, [StoredPart(0, MIB + 1)]))


def test_a_part_that_failed_shuts_out_nobody(store, monkeypatch):
    """A client of ours can't fill the cluster's list of clients that are shut out."""
    shut = []
    monkeypatch.setattr(growing.Connection, "shut_out", lambda *words: shut.append(words))
    key, handle, _ = begun(store)

    def broken():
        yield b"x" * 3 * MIB
        raise ConnectionResetError

    for number in range(3):
        with pytest.raises(ConnectionResetError):
            store.put_part(key, handle, number, 0, broken())
    store.put_part(key, handle, 3, 0, [b"all"])
    store.delete(store.complete_parts(key, handle, [StoredPart(3, 3)]))
    assert shut == []


def test_a_user_who_may_not_shut_out_others_takes_no_parts(tmp_path, caplog):
    """And the operator is told what is missing."""
    conf, name = cluster.user(tmp_path, "mon", "allow r", "osd", f"allow rwx pool={cluster.POOL}")
    try:
        store = make_store(RbdStore, **{**OPTIONS, "rbd_store_ceph_conf": conf}, rbd_store_user=name)
        assert store.caps == RbdStore.caps - {Cap.PARTS}
        assert f"the Ceph user {name} lacks the cap mon 'profile rbd'" in caplog.text
        store.close()
    finally:
        cluster.ceph("ceph", "auth", "del", f"client.{name}")
