import pytest

from .nginx import Nginx


@pytest.fixture(scope="session")
def nginx(tmp_path_factory):
    nginx = Nginx(tmp_path_factory.mktemp("nginx"))
    nginx.start()
    yield nginx
    nginx.stop()
