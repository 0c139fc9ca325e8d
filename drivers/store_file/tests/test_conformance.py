import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from glancecore_store_file.driver import FileStore

from glancecore.testing.store import Backdoor, Reach, StoreConformance, make_store


class FolderBackdoor(Backdoor):
    def __init__(self, *folders: Path):
        self.folders = folders

    def path(self, url):
        return Path(unquote(urlsplit(url).path))

    def read(self, url):
        return self.path(url).read_bytes() if self.path(url).exists() else None

    def names(self):
        return {entry.name for folder in self.folders if folder.is_dir() for entry in folder.iterdir()}

    def cut(self, url, size):
        with self.path(url).open("r+b") as file:
            file.truncate(size)

    def break_(self):
        for folder in self.folders:
            folder.rename(folder.with_suffix(".away"))
            folder.write_bytes(b"not a folder")

    def mend(self):
        for folder in self.folders:
            if folder.with_suffix(".away").exists():
                folder.unlink()
                folder.with_suffix(".away").rename(folder)


class TestFileStore(StoreConformance):
    reach = frozenset(Reach)
    options = {}

    @pytest.fixture
    def store(self, tmp_path):
        return make_store(FileStore, filesystem_store_datadir=str(tmp_path / "one"), **self.options)

    @pytest.fixture
    def neighbour(self, tmp_path):
        return make_store(FileStore, "other", filesystem_store_datadir=str(tmp_path / "two"))

    @pytest.fixture
    def backdoor(self, tmp_path):
        return FolderBackdoor(tmp_path / "one")


class TestThin(TestFileStore):
    options = {"filesystem_thin_provisioning": True, "filesystem_store_chunk_size": 64 * 1024}


class OldKernelStore(FileStore):
    """On a file system without O_TMPFILE, whose kernel sees nothing but a folder opened for writing: EISDIR."""

    def start(self):
        os.O_TMPFILE = os.O_DIRECTORY
        super().start()


class TestNamedTemporaries(TestFileStore):
    @pytest.fixture
    def store(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "O_TMPFILE", os.O_TMPFILE)  # put back afterwards
        return make_store(OldKernelStore, filesystem_store_datadir=str(tmp_path / "one"))

    def test_temporaries_have_names_here(self, store, backdoor):
        def source():
            yield b"x"
            [name] = backdoor.names()
            assert re.fullmatch(r"\.kit\.[0-9a-f]{16}\.part", name)

        store.put(self.key("kit"), source())
        assert backdoor.names() == {"kit"}
        store.discard("kit")


class TestWithATimeout(TestFileStore):
    options = {"filesystem_store_timeout": 30}


class TestSeveralFolders(TestFileStore):
    @pytest.fixture
    def store(self, tmp_path):
        return make_store(FileStore, filesystem_store_datadirs=[f"{tmp_path}/one", f"{tmp_path}/a b%c:7"])

    @pytest.fixture
    def backdoor(self, tmp_path):
        return FolderBackdoor(tmp_path / "one", tmp_path / "a b%c")
