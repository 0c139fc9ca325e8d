import pytest
from glancecore_store_template.driver import TemplateStore

from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store


class TemplateBackdoor(Backdoor):
    """Looks into Template without the driver."""

    def __init__(self, folder):
        self.folder = folder

    def read(self, url):
        path = self.folder / url.rpartition("/")[2]
        return path.read_bytes() if path.exists() else None

    def names(self):
        return {entry.name for entry in self.folder.iterdir()}


class TestTemplateStore(StoreConformance):
    reach = frozenset({Reach.PROCESSES})

    @pytest.fixture
    def store(self, tmp_path):
        return make_store(TemplateStore, template_store_folder=str(tmp_path / "one"))

    @pytest.fixture
    def neighbour(self, tmp_path):
        return make_store(TemplateStore, "other", template_store_folder=str(tmp_path / "two"))

    @pytest.fixture
    def backdoor(self, tmp_path):
        return TemplateBackdoor(tmp_path / "one")
