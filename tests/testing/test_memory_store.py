from uuid import uuid4

import pytest

from glancecore.testing.memory_store import _ROOMS, MemoryStore
from glancecore.testing.store import Backdoor, StoreConformance, make_store

pytestmark = pytest.mark.long


class RoomBackdoor(Backdoor):
    def __init__(self, place):
        self.room = _ROOMS[place]

    def read(self, url):
        blob = self.room.blobs.get(url.rpartition("/")[2])
        return blob and blob[0]

    def names(self):
        return set(self.room.blobs)


class TestMemoryStore(StoreConformance):
    reach = frozenset()  # its data is this process's memory: no rule about other processes or constant memory

    @pytest.fixture
    def store(self):
        return make_store(MemoryStore, memory_store_place=uuid4().hex)

    @pytest.fixture
    def neighbour(self):
        return make_store(MemoryStore, "other", memory_store_place=uuid4().hex)

    @pytest.fixture
    def backdoor(self, store):
        return RoomBackdoor(store.conf.memory_store_place)


def test_stores_without_a_place_share_nothing():
    one, two = make_store(MemoryStore), make_store(MemoryStore)
    one.put("key", [b"x"])
    assert list(two.list()) == []
    assert one.place != two.place
