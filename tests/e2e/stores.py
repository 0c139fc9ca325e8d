"""The stores on their real backends, for tests of the whole service: how each is configured, and how its backend is
taken away."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lab

Options = dict[str, object]


@dataclass(frozen=True)
class Remote:
    """``options`` of the store's section, made for one test (``folder`` is its own). ``away``: while it is entered, the
    backend does not answer; None for a backend that can't be taken away. ``timeouts``: options that make the driver
    give up soon."""

    driver: str
    options: Callable[[Path], Options]
    away: Callable[[], Iterator[None]] | None = None
    #: Damages the stored data of a key, at the byte 1000, behind the driver's back; it is handed the store's options.
    rot: Callable[[Options, str], None] | None = None


def flip(path: Path, at: int = 1000) -> None:
    """One bit of a file rots."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def _flipped(data: bytes) -> bytes:
    return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]


def _rot_file(options: Options, key: str) -> None:
    flip(Path(str(options["filesystem_store_datadir"]), key))


def _rot_swift(options: Options, key: str) -> None:
    """Swift's own client puts other bytes in their place."""
    import swiftclient

    connection = swiftclient.Connection(
        options["swift_store_auth_address"], options["swift_store_user"], options["swift_store_key"]
    )
    try:
        _, data = connection.get_object(options["swift_store_container"], key)
        connection.put_object(options["swift_store_container"], key, _flipped(data))
    finally:
        connection.close()


def _rot_s3(options: Options, key: str) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=str(options["s3_store_host"]),
        aws_access_key_id=options["s3_store_access_key"],
        aws_secret_access_key=options["s3_store_secret_key"],
        region_name="us-east-1",
    )
    data = client.get_object(Bucket=options["s3_store_bucket"], Key=key)["Body"].read()
    client.put_object(Bucket=options["s3_store_bucket"], Key=key, Body=_flipped(data))


def _rot_rbd(options: Options, key: str) -> None:
    """The object that holds the image's first bytes is rewritten without regard to the snapshot: as if the disk had
    changed it."""
    environment = {**os.environ, "CEPH_CONF": str(options["rbd_store_ceph_conf"])}
    pool = str(options["rbd_store_pool"])

    def run(*command: str) -> bytes:
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    about = json.loads(run("rbd", "--pool", pool, "info", key, "--format", "json"))
    first = f"{about['block_name_prefix']}.{0:016x}"
    with tempfile.NamedTemporaryFile() as file:
        run("rados", "--pool", pool, "get", first, file.name)
        flip(Path(file.name))
        run("rados", "--pool", pool, "put", first, file.name)


def _rot_vmware(options: Options, key: str) -> None:
    center, name = str(options["vmware_datastores"]).split(":")
    [datastore] = (lab.LAB / "vcsim" / "datastores").glob(f"govcsim-{center}-{name}-*")
    [found] = (datastore / str(options["vmware_store_image_dir"]).strip("/")).rglob(key)
    flip(found)


def _pids(*files: str) -> list[int]:
    return [int(x.read_text().split()[0]) for pattern in files for x in sorted(lab.LAB.glob(pattern))]


@contextmanager
def frozen_ceph() -> Iterator[None]:
    try:
        with frozen("ceph/pid/mon.pid", "ceph/pid/osd.*.pid"):
            yield
    finally:  # also when the transfer that we break has ended before us
        lab.up("ceph", CEPH_THAWED="1")  # waits until all of it answers again


@contextmanager
def frozen(*files: str) -> Iterator[None]:
    """The processes of these pid files hang, as on a machine that is gone: nothing is refused, nothing is answered."""
    pids = _pids(*files)
    assert pids
    lab.freeze(*pids)
    try:
        yield
    finally:
        lab.thaw(*pids)


def _rbd(_: Path) -> Options:
    lab.ceph_bindings()
    ceph = lab.backend("ceph").settings
    return {
        "rbd_store_ceph_conf": ceph["CEPH_CONF"],
        "rbd_store_user": ceph["CEPH_USER"],
        "rbd_store_pool": ceph["CEPH_POOL"],
        "rados_operation_timeout": 5,
    }


def _vmware(_: Path) -> Options:
    vcenter = lab.backend("vcsim")
    return {
        "vmware_server_host": vcenter.url.removeprefix("https://").removesuffix("/sdk"),
        "vmware_server_username": vcenter.settings["VCSIM_USER"],
        "vmware_server_password": vcenter.settings["VCSIM_PASSWORD"],
        "vmware_ca_file": vcenter.settings["VCSIM_CA"],
        "vmware_datastores": "DC0:LocalDS_0",
        "vmware_http_timeout": 5,
        "vmware_task_poll_interval": 0.01,
        "vmware_store_image_dir": f"/{os.urandom(4).hex()}",
    }


def _swift(_: Path) -> Options:
    swift = lab.backend("swift")
    return {
        "swift_store_auth_version": "1",
        "swift_store_auth_address": swift.url,
        "swift_store_user": swift.settings["SWIFT_USER"],
        "swift_store_key": swift.settings["SWIFT_KEY"],
        "swift_store_container": f"e2e-{os.urandom(4).hex()}",
        "swift_store_create_container_on_put": True,
        "swift_store_large_object_size": 100,
        "swift_store_large_object_chunk_size": 50,
        "swift_store_timeout": 4,
        "swift_store_retry_put_count": 1,
        "swift_store_retry_get_count": 1,
        "swift_store_temp_url_key": "signs-urls",
    }


def _s3(_: Path) -> Options:
    gateway = lab.backend("rgw")
    return {
        "s3_store_host": gateway.url,
        "s3_store_access_key": gateway.settings["S3_ACCESS_KEY"],
        "s3_store_secret_key": gateway.settings["S3_SECRET_KEY"],
        "s3_store_bucket": f"e2e-{os.urandom(4).hex()}",
        "s3_store_create_bucket_on_put": True,
        "s3_store_bucket_url_format": "path",
        "s3_store_large_object_size": 50,
        "s3_store_timeout": 4,
        "s3_store_retries": 1,
    }


REMOTES = {
    "swift": Remote("swift", _swift, lambda: frozen("swift/*.pid"), _rot_swift),
    "s3": Remote("s3", _s3, lambda: frozen("ceph/pid/rgw.pid"), _rot_s3),
    "file": Remote("file", lambda folder: {"filesystem_store_datadir": folder / "remote"}, rot=_rot_file),
    "rbd": Remote("rbd", _rbd, frozen_ceph, _rot_rbd),
    "vmware": Remote("vmware", _vmware, lambda: frozen("vcsim/server.pid"), _rot_vmware),
}
