"""glance-manage store status, drain, undrain and remove, on a database in memory and folders."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glancecore import conf as configuration
from glancecore.assembly.stores import load_stores
from glancecore.cmd.manage import parser
from glancecore.domain import errors
from glancecore.domain.image import Location, LocationStatus, Status
from glancecore.domain.lease import BlobRef
from glancecore.ports.repository import ImageAdded, LeaseTaken
from glancecore.testing.examples import make_image, make_lease
from glancecore.testing.fakes import MemoryDatabase


class Cloud:
    """The stores fast (the default one) and cheap; ``fallbacks`` of the first."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys, self.database = folder, capsys, MemoryDatabase()
        self.stores, self.fallbacks = "fast:file, cheap:file", ""

    def conf(self) -> Any:
        file = self.folder / "glance-api.conf"
        file.write_text(
            f"[DEFAULT]\nenabled_backends = {self.stores}\nenabled_import_methods =\n[glance_store]\ndefault_backend ="
            f" fast\nfallback_stores = {self.fallbacks}\n[fast]\nfilesystem_store_datadir ="
            f" {self.folder}/fast\n[cheap]\nfilesystem_store_datadir = {self.folder}/cheap\n"
        )
        return configuration.new(files=[str(file)])

    def use(self) -> None:
        """As a start of the service does."""
        load_stores(self.conf(), self.database).close()

    def run(self, *words: str) -> tuple[int, str]:
        args: argparse.Namespace = parser().parse_args(
            ["store", *words] if words[0] != "--json" else ["--json", "store", *words[1:]]
        )
        args.conf = self.conf()
        code = int(args.run(args, self.database))
        return code, self._capsys.readouterr().out

    def image(self, **stores: LocationStatus) -> str:
        image = make_image(status=Status.ACTIVE, size=100, name="debian")
        self.database.images.commit(
            ImageAdded(
                replace(
                    image,
                    locations=tuple(
                        Location(f"file://{self.folder}/{x}/{image.id}", x, status=status)
                        for x, status in stores.items()
                    ),
                )
            )
        )
        return image.id


@pytest.fixture
def cloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cloud:
    return Cloud(tmp_path, capsys)


GOOD, BAD = LocationStatus.ACTIVE, LocationStatus.DAMAGED


def test_status_of_what_was_never_used_makes_nothing(cloud: Cloud) -> None:
    code, said = cloud.run("status")
    assert code == 0
    assert said.count("unused, takes no new data: no process has started it yet") == 2
    assert {x.name for x in cloud.folder.iterdir()} == {"glance-api.conf"}


def test_status_tells_what_is_where(cloud: Cloud) -> None:
    cloud.use()
    only, lost, both = cloud.image(fast=GOOD), cloud.image(fast=BAD), cloud.image(fast=BAD, cheap=GOOD)
    code, said = cloud.run("status")
    assert code == 0
    assert re.fullmatch(
        r"fast: up, writable, free \d+ bytes\n  images 3, bytes 300, only copy 1, damaged copies 2, without any good"
        r" copy 1\n"
        r"cheap: up, writable, free \d+ bytes\n  images 1, bytes 100, only copy 1, damaged copies 0, without any good"
        r" copy 0\n",
        said,
    )
    *rows, last = map(json.loads, cloud.run("--json", "status", "fast", "--images")[1].splitlines())
    assert {x["image"]: x["kind"] for x in rows} == {only: "only", lost: "lost", both: "damaged"}
    assert last | {"store": "fast", "state": "up", "only": 1, "draining": False} == last
    assert f"only {only} 100 active debian\n" in cloud.run("status", "fast", "--images")[1]
    shutil.rmtree(cloud.folder / "fast")
    code, said = cloud.run("status", "fast")
    assert code == 1
    assert said.startswith("fast: down, takes no new data: ")
    assert "only copy 1" in said, "from the database alone"
    with pytest.raises(errors.ConfigError, match="ID: no store 'deep'; there are: fast, cheap"):
        cloud.run("status", "deep")
    with pytest.raises(errors.ConfigError, match="--images: it is not said of which store"):
        cloud.run("status", "--images")


def test_drain_and_undrain_are_said_twice_without_harm(cloud: Cloud) -> None:
    cloud.use()
    assert cloud.run("drain", "cheap") == (0, "store cheap takes no new data any more; all processes know it in 2 s\n")
    assert cloud.run("drain", "cheap") == (0, "store cheap takes no new data already\n")
    assert cloud.run("status", "cheap")[1].startswith("cheap: up, draining, takes no new data, free ")
    assert cloud.run("undrain", "cheap") == (0, "store cheap is not draining any more\n")
    assert cloud.run("undrain", "cheap") == (0, "store cheap is not draining anyway\n")
    for word in ("drain", "undrain"):
        with pytest.raises(errors.ConfigError, match=r"ID: no store 'deep'.*there are: fast, cheap"):
            cloud.run(word, "deep")


def test_something_takes_the_data_for_which_no_store_is_named(cloud: Cloud) -> None:
    cloud.use()
    with pytest.raises(
        errors.ConfigError,
        match=r"goes to fast, and would have nowhere to go: name a store .*fallback_stores.*such as cheap",
    ):
        cloud.run("drain", "fast")
    cloud.fallbacks = "cheap"
    assert cloud.run("drain", "fast")[0] == 0
    with pytest.raises(errors.ConfigError, match="goes to fast or cheap, and would have nowhere to go"):
        cloud.run("drain", "cheap")
    cloud.run("undrain", "fast")
    assert cloud.run("drain", "cheap")[0] == 0
    cloud.run("undrain", "cheap")
    shutil.rmtree(cloud.folder / "cheap")
    with pytest.raises(errors.ConfigError, match="nowhere to go"):
        cloud.run("drain", "fast")


def test_a_store_is_removed_when_nothing_needs_it(cloud: Cloud) -> None:
    cloud.use()
    cloud.image(cheap=GOOD)
    with pytest.raises(
        errors.ConfigError,
        match=r"ID: 1 images need store cheap: run: glance-manage store evacuate cheap; which ones: .* --images",
    ):
        cloud.run("remove", "cheap")
    cloud.stores = "fast:file"
    with pytest.raises(
        errors.ConfigError, match=r"name it in \[DEFAULT\] enabled_backends again with its section, then run"
    ):
        cloud.run("remove", "cheap")
    cloud.database, cloud.stores = MemoryDatabase(), "fast:file, cheap:file"
    cloud.folder = cloud.folder / "new"
    cloud.folder.mkdir()
    cloud.use()
    cloud.run("drain", "cheap")
    with pytest.raises(
        errors.ConfigError, match=r"no image needs store cheap, and .* still names it: take it out on every node"
    ):
        cloud.run("remove", "cheap")
    cloud.stores = "fast:file"
    saving = make_image(status=Status.SAVING)
    cloud.database.images.commit(
        ImageAdded(saving), LeaseTaken(make_lease(saving, blobs=(BlobRef("cheap", saving.id),)), 60)
    )
    with pytest.raises(errors.ConfigError, match="the data of 1 images is being written to store cheap"):
        cloud.run("remove", "cheap")
    cloud.database.images.commit(
        LeaseTaken(
            make_lease(saving, blobs=(BlobRef("fast", saving.id),)), 60, cloud.database.images.lease(saving.id).token
        )
    )
    assert cloud.run("remove", "cheap") == (0, "store cheap is removed; nothing needs its data\n")
    assert [x.store for x in cloud.database.places.all()] == ["fast"]
    with pytest.raises(errors.ConfigError, match="nothing is recorded of a store 'cheap'; there are: fast"):
        cloud.run("remove", "cheap")
    cloud.stores = "fast:file, cheap:file"
    cloud.use()
    assert not cloud.run("--json", "status", "cheap")[1].count('"draining": true'), "that is forgotten, too"
