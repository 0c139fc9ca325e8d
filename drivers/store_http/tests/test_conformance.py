from uuid import uuid4

import pytest
from glancecore_store_http.driver import HttpStore

from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store


class WebBackdoor(Backdoor):
    """The files that nginx serves."""

    def __init__(self, nginx, below):
        self.nginx, self.below = nginx, below

    def path(self, url):
        return self.nginx.www / url.rpartition("/")[2]

    def read(self, url):
        return self.path(url).read_bytes() if self.path(url).exists() else None

    def names(self):
        return set()  # a store that only reads leaves nothing

    def make(self, data):
        name = uuid4().hex
        (self.nginx.www / name).write_bytes(data)
        return f"{self.nginx.url}/{self.below}{name}"

    def cut(self, url, size):
        with self.path(url).open("r+b") as file:
            file.truncate(size)

    def break_(self):
        self.nginx.stop()

    def mend(self):
        self.nginx.start()


class TestHttpStore(StoreConformance):
    reach = frozenset(Reach)
    below = ""

    @pytest.fixture
    def store(self):
        return make_store(HttpStore, http_store_allowed_hosts=["127.0.0.1"])

    @pytest.fixture
    def backdoor(self, nginx):
        return WebBackdoor(nginx, self.below)


class TestServerWithoutRanges(TestHttpStore):
    below = "norange/"


class TestServerWithoutHead(TestHttpStore):
    below = "nohead/"


class TestRedirectingServer(TestHttpStore):
    below = "hop/4/"
