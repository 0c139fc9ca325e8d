"""The stores on their real backends, for tests of the whole service: how each is configured, and how its backend is taken away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lab

Options = dict[str, object]


@dataclass(frozen=True)
class Remote:
    """``options`` of the store's section, made for one test (``folder`` is its own). ``away``: while it is entered, the backend does not
    answer; None for a backend that can't be taken away. ``timeouts``: options that make the driver give up soon."""

    driver: str
    options: Callable[[Path], Options]
    away: Callable[[], Iterator[None]] | None = None


def _pids(*files: str) -> list[int]:
    return [int(x.read_text().split()[0]) for pattern in files for x in sorted(lab.LAB.glob(pattern))]


@contextmanager
def frozen(*files: str) -> Iterator[None]:
    """The processes of these pid files hang, as on a machine that is gone: nothing is refused, nothing is answered."""
    pids = _pids(*files)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _rbd(_: Path) -> Options:
    lab.ceph_bindings()
    ceph = lab.backend("ceph").settings
    return {"rbd_store_ceph_conf": ceph["CEPH_CONF"], "rbd_store_user": ceph["CEPH_USER"], "rbd_store_pool": ceph["CEPH_POOL"],
            "rados_operation_timeout": 5}


def _vmware(_: Path) -> Options:
    vcenter = lab.backend("vcsim")
    return {"vmware_server_host": vcenter.url.removeprefix("https://").removesuffix("/sdk"), "vmware_server_username": vcenter.settings["VCSIM_USER"],
            "vmware_server_password": vcenter.settings["VCSIM_PASSWORD"], "vmware_ca_file": vcenter.settings["VCSIM_CA"],
            "vmware_datastores": "DC0:LocalDS_0", "vmware_http_timeout": 5, "vmware_task_poll_interval": 0.01,
            "vmware_store_image_dir": f"/{os.urandom(4).hex()}"}


def _swift(_: Path) -> Options:
    swift = lab.backend("swift")
    return {"swift_store_auth_version": "1", "swift_store_auth_address": swift.url, "swift_store_user": swift.settings["SWIFT_USER"],
            "swift_store_key": swift.settings["SWIFT_KEY"], "swift_store_container": f"e2e-{os.urandom(4).hex()}",
            "swift_store_create_container_on_put": True, "swift_store_large_object_size": 100, "swift_store_large_object_chunk_size": 50,
            "swift_store_timeout": 4, "swift_store_retry_put_count": 1, "swift_store_retry_get_count": 1, "swift_store_temp_url_key": "signs-urls"}


def _s3(_: Path) -> Options:
    gateway = lab.backend("rgw")
    return {"s3_store_host": gateway.url, "s3_store_access_key": gateway.settings["S3_ACCESS_KEY"], "s3_store_secret_key": gateway.settings["S3_SECRET_KEY"],
            "s3_store_bucket": f"e2e-{os.urandom(4).hex()}", "s3_store_create_bucket_on_put": True, "s3_store_bucket_url_format": "path",
            "s3_store_large_object_size": 50, "s3_store_timeout": 4, "s3_store_retries": 1}


REMOTES = {
    "swift": Remote("swift", _swift, lambda: frozen("swift/*.pid")),
    "s3": Remote("s3", _s3, lambda: frozen("ceph/pid/rgw.pid")),
    "file": Remote("file", lambda folder: {"filesystem_store_datadir": folder / "remote"}),
    "rbd": Remote("rbd", _rbd, lambda: frozen("ceph/pid/mon.pid", "ceph/pid/osd.*.pid")),
    "vmware": Remote("vmware", _vmware, lambda: frozen("vcsim/server.pid")),
}
