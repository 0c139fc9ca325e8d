"""The kit, on real folders."""

import pytest
from glancecore_cache_file.driver import FileCache

from glancecore.testing.cache import Backdoor, CacheConformance, make_cache


class FolderBackdoor(Backdoor):
    def __init__(self, folder):
        self.folder, self.away = folder, folder.with_name("away")

    def used(self):
        total = 0
        for path in (self.folder / "data").iterdir():
            if path.suffix == ".fill":  # a letter, not image data
                continue
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total

    def names(self):
        return {path.name for path in (self.folder / "data").iterdir()}

    def change(self, image_id):
        (path,) = (self.folder / "data").glob(f"{image_id}.*")
        with path.open("r+b") as file:
            byte = file.read(1)
            file.seek(0)
            file.write(bytes([byte[0] ^ 1]))

    def litter(self):
        (self.folder / "data" / "nobody.0123").write_bytes(b"litter")

    def break_(self):
        self.folder.rename(self.away)

    def mend(self):
        if self.away.exists():
            self.away.rename(self.folder)


class TestFileCache(CacheConformance):
    @pytest.fixture
    def cache(self, tmp_path):
        return make_cache(FileCache, tmp_path / "cache")

    @pytest.fixture
    def backdoor(self, tmp_path):
        return FolderBackdoor(tmp_path / "cache")
