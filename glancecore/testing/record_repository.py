"""The conformance kit for records of a database driver: one test for each rule of
``glancecore.ports.record_repository``.

class TestMine(RecordConformance):
    @pytest.fixture
    def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.record_repository import MOST_KEYS, Record, RecordAdded, RecordChanged, RecordQuery, RecordRemoved
from glancecore.ports.repository import Database, ImageAdded, ImageRemoved
from glancecore.testing.examples import START, after, make_image
from glancecore.testing.repository import TEXTS, race

MINE, OTHERS = "kit.mine", "kit.others"


def make(name: str | None = None, **fields: Any) -> Record:
    return Record(**{"collection": MINE, "id": str(uuid.uuid4()) if name is None else name, **fields})


def changed(record: Record, **fields: Any) -> RecordChanged:
    return RecordChanged(record, replace(record, version=record.version + 1, **fields))


class RecordConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give the kit a synced and empty database")

    def add(self, database: Database, *records: Record) -> None:
        database.images.commit(*map(RecordAdded, records))

    def image(self, database: Database) -> Image:
        image = make_image()
        database.images.commit(ImageAdded(image))
        return image

    def found(self, database: Database, **conditions: Any) -> list[str]:
        return [x.id for x in database.records.find(RecordQuery(**{"collection": MINE, **conditions}))]

    # -- one record --------------------------------------------------------------------------------
    def test_it_is_read_as_it_was_added(self, database: Database) -> None:
        data = {
            "text": "é\u2028\U0001f600",
            "number": 1 << 52,
            "real": 1.5,
            "none": None,
            "list": [1, {"a": []}],
            "true": True,
            "": {},
        }
        full = make(
            data=data, keys=("a", None, "c", None), image_id=self.image(database).id, expires_at=after(1.25), version=3
        )
        bare = make()
        self.add(database, full, bare)
        assert database.records.get(MINE, full.id) == full
        assert database.records.get(MINE, bare.id) == bare

    @pytest.mark.parametrize("text", TEXTS)
    def test_any_text_is_kept(self, database: Database, text: str) -> None:
        record = make(text, data={text: text}, keys=(text,))
        self.add(database, record)
        assert database.records.get(MINE, text) == record
        assert self.found(database, key=0, equal=[text]) == [text]

    def test_names_of_different_case_are_different(self, database: Database) -> None:
        self.add(database, make("a", keys=("k",)), make("A", keys=("K",)), make("a ", keys=("k ",)))
        assert self.found(database) == ["A", "a", "a "]
        assert self.found(database, key=0, equal=["k"]) == ["a"]

    def test_long_ids_and_keys(self, database: Database) -> None:
        record = make("\U0001f600" * 255, keys=("\U0001f600" * 255,) * MOST_KEYS)
        self.add(database, record)
        assert database.records.get(MINE, record.id) == record

    def test_an_id_is_unique_in_its_collection(self, database: Database) -> None:
        record = make()
        self.add(database, record, replace(record, collection=OTHERS))
        with pytest.raises(errors.RecordExists):
            self.add(database, replace(record, data={"other": 1}))
        assert database.records.get(MINE, record.id) == record

    def test_an_unknown_one(self, database: Database) -> None:
        unknown = make()
        self.add(database, replace(unknown, collection=OTHERS))
        with pytest.raises(errors.RecordNotFound):
            database.records.get(MINE, unknown.id)
        for change in (changed(unknown), RecordRemoved(unknown)):
            with pytest.raises(errors.RecordNotFound):
                database.images.commit(change)

    def test_too_many_keys(self, database: Database) -> None:
        with pytest.raises(ValueError):
            self.add(database, make(keys=("k",) * (MOST_KEYS + 1)))

    # -- changes -----------------------------------------------------------------------------------
    def test_a_change_replaces_all_of_it(self, database: Database) -> None:
        record = make(data={"a": 1}, keys=("a", "b"), image_id=self.image(database).id, expires_at=after(1))
        self.add(database, record)
        change = changed(record, data={"b": 2}, keys=("c",), image_id=self.image(database).id, expires_at=None)
        database.images.commit(change)
        assert database.records.get(MINE, record.id) == change.after
        assert self.found(database, key=0, equal=["a"]) == []
        assert self.found(database, key=0, equal=["c"]) == [record.id]
        assert self.found(database, key=1) == []

    def test_a_stale_change_is_refused(self, database: Database) -> None:
        record = make()
        self.add(database, record)
        change = changed(record, data={"first": 1})
        database.images.commit(change)
        for late in (changed(record, data={"late": 1}), RecordRemoved(record)):
            with pytest.raises(errors.ConcurrentChange):
                database.images.commit(late)
        assert database.records.get(MINE, record.id) == change.after

    def test_another_version_collection_or_id_is_the_callers_mistake(self, database: Database) -> None:
        record = make()
        self.add(database, record)
        for wrong in (
            replace(record, data={"a": 1}),
            replace(record, version=3),
            replace(record, version=2, id="other"),
            replace(record, version=2, collection=OTHERS),
        ):
            with pytest.raises(ValueError):
                database.images.commit(RecordChanged(record, wrong))

    def test_of_many_at_once_one_adds_and_one_changes(self, database: Database) -> None:
        record = make(data={"count": 0})
        added = race(6, lambda n: database.images.commit(RecordAdded(replace(record, data={"n": n}))))
        assert sorted(map(str, map(type, added))).count(str(type(None))) == 1, added
        assert sum(isinstance(x, errors.RecordExists) for x in added) == 5
        stored = database.records.get(MINE, record.id)
        made = race(6, lambda n: database.images.commit(changed(stored, data={"n": n})))
        assert sum(x is None for x in made) == 1, made
        assert sum(isinstance(x, errors.ConcurrentChange) for x in made) == 5

    def test_a_removed_one_is_gone(self, database: Database) -> None:
        record = make(keys=("a",))
        self.add(database, record)
        database.images.commit(RecordRemoved(record))
        assert self.found(database) == self.found(database, key=0) == []
        self.add(database, record)

    def test_it_is_in_the_commit_with_everything_else(self, database: Database) -> None:
        image, record = make_image(), make()
        with pytest.raises(errors.RecordExists):
            database.images.commit(
                ImageAdded(image), RecordAdded(replace(record, image_id=image.id)), RecordAdded(record)
            )
        with pytest.raises(errors.ImageNotFound):
            database.images.get_any(image.id)
        database.images.commit(ImageAdded(image), RecordAdded(replace(record, image_id=image.id)))
        assert database.records.of_image(image.id, MINE) == [replace(record, image_id=image.id)]

    # -- images ------------------------------------------------------------------------------------
    def test_it_goes_with_its_image(self, database: Database) -> None:
        image, other = self.image(database), self.image(database)
        ours = [make(name, image_id=image.id) for name in ("b", "a")]
        self.add(database, *ours, make("c", image_id=other.id), make("d"), replace(ours[0], collection=OTHERS))
        assert [x.id for x in database.records.of_image(image.id, MINE)] == ["a", "b"]
        database.images.commit(ImageRemoved(image, START))
        assert database.records.of_image(image.id, MINE) == []
        assert self.found(database) == ["c", "d"]

    def test_an_unknown_image(self, database: Database) -> None:
        record = make()
        with pytest.raises(errors.ImageNotFound):
            self.add(database, replace(record, image_id=str(uuid.uuid4())))
        self.add(database, record)
        with pytest.raises(errors.ImageNotFound):
            database.images.commit(changed(record, image_id=str(uuid.uuid4())))

    # -- finding -----------------------------------------------------------------------------------
    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("key", [None, 0, MOST_KEYS - 1])
    def test_pages_have_each_once_and_in_order(self, database: Database, key: int | None, descending: bool) -> None:
        names = ["", "A", "a", "aa", "b", "é", "\uffff", "\U0001f600"]
        self.add(
            database,
            *(make(f"{n}{name}", keys=(name,) * MOST_KEYS) for name in names for n in range(3)),
            make("x", keys=(None,) * MOST_KEYS),
            make("y"),
            make(keys=("a",) * MOST_KEYS, collection=OTHERS),
        )
        seen: list[Record] = []
        while page := database.records.find(
            RecordQuery(MINE, key, descending=descending, limit=5, after=self._last(seen, key))
        ):
            seen += page
        wanted = sorted(((x.keys[key] if key is not None else x.id) or "", x.id) for x in seen)
        assert [((x.keys[key] if key is not None else x.id), x.id) for x in seen] == (
            wanted[::-1] if descending else wanted
        )
        assert len({x.id for x in seen}) == len(seen) == 3 * len(names) + (2 if key is None else 0)

    def _last(self, seen: list[Record], key: int | None) -> tuple[str, str] | None:
        if not seen:
            return None
        return (seen[-1].id if key is None else seen[-1].keys[key] or ""), seen[-1].id

    def test_by_equal_keys(self, database: Database) -> None:
        self.add(
            database,
            make("1", keys=("a", "x")),
            make("2", keys=("b", "x")),
            make("3", keys=("a", "y")),
            make("4", keys=(None, "x")),
        )
        assert self.found(database, key=0, equal=["a"]) == ["1", "3"]
        assert self.found(database, key=0, equal=["b", "a", "none"]) == ["1", "3", "2"]
        assert self.found(database, key=1, equal=["x"], limit=2) == ["1", "2"]
        assert self.found(database, key=1, equal=["x"], after=("x", "1")) == ["2", "4"]
        assert self.found(database, key=0, equal=[]) == []
        assert self.found(database, equal=["3", "1"]) == ["1", "3"]
        assert self.found(database, key=3) == []

    def test_by_the_beginning(self, database: Database) -> None:
        names = ["a", "a%", "a_", "ab", "b", "a\uffff", "a\U0010ffff", "a\U0010ffffx", "\ud7ff", "\ud7ffz", "\ue000"]
        self.add(database, *(make(name, keys=(name,)) for name in names))
        for prefix in ("a", "a%", "a_", "", "a\U0010ffff", "\ud7ff", "c"):
            wanted = sorted(x for x in names if x.startswith(prefix))
            assert self.found(database, prefix=prefix) == wanted
            assert self.found(database, key=0, prefix=prefix) == wanted

    def test_several_of_several_collections(self, database: Database) -> None:
        image = self.image(database)
        here, there = (
            make("a", keys=("k", None), image_id=image.id, data={"x": 1}),
            make("a", collection=OTHERS, expires_at=after(1)),
        )
        more = [make(str(n)) for n in range(3)]
        self.add(database, here, there, *more)
        named = [
            (MINE, "a"),
            (OTHERS, "a"),
            (MINE, "2"),
            (OTHERS, "2"),
            (MINE, "a"),
            (MINE, "none"),
            ("kit.empty", "a"),
        ]
        assert sorted(database.records.several(named), key=lambda x: (x.collection, x.id)) == [more[2], here, there]
        assert database.records.several([]) == []

    def test_no_limit_is_exceeded(self, database: Database) -> None:
        self.add(database, *(make(f"{n}", keys=("k",)) for n in range(5)))
        assert [len(self.found(database, limit=n)) for n in (0, 1, 5, 9)] == [0, 1, 5, 5]
        assert len(self.found(database, key=0, limit=2)) == 2

    def test_what_has_expired_is_told_oldest_first(self, database: Database) -> None:
        self.add(
            database,
            make("a", expires_at=after(3)),
            make("b", expires_at=after(1)),
            make("c"),
            make("d", expires_at=after(2)),
            make("e", expires_at=after(1), collection=OTHERS),
        )
        assert [x.id for x in database.records.expired(MINE, after(2))] == ["b", "d"]
        assert [x.id for x in database.records.expired(MINE, after(9), limit=1)] == ["b"]
        assert database.records.expired(MINE, after(0.5)) == []
        assert database.records.get(MINE, "a").expires_at == after(3), "nobody removes it but who asks"
