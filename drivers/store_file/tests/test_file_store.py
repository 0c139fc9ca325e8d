"""What only a file store does; the rest is the kit's."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from glancecore_store_file import driver, options, timeouts
from glancecore_store_file.driver import FileStore
from glancecore_store_file.folder import BLOCK, data_runs
from glancecore_store_file.reader import Reader
from glancecore_store_file.trouble import store_error

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, Cap
from glancecore.testing.store import make_store

from .conftest import nobody, run

MIB = 1 << 20


def at(folder, **settings):
    return make_store(FileStore, filesystem_store_datadir=str(folder), **settings)


def names(folder):
    return sorted(entry.name for entry in Path(folder).iterdir())


# -- settings --------------------------------------------------------------------------------------
def test_folder_is_made_when_its_parent_exists(tmp_path):
    at(tmp_path / "new")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadir: .*/absent does not exist: make it"):
        at(tmp_path / "absent" / "new")


def test_what_is_no_folder_is_a_config_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadir: .* is not a folder"):
            at(path)


def test_folder_without_permission_is_a_config_error(open_folder):
    (open_folder / "roots").mkdir(0o755)
    with nobody():
        with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadir: user 65534 may not write to .*chown"):
            at(open_folder / "roots")
        with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadir: user 65534 may not make .*chown"):
            at(open_folder / "new")


def test_read_only_file_system_is_a_config_error(mount):
    folder = mount("tmpfs", "ro")
    with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadir: .* read-only"):
        at(folder)
    with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadir: .* read-only"):
        at(folder / "new")


@pytest.mark.parametrize("path", ["images", "./images", ""])
def test_relative_folder_is_a_config_error(path):
    with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadir = .*whole path"):
        at(path)


def test_one_folder_twice_is_a_config_error(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(errors.ConfigError, match=r"filesystem_store_datadirs names one folder twice"):
        make_store(FileStore, filesystem_store_datadirs=[str(tmp_path), f"{tmp_path}/link:5"])


@pytest.mark.parametrize("text", ["640", "0240", "07777", "rw-r--r--", "-1", "0o"])
def test_permissions_that_make_no_sense_are_a_config_error(tmp_path, text):
    with pytest.raises(errors.ConfigError, match=r"filesystem_store_file_perm = .* such as 0640"):
        at(tmp_path, filesystem_store_file_perm=text)


@pytest.mark.parametrize(("text", "mode"), [("0640", 0o640), ("0o604", 0o604), ("416", 0o640), ("0", 0o644)])
def test_permissions_of_new_files(tmp_path, text, mode):
    before = os.umask(0o022)
    try:
        store = at(tmp_path / "store", filesystem_store_file_perm=text)
        store.put("written", [b"x"])
        (tmp_path / "ready").write_bytes(b"x")
        store.adopt("adopted", tmp_path / "ready")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "store" / "written").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "store" / "adopted").stat().st_mode) == mode


def test_place_is_the_folder_under_any_name(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert at(tmp_path / "real").place == at(tmp_path / "link").place
    assert (
        at(tmp_path / "real").place
        == make_store(FileStore, filesystem_store_datadirs=[f"{tmp_path}/real/../real:9"]).place
    )
    assert at(tmp_path / "real").place != at(tmp_path / "other").place


def test_properties_are_those_of_glance(tmp_path):
    assert at(tmp_path).properties == {"data_dir": str(tmp_path), "chunk_size": CHUNK, "thin_provisioning": False}
    assert make_store(FileStore, filesystem_store_datadirs=[f"{tmp_path}/a", f"{tmp_path}/b"]).properties[
        "data_dir"
    ] == [f"{tmp_path}/a", f"{tmp_path}/b"]


def test_options_need_no_driver():
    """Samples are built without what the driver imports."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, glancecore_store_file.options; print('glancecore' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == "False\n"
    assert options.list_opts() == [("file", list(FileStore.options))]


# -- locations -------------------------------------------------------------------------------------
def test_locations_of_glance_are_read(tmp_path):
    """It wrote the folder's name unquoted, and had a second scheme."""
    folder = tmp_path / "a b%41"
    store = at(folder)
    url = store.put("key", [b"x"])
    assert url == f"file://{tmp_path}/a%20b%2541/key"
    for other in (f"file://{folder}/key", f"filesystem://{folder}/key"):
        assert b"".join(store.open(other)) == b"x"


def test_only_regular_files_are_blobs(tmp_path):
    """Whatever somebody puts into the folder, the store reads, lists and removes nothing but images."""
    store = at(tmp_path / "store")
    folder, secret = tmp_path / "store", tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder / "link").symlink_to(secret)
    (folder / "dangling").symlink_to(tmp_path / "nothing")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    (folder / ".hidden").write_bytes(b"x")
    before = names(folder)
    for name in ("link", "dangling", "folder", "fifo", "zero", ".hidden"):
        url = f"file://{folder}/{name}"
        for operation in (store.open, store.size, store.delete, store.local_path):
            with pytest.raises((errors.BadLocation, errors.BlobNotFound)):
                operation(url)
        if not name.startswith("."):
            store.discard(name)
            with pytest.raises(errors.BlobExists):
                store.put(name, [b"x"])
    assert list(store.list()) == []
    assert names(folder) == before
    assert secret.read_bytes() == b"secret"


# -- writing ---------------------------------------------------------------------------------------
@pytest.fixture
def calls(monkeypatch):
    """The order of the calls that make a file durable; they are done, too."""
    seen = []

    def spy(name, function):
        def call(*args, **kwargs):
            kind = "folder" if name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode) else "file"
            result = function(*args, **kwargs)
            seen.append(f"fsync {kind}" if name == "fsync" else name)
            return result

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "link", "unlink"):
        spy(name, getattr(os, name))
    return seen


def test_bytes_are_durable_before_the_name_and_the_name_before_the_return(tmp_path, calls):
    store = at(tmp_path / "store")
    del calls[:]
    url = store.put("key", [b"x"])
    assert calls == ["fsync file", "link", "fsync folder"]
    del calls[:]
    store.delete(url)
    assert calls == ["unlink", "fsync folder"]
    del calls[:]
    (tmp_path / "ready").write_bytes(b"x")
    store.adopt("key", tmp_path / "ready")
    assert calls == ["fsync file", "link", "fsync folder"]
    del calls[:]
    store.discard("key")
    assert calls == ["unlink", "fsync folder"]


def test_put_that_can_not_sync_the_folder_leaves_nothing(tmp_path, monkeypatch):
    store = at(tmp_path)
    real = os.fsync

    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    (tmp_path / "ready").write_bytes(b"x")
    monkeypatch.setattr(os, "fsync", fsync)
    for put in (lambda: store.put("key", [b"x"]), lambda: store.adopt("key", tmp_path / "ready")):
        with pytest.raises(errors.StoreUnavailable):
            put()
        assert names(tmp_path) == ["ready"]


def test_exception_of_the_source_passes_even_when_the_clean_up_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # with a named temporary there is something to clean up
    store = at(tmp_path / "store")

    def source():
        yield b"x"
        (tmp_path / "store" / names(tmp_path / "store")[0]).unlink()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put("key", source())


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_without_locks_parts_wait_elsewhere(tmp_path, monkeypatch, code):
    """As on NFS without its lock daemon: nobody would know who writes."""
    assert Cap.PARTS in at(tmp_path).caps

    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert at(tmp_path).caps == FileStore.caps - {Cap.PARTS}
    assert names(tmp_path) == []


def test_of_two_writers_of_one_key_one_wins(tmp_path):
    """More than the port asks for: a writer that was thought dead can't destroy his successor's work."""
    store = at(tmp_path)
    together = threading.Barrier(8)

    def put(number):
        def source():
            for _ in range(3):
                together.wait()
                yield bytes([number]) * MIB

        try:
            return store.put("key", source())
        except errors.BlobExists:
            return None

    with ThreadPoolExecutor(8) as pool:
        urls = [url for url in pool.map(put, range(8)) if url]
    assert len(urls) == 1
    data = b"".join(store.open(urls[0]))
    assert data in {bytes([number]) * 3 * MIB for number in range(8)}
    assert names(tmp_path) == ["key"]


def test_no_system_call_writes_more_than_one_chunk(tmp_path, monkeypatch):
    """Whatever the size of the pieces: until such a call returns, many kernels give its processor to nobody else."""
    store, sizes, real = at(tmp_path), [], os.pwrite
    data = os.urandom(3 * CHUNK + 5)
    monkeypatch.setattr(os, "pwrite", lambda file, view, offset: sizes.append(len(view)) or real(file, view, offset))
    url = store.put("key", [data])
    assert sizes == [CHUNK, CHUNK, CHUNK, 5]
    assert b"".join(store.open(url)) == data


def test_too_many_bytes_are_not_even_written(tmp_path):
    store = at(tmp_path)
    taken = []

    def source():
        while True:
            taken.append(1)
            yield bytes(MIB)

    with pytest.raises(errors.SizeMismatch):
        store.put("key", source(), 3 * MIB)
    assert len(taken) == 4


def test_full_file_system_is_store_full_and_nothing_is_left(mount):
    folder = mount("tmpfs", "size=4m")
    store = at(folder)
    with pytest.raises(errors.StoreFull):
        store.put("key", (os.urandom(MIB) for _ in range(8)))
    assert names(folder) == []
    with pytest.raises(errors.StoreFull, match="no room"):
        store.put("key", iter(lambda: pytest.fail("the source was read"), None), 8 * MIB)
    store.put("key", (os.urandom(MIB) for _ in range(3)))
    assert at(folder).free() < 2 * MIB


def test_full_store_starts_and_is_read(mount):
    folder = mount("tmpfs", "size=1m")
    url = at(folder).put("key", [os.urandom(MIB - 4096)])
    store = at(folder)
    assert store.size(url) == MIB - 4096
    store.delete(url)


def test_file_larger_than_the_limit_is_store_full(tmp_path):
    """RLIMIT_FSIZE and small file systems: EFBIG."""
    script = (
        "import sys, resource, signal; from glancecore.testing.store import make_store; from"
        " glancecore_store_file.driver import FileStore\nfrom glancecore.domain import"
        " errors\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1"
        " << 20))\nstore = make_store(FileStore, filesystem_store_datadir=sys.argv[1])\ntry: store.put('key', [bytes(1"
        " << 20)] * 2)\nexcept errors.StoreFull: print('full')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "full\n", done.stderr
    assert names(tmp_path) == []


def test_file_system_that_turns_read_only_still_reads(mount):
    """As ext4 does after an I/O error."""
    folder = mount("tmpfs", "size=4m")
    store = at(folder)
    url = store.put("key", [b"kept"])
    run("mount", "-o", "remount,ro", folder)
    for operation in (
        lambda: store.put("other", [b"x"]),
        lambda: store.delete(url),
        lambda: store.discard("key"),
        store.ping,
    ):
        with pytest.raises(errors.StoreForbidden):
            operation()
    assert b"".join(store.open(url)) == b"kept"


def test_folder_that_loses_its_permission_is_forbidden(open_folder):
    store = at(open_folder / "store")
    url = store.put("key", [b"kept"])
    (open_folder / "store" / "key").chmod(0o600)
    with nobody():
        for operation in (lambda: store.put("other", [b"x"]), lambda: store.open(url), lambda: store.delete(url)):
            with pytest.raises(errors.StoreForbidden):
                operation()
    assert b"".join(store.open(url)) == b"kept"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, errors.StoreFull),
        (errno.EDQUOT, errors.StoreFull),
        (errno.EFBIG, errors.StoreFull),
        (errno.EACCES, errors.StoreForbidden),
        (errno.EPERM, errors.StoreForbidden),
        (errno.EROFS, errors.StoreForbidden),
        (errno.EIO, errors.StoreUnavailable),
        (errno.ESTALE, errors.StoreUnavailable),
        (errno.ETIMEDOUT, errors.StoreUnavailable),
        (errno.EMFILE, errors.StoreUnavailable),
        (errno.EEXIST, errors.BlobExists),
    ],
)
def test_error_numbers(number, kind):
    error = store_error(OSError(number, os.strerror(number), "/secret/path"), "fast", "put")
    assert type(error) is kind
    assert (error.store, error.operation) == ("fast", "put")
    assert "/secret" not in str(error)


def test_read_error_is_unavailable():
    """The kernel gives EIO for an address that is not mapped."""
    reader = Reader(timeouts.Direct("fast", "open"), os.open("/proc/self/mem", os.O_RDONLY), 0, 10, 10, "fast")
    with pytest.raises(errors.StoreUnavailable):
        next(reader)
    reader.close()


# -- holes -----------------------------------------------------------------------------------------
def test_runs_of_zeros_become_holes(tmp_path):
    store = at(tmp_path, filesystem_thin_provisioning=True)
    parts = [os.urandom(MIB), bytes(8 * MIB), os.urandom(100), bytes(3 * MIB), os.urandom(MIB), bytes(8 * MIB + 11)]
    data = b"".join(parts)
    url = store.put("thin", (data[start : start + 1_000_003] for start in range(0, len(data), 1_000_003)), len(data))
    assert b"".join(store.open(url)) == data
    status = (tmp_path / "thin").stat()
    assert status.st_size == len(data)
    assert status.st_blocks * 512 < 3 * MIB
    at(tmp_path).put("thick", [data])
    assert (tmp_path / "thick").stat().st_blocks * 512 >= len(data)


@pytest.mark.parametrize("data", [b"", bytes(1), bytes(3 * MIB)], ids=["empty", "one zero", "zeros"])
def test_image_of_zeros_keeps_its_size(tmp_path, data):
    store = at(tmp_path, filesystem_thin_provisioning=True)
    assert b"".join(store.open(store.put("key", [data, b""]))) == data
    assert (tmp_path / "key").stat().st_blocks == 0


def test_data_runs():
    x, zero = b"x" * BLOCK, bytes(BLOCK)
    assert list(data_runs(b"")) == []
    assert list(data_runs(zero + b"\0")) == []
    assert list(data_runs(zero + x + x + zero + b"x")) == [(BLOCK, 3 * BLOCK), (4 * BLOCK, 4 * BLOCK + 1)]
    assert list(data_runs(memoryview(x + zero + bytes(7)))) == [(0, BLOCK)]


# -- several folders -------------------------------------------------------------------------------
def test_image_goes_to_the_highest_priority_that_has_room(mount):
    small, large = mount("tmpfs", "size=2m"), mount("tmpfs", "size=8m")
    store = make_store(FileStore, filesystem_store_datadirs=[f"{large}:100", f"{small}:200"])
    assert store.put("one", [b"x"], 1).startswith(small.as_uri())
    assert store.put("two", [bytes(MIB)] * 3, 3 * MIB).startswith(large.as_uri())
    with pytest.raises(errors.StoreFull):
        store.put("three", [], 20 * MIB)
    with pytest.raises(errors.BlobExists):
        store.put("two", [b"x"])
    assert 5 * MIB < store.free() < 8 * MIB


def test_among_equals_the_emptiest_folder_is_taken(mount):
    small, large = mount("tmpfs", "size=2m"), mount("tmpfs", "size=4m")
    store = make_store(FileStore, filesystem_store_datadirs=[str(small), str(large)])
    assert store.put("one", [os.urandom(3 * MIB)]).startswith(large.as_uri())
    assert store.put("two", [b"x"]).startswith(small.as_uri())


def test_file_is_adopted_where_its_file_system_is(tmp_path, mount):
    far = mount("tmpfs", "size=2m")
    store = make_store(FileStore, filesystem_store_datadirs=[f"{far}:200", f"{tmp_path}/near:100"])
    (tmp_path / "ready").write_bytes(b"data")
    url = store.adopt("key", tmp_path / "ready")
    assert (tmp_path / "near" / "key").samefile(tmp_path / "ready")
    assert b"".join(store.open(url)) == b"data"


def test_adopt_that_can_not_link_is_unsupported(tmp_path, mount):
    store = at(tmp_path / "store")
    elsewhere = mount("tmpfs", "size=2m") / "ready"
    elsewhere.write_bytes(b"data")
    (tmp_path / "link").symlink_to(elsewhere)
    for path in (elsewhere, tmp_path / "link", tmp_path / "store", Path("/dev/zero")):
        with pytest.raises(errors.Unsupported):
            store.adopt("key", path)
    assert names(tmp_path / "store") == []


# -- a disk that is away, or hangs -----------------------------------------------------------------
def test_unmounted_disk_is_unavailable_and_not_empty(mount):
    """Without its disk the folder is there and empty: images are not lost, and new ones must not go to the disk
    below."""
    folder = mount("tmpfs", "size=2m")
    store = at(folder)
    url = store.put("key", [b"x"])
    run("umount", folder)
    for operation in (
        store.ping,
        lambda: store.open(url),
        lambda: store.size(url),
        lambda: store.put("other", [b"x"]),
        lambda: store.discard("key"),
        lambda: list(store.list()),
    ):
        with pytest.raises(errors.StoreUnavailable):
            operation()
    assert names(folder) == []


@pytest.fixture
def disk(tmp_path, mount):
    """An ext4 of its own, which can be frozen: whoever writes then, hangs in the kernel."""
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    run("mkfs.ext4", "-q", image)
    folder = mount("ext4", "loop", image)
    (folder / "lost+found").rmdir()
    yield folder
    subprocess.run(["fsfreeze", "-u", folder], check=False, capture_output=True)


def test_file_system_that_hangs_is_unavailable(disk):
    """The caller goes on after the timeout; the transfer that he gave up is cleaned up when the disk is back."""
    store = at(disk, filesystem_store_timeout=0.5)
    url = store.put("kept", [b"x"])

    def source():
        yield os.urandom(MIB)
        run("fsfreeze", "-f", disk)
        yield os.urandom(MIB)

    with pytest.raises(errors.StoreUnavailable, match=r"did not answer within 0.5 s"):
        store.put("key", source())
    with pytest.raises(errors.StoreUnavailable):
        store.delete(url)
    run("fsfreeze", "-u", disk)
    deadline = time.monotonic() + 10
    while any(thread.name == "store-kit" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread is left"
        time.sleep(0.05)
    assert names(disk) in ([], ["kept"])  # the delete may have happened in the end
    store.put("key", [b"x"])


def test_too_many_hanging_operations_are_refused_at_once(disk, monkeypatch):
    monkeypatch.setattr(timeouts, "MAX_STUCK", 2)
    store = at(disk, filesystem_store_timeout=0.2)
    run("fsfreeze", "-f", disk)
    for _ in range(2):
        with pytest.raises(errors.StoreUnavailable, match="within"):
            store.put("key", [b"x"])
    with pytest.raises(errors.StoreUnavailable, match="does not answer"):
        store.put("key", [b"x"])
    run("fsfreeze", "-u", disk)
    deadline = time.monotonic() + 10
    while True:
        try:
            store.put("again", [b"x"])
        except errors.StoreUnavailable:
            assert time.monotonic() < deadline, "the store does not recover"
            time.sleep(0.05)
        else:
            break
    assert "key" not in names(disk)


def test_ping_has_a_timeout_of_its_own(tmp_path):
    assert at(tmp_path)._ping.seconds == driver.PING_SECONDS < 5
    assert at(tmp_path, filesystem_store_timeout=60)._ping.seconds == driver.PING_SECONDS
