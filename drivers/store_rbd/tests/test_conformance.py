import subprocess
from urllib.parse import unquote

import pytest
from glancecore_store_rbd.driver import RbdStore

from glancecore.ports.store import MARKER
from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store

from . import cluster


class PoolBackdoor(Backdoor):
    def read(self, url):
        _, _, _, pool, image, _ = url.split("/")
        try:
            return cluster.rbd("export", "--no-progress", f"{unquote(pool)}/{unquote(image)}@snap", "-")
        except subprocess.CalledProcessError as exc:
            if exc.returncode != 2:  # no such file
                raise
            return None

    def names(self):
        return cluster.objects(cluster.POOL)

    def unmark(self):
        cluster.remove(cluster.POOL, MARKER)

    def break_(self):
        cluster.freeze()

    def mend(self):
        cluster.thaw()


class TestRbdStore(StoreConformance):
    reach = frozenset({Reach.PROCESSES, Reach.BREAK})
    threads, rounds, many, repeats, examples, steps = 6, 2, 6, 10, 8, 12
    huge = 128 << 20

    @pytest.fixture
    def store(self):
        return make_store(RbdStore, rbd_store_ceph_conf=cluster.CONF, rados_operation_timeout=3)

    @pytest.fixture
    def neighbour(self):
        return make_store(RbdStore, "other", rbd_store_ceph_conf=cluster.CONF, rbd_store_pool="vms")

    @pytest.fixture
    def backdoor(self):
        return PoolBackdoor()
