"""The store kit, on a real Swift: with Swift's own login and with Keystone's, in whole objects, in segments, in many
containers."""

import pytest
from glancecore_store_swift.driver import SwiftStore
from glancecore_store_swift.uploads import SMALL
from oslo_config import cfg
from swiftclient import ClientException

from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store

from .proxy import Room


class SwiftBackdoor(Backdoor):
    """Asks another proxy server, with another client."""

    def __init__(self, proxy, room):
        self.proxy, self.room = proxy, room

    def read(self, url):
        try:
            return self.room.client.get_object(*url.split("/")[-2:])[1]
        except ClientException as exc:
            if exc.http_status == 404:
                return None
            raise

    def names(self):
        return self.room.names()

    def cut(self, url, size):
        self.room.client.put_object(*url.split("/")[-2:], self.read(url)[:size])

    def break_(self):
        self.proxy.kill()

    def mend(self):
        self.proxy.start()


class OnSwift(StoreConformance):
    reach = frozenset(Reach)
    # a request takes Swift 10 to 50 ms on one machine
    threads, rounds, examples, steps, repeats = 8, 2, 8, 20, 10
    huge = 96 << 20
    version = "1"
    settings = {}

    @pytest.fixture
    def store(self, proxy, container):
        return make_store(SwiftStore, swift_store_container=container, **self.options(proxy))

    @pytest.fixture
    def neighbour(self, proxy, container):
        return make_store(SwiftStore, "other", swift_store_container=f"{container}-other", **self.options(proxy))

    @pytest.fixture
    def backdoor(self, proxy, container):
        return SwiftBackdoor(proxy, Room(proxy.client(self.version), container))

    def options(self, proxy):
        return proxy.version_one(swift_store_create_container_on_put=True, swift_store_timeout=10, **self.settings)


class TestSegments(OnSwift):
    """Everything above 1 MiB in segments of that size."""

    settings = {"swift_store_large_object_size": 1, "swift_store_large_object_chunk_size": 1}


class TestWholeObjectsWithKeystone(OnSwift):
    """Up to 5 GiB in one object when the size is known, as the options come; in one of 256 containers."""

    version = "3"
    big = SMALL + (1 << 20) + 7

    @pytest.fixture
    def proxy(self, proxy_v3):
        return proxy_v3

    def options(self, proxy):
        account = proxy.client("3").get_auth()[0].rpartition("/")[2]
        return proxy.keystone(
            swift_store_endpoint=f"{proxy.url}/v1/{account}",
            swift_store_create_container_on_put=True,
            swift_store_timeout=10,
            swift_store_multiple_containers_seed=2,
        )


class OwnerBackdoor(SwiftBackdoor):
    """Containers count, too: they go with their images."""

    def names(self):
        return super().names() | set(self.room.containers())


class OwnedStore(SwiftStore):
    """Whose images all belong to one project, so that the kit tests what it does in another account."""

    def put(self, key, chunks, size=None):
        return self.put_for(self.conf.kit_owner, key, chunks, size)

    def discard(self, key):
        self.discard_for(self.conf.kit_owner, key)


OwnedStore.options = [*SwiftStore.options, cfg.StrOpt("kit_owner", help="The project.")]


class TestOwners(OnSwift):
    """Each image in a container of its own, in the account of another project; in segments. What is away is so in
    whichever container."""

    reach = frozenset(Reach) - {Reach.BREAK}

    @pytest.fixture
    def proxy(self, proxy_v3):
        return proxy_v3

    @pytest.fixture
    def store(self, proxy, container):
        return make_store(OwnedStore, swift_store_container=container, **self.options(proxy))

    @pytest.fixture
    def neighbour(self, proxy, container):
        return make_store(OwnedStore, "other", swift_store_container=f"{container}-other", **self.options(proxy))

    @pytest.fixture
    def backdoor(self, proxy, container):
        return OwnerBackdoor(proxy, Room(proxy.client("3", "demo"), container))

    def options(self, proxy):
        account, demo = (proxy.client("3", who).get_auth()[0].rpartition("/")[2] for who in ("", "demo"))
        return proxy.keystone(
            swift_store_endpoint=f"{proxy.url}/v1/{account}",
            swift_store_create_container_on_put=True,
            swift_store_timeout=10,
            swift_store_multi_tenant=True,
            kit_owner=demo.removeprefix("KEY_"),
            swift_store_large_object_size=1,
            swift_store_large_object_chunk_size=1,
        )
