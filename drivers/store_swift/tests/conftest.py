from uuid import uuid4

import pytest

from .proxy import Proxy, Room


@pytest.fixture(scope="session")
def proxy(tmp_path_factory):
    proxy = Proxy(tmp_path_factory.mktemp("proxy"))
    proxy.start()
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def proxy_v3(tmp_path_factory):
    proxy = Proxy(tmp_path_factory.mktemp("proxy-v3"), "3")
    proxy.start()
    yield proxy
    proxy.close()


@pytest.fixture
def container(proxy):
    """A name that no container begins with; those that are made are removed."""
    name = f"test-{uuid4().hex[:12]}"
    yield name
    for whose in (("1",), ("1", "RESELLER"), ("1", "OTHER"), ("3",), ("3", "demo")):
        Room(proxy.client(*whose), name).remove()
