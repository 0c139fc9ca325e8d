"""The kit on the jobs of the core: each on a service of its own, over SQLite and two file stores."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import lab
import pytest
from glancecore_cache_file.driver import _mark
from glancecore_cache_file.files import filler_lives
from waiting import until

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.jobs import load_job
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service
from glancecore.domain.image import Image, Location, Status
from glancecore.features.cache.extension import CacheExtension
from glancecore.features.cache.jobs import CachePruner
from glancecore.features.cache.nodes import CacheNodes
from glancecore.ports.cache import Fill, Seal
from glancecore.ports.periodic import PeriodicJob
from glancecore.ports.repository import ImageAdded
from glancecore.testing.examples import make_image
from glancecore.testing.periodic import PeriodicJobConformance, Place

pytestmark = pytest.mark.long

NODE, OTHER_NODE = "http://one.example:9292", "http://two.example:9292"
FOLDERS = ("fast", "cheap")


def _id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def _data(number: int) -> bytes:
    return f"data of {number} ".encode() * 5000


class ServicePlace(Place):
    """``job`` makes a service anew, as another process has it."""

    def __init__(self, name: str, folder: Path, config: lab.Config) -> None:
        self.name = name
        self.folder = folder
        self._config = config
        self._made: list[Service] = []
        self.service = self._build({})

    def _build(self, config: lab.Config) -> Service:
        file = self.folder / "glance-api.conf"
        file.write_text(
            lab.config_text(
                lab.merged(
                    {
                        "DEFAULT": {
                            "auth_strategy": "none",
                            "enabled_backends": "fast:file, cheap:file",
                            "notifiers": "",
                            "enabled_import_methods": "copy-image",
                            "scrub_time": 0,
                            "node_staging_uri": f"file://{self.folder}/staging",
                            "hashing_algorithm": "sha256",
                        },
                        "database": {"connection": f"sqlite:///{self.folder}/glance.sqlite"},
                        "glance_store": {"default_backend": "fast"},
                        "fast": {"filesystem_store_datadir": self.folder / "fast"},
                        "cheap": {"filesystem_store_datadir": self.folder / "cheap"},
                        "periodic": {"enabled_jobs": self.name},
                    },
                    config,
                )
            )
        )
        self._made.append(build(configuration.new(files=[str(file)])))
        return self._made[-1]

    def job(self) -> PeriodicJob:
        service = self._build(self._config)
        conf = configuration.new(files=[str(self.folder / "glance-api.conf")])
        return load_job(conf, self.name, service.tools, "[periodic] enabled_jobs").job

    def seen(self) -> object:
        """What images say, and what lies in the stores, whatever it is called there."""
        images = [
            (
                x.id,
                x.status.value,
                sorted((y.store, y.status.value) for y in x.locations),
                x.size,
                x.checksum,
                x.hash_value,
            )
            for x in (
                self.service.database.images.get_any(_id(number)) for number in range(10) if self._there(_id(number))
            )
        ]
        files = sorted(
            (name, hashlib.sha256(x.read_bytes()).hexdigest())
            for name in FOLDERS
            for x in (self.folder / name).rglob("*")
            if x.is_file() and not x.name.startswith(".")
        )
        return images, files

    def _there(self, image_id: str) -> bool:
        from glancecore.domain import errors

        try:
            self.service.database.images.get_any(image_id)
        except errors.ImageNotFound:
            return False
        return True

    def put(self, number: int, store: str) -> Location:
        return self.service.stores.get(store).put(f"kit-{number}", [_data(number)], len(_data(number)))

    def add(self, number: int, *stores: str, **fields: object) -> Image:
        data = _data(number)
        given = {
            "size": len(data),
            "checksum": hashlib.md5(data).hexdigest(),
            "hash_algo": "sha256",
            "hash_value": hashlib.sha256(data).hexdigest(),
            "status": Status.ACTIVE,
            "disk_format": "raw",
            "container_format": "bare",
            "virtual_size": len(data),
            **fields,
        }
        image = make_image(id=_id(number), **given)
        image = replace(image, locations=tuple(self.put(number, x) for x in stores))
        self.service.database.images.commit(ImageAdded(image))
        return image

    def rest(self) -> None:
        until(lambda: not any(self.service.database.images.lease(_id(number)) for number in range(10)))

    def close(self) -> None:
        for each in self._made:
            each.close()


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("schema") / "glance.sqlite"
    config = file.with_name("conf")
    config.write_text(lab.config_text({"database": {"connection": f"sqlite:///{file}"}}))
    database = load_database(configuration.new(files=[str(config)]))
    database.sync()
    database.close()
    return file


class JobKit(PeriodicJobConformance):
    """``config``: what the job needs of the service."""

    name: ClassVar[str]
    config: ClassVar[lab.Config] = {}
    place: ClassVar[type[ServicePlace]] = ServicePlace

    @pytest.fixture
    def make_place(self, schema: Path, tmp_path: Path) -> Callable[[bool], Place]:
        def make(filled: bool) -> Place:
            folder = tmp_path / uuid.uuid4().hex
            folder.mkdir()
            for file in schema.parent.glob("glance.sqlite*"):
                shutil.copy(file, folder / file.name)
            made = self.place(self.name, folder, self.config)
            if filled:
                self.fill(made)
            return made

        return make

    def fill(self, place: ServicePlace) -> None:
        raise NotImplementedError


class TestAuditor(JobKit):
    name = "auditor"

    def fill(self, place: ServicePlace) -> None:
        for number in range(3):
            image = place.add(number, *FOLDERS)
            if number:
                Path(urlsplit(image.locations[0].url).path).write_bytes(b"x" * len(_data(number)))


class TestOrphans(JobKit):
    name = "orphans"
    config = {"periodic_orphans": {"grace": 0, "delete": True}}

    def fill(self, place: ServicePlace) -> None:
        place.add(0, "fast")
        for number in range(1, 4):
            place.put(number, FOLDERS[number % 2])


class TestReaper(JobKit):
    name = "reaper"

    def fill(self, place: ServicePlace) -> None:
        place.add(0, "fast")
        for number in range(1, 4):
            place.add(number, *FOLDERS, status=Status.PENDING_DELETE)


class TestReplicator(JobKit):
    name = "replicator"
    config = {"periodic_replicator": {"rules": "all -> 2 stores"}}

    def fill(self, place: ServicePlace) -> None:
        for number in range(3):
            place.add(number, "fast")


class TestUpdater(JobKit):
    name = "updater"

    def fill(self, place: ServicePlace) -> None:
        for number in range(3):
            place.add(number, "fast", size=None, checksum=None, hash_algo=None, hash_value=None, virtual_size=None)


# -- of the machine --------------------------------------------------------------------------------
class CachePlace(ServicePlace):
    def _build(self, config: lab.Config) -> Service:
        return super()._build(
            lab.merged(
                {"DEFAULT": {"image_cache_dir": self.folder / "cache", "worker_self_reference_url": NODE}}, config
            )
        )

    @property
    def driver(self):
        caching = self.service.of(CacheExtension).caching
        assert caching is not None
        return caching._cache.driver

    def seen(self) -> object:
        """Without what is being written at this moment: whoever is stopped removes it."""
        data = [
            x for x in (self.folder / "cache" / "data").iterdir() if not filler_lives(x) and not filler_lives(_mark(x))
        ]
        return (
            super().seen(),
            sorted(x.image_id for x in self.driver.entries()),
            sorted(self.driver.queued()),
            sorted(x.stat().st_size for x in data),
        )

    def elsewhere(self) -> object:
        return [sorted(set(CacheNodes(self.service.database).nodes(_id(number))) - {NODE}) for number in range(10)]

    def cached(self, number: int) -> None:
        data = _data(number)
        fill = self.driver.claim(_id(number), Seal(len(data), "sha256", hashlib.sha256(data).hexdigest()))
        assert isinstance(fill, Fill)
        fill.write(data)
        fill.publish()

    def cached_elsewhere(self) -> None:
        CacheNodes(self.service.database).hold(_id(0), OTHER_NODE)


class CacheKit(JobKit):
    place = CachePlace


class TestCacheCleaner(CacheKit):
    name = "cache_cleaner"

    def fill(self, place: ServicePlace) -> None:
        assert isinstance(place, CachePlace)
        place.add(0, "fast")
        place.cached_elsewhere()
        for number in range(4):  # the first one has its image
            place.cached(number)


class LoweredPlace(CachePlace):
    """The bound is lowered while the service runs: one that starts shrinks its cache by itself."""

    def job(self) -> PeriodicJob:
        job = super().job()
        assert isinstance(job, CachePruner)
        job.caching._settings = replace(job.caching._settings, max_size=100_000)
        return job


class TestCachePruner(CacheKit):
    name = "cache_pruner"
    place = LoweredPlace
    units = 0  # the cache does it at once

    def fill(self, place: ServicePlace) -> None:
        assert isinstance(place, CachePlace)
        for number in range(4):
            place.add(number, "fast")
            place.cached(number)
        place.cached_elsewhere()


class TestCachePrefetcher(CacheKit):
    name = "cache_prefetcher"

    def fill(self, place: ServicePlace) -> None:
        assert isinstance(place, CachePlace)
        for number in range(3):
            place.add(number, "fast")
            place.driver.queue(_id(number))
        place.cached_elsewhere()
