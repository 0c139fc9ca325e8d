import gc
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from glancecore_store_vmware.driver import VmwareStore

from glancecore.ports.store import MARKER
from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store


class DatastoreBackdoor(Backdoor):
    """The folders that the simulator keeps its datastores in."""

    def __init__(self, vcenter, *datastores):
        self.vcenter, self.datastores = vcenter, datastores

    def path(self, url):
        place = parse_qs(urlsplit(url).query)
        return self.vcenter.folder(place["dcPath"][0], place["dsName"][0]) / unquote(
            urlsplit(url).path.removeprefix("/folder/")
        )

    def read(self, url):
        return self.path(url).read_bytes() if self.path(url).exists() else None

    def names(self):
        return {
            str(x)
            for center, name in self.datastores
            for x in self.vcenter.folder(center, name).rglob("*")
            if x.is_file()
        }

    def unmark(self):
        for center, name in self.datastores:
            for file in self.vcenter.folder(center, name).rglob(MARKER):
                file.unlink()

    def break_(self):
        self.vcenter.freeze()

    def mend(self):
        self.vcenter.thaw()


# pyVmomi leaves the socket of a call that was not answered in time to the garbage collector: collected here, and not
# held against a later test
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
class TestVmwareStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def _sockets_collected(self):
        yield
        gc.collect()

    reach = frozenset({Reach.PROCESSES, Reach.BREAK})
    datastores = (("DC0", "LocalDS_0"), ("DC0", "LocalDS_1"), ("DC1", "LocalDS_0"))
    huge = 64 << 20

    @pytest.fixture
    def store(self, vcenter):
        return make_store(VmwareStore, **vcenter.options(*(":".join(x) for x in self.datastores)))

    @pytest.fixture
    def neighbour(self, vcenter):
        return make_store(VmwareStore, "other", **vcenter.options("DC1:LocalDS_1"))

    @pytest.fixture
    def backdoor(self, vcenter):
        return DatastoreBackdoor(vcenter, *self.datastores)
