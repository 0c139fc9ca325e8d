from uuid import uuid4

import pytest

from .servers import Gateway, Room, Swift


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    server = Gateway(tmp_path_factory.mktemp("rgw"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def swift(tmp_path_factory):
    server = Swift(tmp_path_factory.mktemp("s3api"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["gateway", "swift"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def bucket(server):
    """A name that is not in use; what is made of it is removed."""
    name = f"test-{uuid4().hex[:12]}"
    yield name
    client = server.client()
    for each in (name, f"{name}-other"):
        Room(client, each).remove()
    client.close()


@pytest.fixture
def room(server, bucket):
    client = server.client()
    yield Room(client, bucket)
    client.close()
