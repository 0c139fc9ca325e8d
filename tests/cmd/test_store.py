"""glance-manage store, on a database in memory and folders."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import plugin_saboteurs as saboteurs
import pytest
import strangers

from glancecore import conf as configuration
from glancecore.assembly.stores import load_stores
from glancecore.cmd.manage import parser
from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.ports.place_repository import Place, StorePlaces
from glancecore.ports.repository import ImageAdded
from glancecore.ports.store import MARKER
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase


class Cloud:
    """A store ``fast`` in a folder, and one ``web`` of web servers."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.database = MemoryDatabase()
        self.place, self.driver_of_web = "one", "http"

    def conf(self) -> Any:
        file = self.folder / "glance-api.conf"
        file.write_text(
            f"[DEFAULT]\nenabled_backends = fast:file, web:{self.driver_of_web}\nenabled_import_methods"
            " =\n[glance_store]\ndefault_backend = fast\n[fast]\nfilesystem_store_datadir ="
            f" {self.folder}/{self.place}\n"
        )
        return configuration.new(files=[str(file)])

    def use(self) -> None:
        """As a start of the service does."""
        load_stores(self.conf(), self.database).close()

    def run(self, *words: str) -> tuple[int, str]:
        args: argparse.Namespace = parser().parse_args(words)
        args.conf = self.conf()
        code = int(args.run(args, self.database))
        return code, self._capsys.readouterr().out

    def told(self, *words: str) -> Any:
        return json.loads(self.run("--json", "store", *words)[1])

    def image(self, key: str, store: str = "fast", folder: str = "one") -> None:
        self.database.images.commit(
            ImageAdded(make_image(locations=(Location(f"file://{self.folder}/{folder}/{key}", store),)))
        )
        if (self.folder / folder).is_dir():
            (self.folder / folder / key).write_bytes(b"x")

    def marker(self, folder: str) -> str:
        return str(json.loads((self.folder / folder / MARKER).read_bytes())["place"])


@pytest.mark.parametrize("fault", ["import error", "old __init__", "__init__ raises", "start raises", "no caps"])
def test_a_broken_store_is_wrong_and_the_others_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    saboteurs.write(tmp_path / "site", "store", {fault: saboteurs.faults_of("store")[fault]})
    cloud = Cloud(tmp_path, capsys)
    cloud.use()
    cloud.image("a", "web")
    cloud.driver_of_web = saboteurs.word(fault)
    with strangers.installed(tmp_path / "site"):
        code, said = cloud.run("--json", "store", "list")
        assert code == 1
        states = {x["id"]: x for x in json.loads(said)}
        assert states["fast"]["state"] == "used"
        assert states["web"]["state"] == "wrong"
        assert saboteurs.faults_of("store")[fault].words[0] in states["web"]["why"]
        with pytest.raises(errors.PluginBroken):
            cloud.run("store", "adopt", "web")


@pytest.fixture
def cloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cloud:
    return Cloud(tmp_path, capsys)


def test_list_looks_and_changes_nothing(cloud: Cloud) -> None:
    code, _ = cloud.run("store", "list")
    assert code == 1, "the folder is not there"
    assert list(cloud.folder.iterdir()) == [cloud.folder / "glance-api.conf"]
    cloud.use()
    cloud.image("a")
    assert cloud.run("store", "list") == (
        0,
        "fast: used, images 1, places 1\nweb: without markers, images 0, places 0\n",
    )
    (cloud.folder / "one" / MARKER).unlink()
    code, text = cloud.run("store", "list")
    assert code == 1
    assert (
        "fast: wrong, images 1, places 1: store fast is not available: its data is not there: [fast]"
        " filesystem_store_datadir" in text
    )
    assert not (cloud.folder / "one" / MARKER).exists()


def test_list_has_what_is_not_configured(cloud: Cloud) -> None:
    cloud.use()
    record = StorePlaces("old", (Place("1" * 32),))
    cloud.database.places.replace("old", None, record)
    assert cloud.run("store", "list")[0] == 0
    cloud.image("a", "gone")
    code, text = cloud.run("store", "list")
    assert code == 1
    assert text.splitlines()[2:] == [
        "old: not configured, images 0, places 1: [DEFAULT] enabled_backends does not name it",
        "gone: not configured, images 1, places 0: [DEFAULT] enabled_backends does not name it",
    ]


def test_show(cloud: Cloud) -> None:
    cloud.use()
    code, text = cloud.run("store", "show", "fast")
    place = cloud.marker("one")
    assert code == 0
    assert (
        text == f"fast: used\ndriver: file\nimages: 0\nexpected: place {place} file://{cloud.folder}/one\n"
        f"found: filesystem_store_datadir = {cloud.folder}/one: place {place}, first used as store fast\n"
    )
    assert cloud.told("show", "fast")["expected"] == [{"id": place, "addresses": [f"file://{cloud.folder}/one"]}]
    with pytest.raises(errors.ConfigError, match="no store 'fats'; there are: fast, web"):
        cloud.run("store", "show", "fats")


def test_adopt_data_that_was_moved_without_its_marker(cloud: Cloud) -> None:
    cloud.use()
    cloud.image("a")
    (cloud.folder / "two").mkdir()
    cloud.place = "two"
    with pytest.raises(errors.StoreUnavailable) as told:
        cloud.run("store", "adopt", "fast")
    assert "none of 1 that were looked for is there" in errors.for_operators(told.value)
    (cloud.folder / "one" / "a").rename(cloud.folder / "two" / "a")
    [place] = cloud.told("adopt", "fast")
    assert place == {
        "id": cloud.marker("two"),
        "addresses": [f"file://{cloud.folder}/two", f"file://{cloud.folder}/one"],
    }
    cloud.use()
    assert cloud.told("show", "fast")["state"] == "used"


def test_adopt_a_place_of_another_store(cloud: Cloud) -> None:
    (cloud.folder / "one").mkdir()
    (cloud.folder / "one" / MARKER).write_text(json.dumps({"place": "f" * 32, "store": "formerly"}))
    with pytest.raises(errors.ConfigError, match="glance-manage store adopt fast"):
        cloud.use()
    assert cloud.told("adopt", "fast") == [{"id": "f" * 32, "addresses": [f"file://{cloud.folder}/one"]}]
    cloud.use()


def test_adopt_a_folder_that_was_moved_before_it_had_a_marker(cloud: Cloud) -> None:
    cloud.place = "two"
    (cloud.folder / "two").mkdir()
    cloud.image("a")
    (cloud.folder / "two" / "a").write_bytes(b"x")
    assert "none of 1" in cloud.told("show", "fast")["why"]
    cloud.run("store", "adopt", "--formerly", f"file://{cloud.folder}/one", "fast")
    stores = load_stores(cloud.conf(), cloud.database)
    assert b"".join(stores.get("fast").open(f"file://{cloud.folder}/one/a")) == b"x"
    stores.close()


def test_adopt_what_is_gone_for_good(cloud: Cloud) -> None:
    (cloud.folder / "one").mkdir()
    cloud.image("a")
    (cloud.folder / "one" / "a").unlink()
    assert cloud.told("adopt", "--force", "fast")[0]["id"] == cloud.marker("one")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("adopt", "web"), "keeps no markers"),
        (("adopt", "fats"), "no store 'fats'"),
        (("forget", "fats"), "nothing is recorded of a store 'fats'"),
        (("forget", "fast"), "enabled_backends names fast: take it out first"),
    ],
)
def test_mistakes_are_told(cloud: Cloud, words: tuple[str, ...], says: str) -> None:
    cloud.use()
    with pytest.raises(errors.ConfigError, match=says):
        cloud.run("store", *words)


def test_forget(cloud: Cloud) -> None:
    cloud.database.places.replace("old", None, StorePlaces("old", (Place("1" * 32),)))
    cloud.image("a", "old")
    assert cloud.run("store", "forget", "old") == (
        0,
        "store old is forgotten; images that have data there: 1; none of it can be read or deleted\n",
    )
    assert cloud.database.places.get("old") is None
