"""The conformance kit for database drivers, metadata definitions: one test for each rule of
``glancecore.ports.metadef_repository``.

    class TestMine(MetadefConformance):
        @pytest.fixture
        def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from glancecore.domain import errors
from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.metadef import MetadefVisibility, Namespace, Outline, ResourceType
from glancecore.ports.metadef_repository import (
    MetadefChange,
    MetadefField,
    MetadefQuery,
    MetadefRepository,
    MetadefSort,
    NamespaceAdded,
    NamespaceChanged,
    NamespaceRemoved,
)
from glancecore.ports.repository import Database
from glancecore.testing.examples import (
    ADMIN,
    NOBODY,
    OWNER,
    STRANGER,
    after,
    make_association,
    make_namespace,
    make_object,
    make_property,
    make_tag,
    saved_namespace,
)
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.repository import TEXTS, race

T = TypeVar("T")
PUBLIC, PRIVATE = MetadefVisibility.PUBLIC, MetadefVisibility.PRIVATE
BY_NAME = (MetadefSort(MetadefField.NAMESPACE, descending=False),)
#: Who sees which visibility of OWNER's namespaces.
SEES = {
    "owner": (OWNER, {PUBLIC, PRIVATE}),
    "stranger": (STRANGER, {PUBLIC}),
    "without project": (NOBODY, {PUBLIC}),
    "admin": (ADMIN, {PUBLIC, PRIVATE}),
    "the service": (EVERYTHING, {PUBLIC, PRIVATE}),
}


def full(name: str = "full", **fields: object) -> Namespace:
    """A namespace with everything."""
    text = '😀 it\'s "x" \\ \n%s ?'
    given: dict[str, object] = {
        "display_name": text,
        "description": text * 20,
        "visibility": PUBLIC,
        "protected": True,
        "associations": (
            make_association("OS::Nova::Flavor", "hw:"),
            replace(make_association(text), properties_target=text),
        ),
        "properties": (
            make_property("z", enum=["a", "b"], default={"deep": [1, 2.5, None, True]}),
            make_property(text, minimum=-1.5),
            make_property("a"),
        ),
        "objects": (
            make_object(
                "o2",
                make_property("in"),
                make_property("also", type="integer", maximum=2**53),
                description=text,
                required=("in",),
            ),
            make_object(text),
        ),
        "tags": (make_tag("t2"), make_tag(text, 5), make_tag("T3")),
        "version": 7,
        **fields,
    }
    return make_namespace(name, 1.234567, **given)


def add(database: Database, *namespaces: Namespace) -> None:
    database.metadefs.commit(*(NamespaceAdded(x) for x in namespaces))


def names(found: Sequence[Outline]) -> list[str]:
    return [x.name for x in found]


def pages(read: Callable[[MetadefQuery], Sequence[Outline]], query: MetadefQuery) -> list[str]:
    """Names of all pages."""
    seen: list[str] = []
    while page := read(query):
        assert len(page) <= query.limit, "a page is longer than its limit"
        seen += names(page)
        assert len(seen) <= 500, "paging does not end"
        query = replace(query, marker=seen[-1])
    return seen


def both(repository: MetadefRepository, query: MetadefQuery) -> list[str]:
    """What is found; outlines and whole namespaces must agree."""
    found = names(repository.find(query))
    assert names(repository.find_whole(query)) == found
    return found


class MetadefConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give a synced and empty database")

    # -- one namespace -----------------------------------------------------------------------------
    def test_a_namespace_is_read_as_it_was_added(self, database: Database) -> None:
        namespace = full()
        add(database, namespace)
        assert database.metadefs.get("full") == namespace
        assert database.metadefs.find_whole(MetadefQuery(OWNER)) == [namespace]

    def test_a_namespace_with_defaults_is_read_as_it_was_added(self, database: Database) -> None:
        namespace = make_namespace(owner=None)
        add(database, namespace)
        assert database.metadefs.get("ns") == namespace

    def test_an_outline_has_fields_and_associations_only(self, database: Database) -> None:
        namespace = full()
        add(database, namespace)
        (found,) = database.metadefs.find(MetadefQuery(OWNER))
        assert type(found) is Outline
        assert found.associations == namespace.associations
        assert found.description == namespace.description
        assert (found.id, found.version, found.created_at) == (namespace.id, namespace.version, namespace.created_at)

    @pytest.mark.parametrize("text", [x for x in TEXTS if x])
    def test_any_text_is_kept_and_compared_by_code_points(self, database: Database, text: str) -> None:
        namespace = make_namespace(
            text,
            owner=f"o{text}",
            display_name=text,
            description=text,
            tags=(make_tag(text),),
            associations=(make_association(f"t{text}", text),),
            properties=(make_property(text),),
        )
        add(database, namespace, *(make_namespace(x, visibility=PUBLIC) for x in TEXTS if x and x != text))
        assert database.metadefs.get(text, Viewer(f"o{text}")) == namespace
        assert both(database.metadefs, MetadefQuery(ADMIN, resource_types=(f"t{text}",))) == [text]
        assert [x.name for x in database.metadefs.resource_types()] == [f"t{text}"]
        for other in (text.upper(), f"{text} ", text.lower(), f"x{text}"):
            if other not in TEXTS:
                with pytest.raises(errors.NamespaceNotFound):
                    database.metadefs.get(other)

    def test_an_unknown_namespace_is_not_found(self, database: Database) -> None:
        for name in ("never", "", "x" * 300, "😀", "\0"):
            with pytest.raises(errors.NamespaceNotFound):
                database.metadefs.get(name)

    def test_a_name_is_used_once(self, database: Database) -> None:
        add(database, make_namespace("a"), make_namespace("A"))
        with pytest.raises(errors.MetadefExists):
            add(database, make_namespace("a", owner="others"))
        assert database.metadefs.get("a").owner == OWNER.project

    # -- who sees what -----------------------------------------------------------------------------
    @pytest.mark.parametrize("visibility", MetadefVisibility)
    @pytest.mark.parametrize("who", SEES)
    def test_who_sees_a_namespace(self, database: Database, who: str, visibility: MetadefVisibility) -> None:
        viewer, seen = SEES[who]
        add(database, make_namespace("x", visibility=visibility, associations=(make_association(),)))
        expected = ["x"] if visibility in seen else []
        if expected:
            assert database.metadefs.get("x", viewer).name == "x"
        else:
            with pytest.raises(errors.NamespaceNotFound):
                database.metadefs.get("x", viewer)
        assert both(database.metadefs, MetadefQuery(viewer)) == expected
        assert both(database.metadefs, MetadefQuery(viewer, resource_types=("OS::Glance::Image",))) == expected
        for asked in MetadefVisibility:
            found = both(database.metadefs, MetadefQuery(viewer, visibility=asked))
            assert found == (expected if asked is visibility else []), asked

    def test_a_private_namespace_without_owner_is_nobodys(self, database: Database) -> None:
        add(database, make_namespace("x", owner=None), make_namespace("y", owner=None, visibility=PUBLIC))
        for viewer in (OWNER, NOBODY):
            assert both(database.metadefs, MetadefQuery(viewer)) == ["y"]
            with pytest.raises(errors.NamespaceNotFound):
                database.metadefs.get("x", viewer)
        assert both(database.metadefs, MetadefQuery(ADMIN, sort=BY_NAME)) == ["x", "y"]

    def test_an_own_public_namespace_is_found_once(self, database: Database) -> None:
        add(
            database,
            make_namespace("x", visibility=PUBLIC, associations=(make_association("a"), make_association("b"))),
        )
        assert both(database.metadefs, MetadefQuery(OWNER)) == ["x"]
        assert both(database.metadefs, MetadefQuery(OWNER, resource_types=("a", "b"))) == ["x"]

    # -- filters, order, pages ---------------------------------------------------------------------
    def test_resource_types_are_any_of_them_exactly(self, database: Database) -> None:
        add(
            database,
            make_namespace("a", associations=(make_association("X"),)),
            make_namespace("b", associations=(make_association("Y"), make_association("Z"))),
            make_namespace("c"),
        )
        for asked, expected in (
            (("X",), ["a"]),
            (("Y", "X"), ["a", "b"]),
            (("x",), []),
            (("X ",), []),
            ((), ["a", "b", "c"]),
        ):
            assert both(database.metadefs, MetadefQuery(OWNER, resource_types=asked, sort=BY_NAME)) == expected, asked

    @pytest.mark.parametrize("descending", [True, False])
    @pytest.mark.parametrize("field", MetadefField)
    @pytest.mark.parametrize("viewer", [OWNER, ADMIN])
    def test_sorted_pages_give_each_namespace_once(
        self, database: Database, viewer: Viewer, field: MetadefField, descending: bool
    ) -> None:
        rng = random.Random(1)  # noqa: S311 - to repeat a failure
        made = [
            make_namespace(
                f"{rng.choice('aAbB')}{n}",
                n // 3,
                visibility=rng.choice((PUBLIC, PRIVATE)),
                display_name=rng.choice((None, "x", "X", "y")),
                owner=rng.choice(("ours", "theirs", None)),
                updated_at=after(rng.randrange(4)),
            )
            for n in range(25)
        ]
        add(database, *made)
        model = MemoryDatabase()
        add(model, *made)
        query = MetadefQuery(viewer, sort=(MetadefSort(field, descending),), limit=1000)
        expected = names(model.metadefs.find(query))
        assert both(database.metadefs, query) == expected
        for limit in (1, 4):
            assert pages(database.metadefs.find, replace(query, limit=limit)) == expected
        assert pages(database.metadefs.find_whole, replace(query, limit=7)) == expected
        assert database.metadefs.find(replace(query, limit=0)) == []

    def test_a_marker_need_not_match_but_must_be_seen(self, database: Database) -> None:
        add(
            database,
            make_namespace("a", 0, visibility=PUBLIC),
            make_namespace("b", 1, owner="theirs"),
            make_namespace("c", 2, visibility=PUBLIC),
        )
        assert both(database.metadefs, MetadefQuery(ADMIN, marker="b")) == ["a"]
        assert both(database.metadefs, MetadefQuery(ADMIN, marker="b", visibility=PUBLIC)) == ["a"]
        for marker in ("b", "never", ""):
            for read in (database.metadefs.find, database.metadefs.find_whole):
                with pytest.raises(errors.NamespaceNotFound):
                    read(MetadefQuery(OWNER, marker=marker))

    # -- changes -----------------------------------------------------------------------------------
    def test_a_change_replaces_everything(self, database: Database) -> None:
        before = full("before", version=1)
        changed = saved_namespace(
            before,
            name="after",
            display_name=None,
            description=None,
            visibility=PRIVATE,
            protected=False,
            owner="theirs",
            associations=(make_association("OS::Nova::Flavor", "new:"), make_association("New")),
            properties=(),
            objects=(make_object("o"),),
            tags=(make_tag("t2"),),
        )
        add(database, before)
        database.metadefs.commit(NamespaceChanged(before, changed))
        assert database.metadefs.get("after") == changed
        with pytest.raises(errors.NamespaceNotFound):
            database.metadefs.get("before")
        assert both(database.metadefs, MetadefQuery(ADMIN, resource_types=("New",))) == ["after"]
        gone = before.associations[1].name
        assert both(database.metadefs, MetadefQuery(ADMIN, resource_types=(gone,))) == []

    def test_a_stale_change_is_refused(self, database: Database) -> None:
        first = make_namespace()
        second = saved_namespace(first, display_name="second")
        add(database, first)
        database.metadefs.commit(NamespaceChanged(first, second))
        with pytest.raises(errors.ConcurrentChange):
            database.metadefs.commit(NamespaceChanged(first, saved_namespace(first, display_name="stale")))
        with pytest.raises(errors.ConcurrentChange):
            database.metadefs.commit(NamespaceRemoved(first))
        assert database.metadefs.get("ns") == second

    def test_one_of_many_parallel_changes_wins(self, database: Database) -> None:
        first = make_namespace()
        add(database, first)
        found = race(
            8, lambda n: database.metadefs.commit(NamespaceChanged(first, saved_namespace(first, display_name=str(n))))
        )
        assert sorted(type(x).__name__ for x in found) == ["ConcurrentChange"] * 7 + ["NoneType"]

    def test_one_of_many_parallel_additions_wins(self, database: Database) -> None:
        found = race(8, lambda n: add(database, make_namespace("same", associations=(make_association(f"t{n % 2}"),))))
        assert sorted(type(x).__name__ for x in found) == ["MetadefExists"] * 7 + ["NoneType"]

    def test_a_wrong_next_version_is_the_callers_mistake(self, database: Database) -> None:
        first = make_namespace()
        add(database, first)
        for wrong in (
            first,
            replace(first, version=3),
            replace(first, version=2, id="other"),
            replace(first, version=2, created_at=after(9)),
        ):
            with pytest.raises(ValueError, match="next version"):
                database.metadefs.commit(NamespaceChanged(first, wrong))

    def test_what_is_gone_cannot_be_changed_or_removed(self, database: Database) -> None:
        gone = make_namespace()
        for change in (NamespaceChanged(gone, saved_namespace(gone)), NamespaceRemoved(gone)):
            with pytest.raises(errors.NamespaceNotFound):
                database.metadefs.commit(change)

    def test_a_rename_onto_a_name_in_use_is_refused(self, database: Database) -> None:
        one, two = make_namespace("one"), make_namespace("two")
        add(database, one, two)
        with pytest.raises(errors.MetadefExists):
            database.metadefs.commit(NamespaceChanged(one, saved_namespace(one, name="two")))
        assert both(database.metadefs, MetadefQuery(OWNER, sort=BY_NAME)) == ["one", "two"]

    def test_a_removed_name_may_be_used_again(self, database: Database) -> None:
        first = full(version=1)
        add(database, first)
        database.metadefs.commit(NamespaceRemoved(first))
        assert database.metadefs.find(MetadefQuery(ADMIN)) == []
        assert both(database.metadefs, MetadefQuery(ADMIN, resource_types=("OS::Nova::Flavor",))) == []
        again = make_namespace("full")
        add(database, again)
        assert database.metadefs.get("full") == again

    def test_resource_types_stay_known_since_the_first_association(self, database: Database) -> None:
        first = make_namespace("a", associations=(make_association("B", second=1.5), make_association("a", second=2)))
        add(database, first)
        database.metadefs.commit(NamespaceRemoved(first))
        add(database, make_namespace("b", associations=(make_association("B", second=9),)))
        second = make_namespace("c")
        changed = saved_namespace(second, associations=(make_association("C", second=7),))
        database.metadefs.commit(NamespaceAdded(second), NamespaceChanged(second, changed))
        assert database.metadefs.resource_types() == [
            ResourceType("B", after(1.5), after(1.5)),
            ResourceType("C", after(7), after(7)),
            ResourceType("a", after(2), after(2)),
        ]

    def test_a_commit_is_applied_whole_or_not_at_all(self, database: Database) -> None:
        kept, gone = make_namespace("kept"), make_namespace("gone")
        add(database, kept, gone)
        failing: list[tuple[MetadefChange, type[errors.GlanceError]]] = [
            (NamespaceAdded(make_namespace("kept")), errors.MetadefExists),
            (NamespaceChanged(gone, saved_namespace(gone)), errors.NamespaceNotFound),
            (NamespaceRemoved(kept), errors.ConcurrentChange),
        ]
        for last, error in failing:
            with pytest.raises(error):
                database.metadefs.commit(
                    NamespaceAdded(make_namespace("new", associations=(make_association("New"),))),
                    NamespaceChanged(kept, saved_namespace(kept, display_name="changed")),
                    NamespaceRemoved(gone),
                    last,
                )
            assert both(database.metadefs, MetadefQuery(OWNER, sort=BY_NAME)) == ["gone", "kept"]
            assert database.metadefs.get("kept") == kept
            assert database.metadefs.resource_types() == []
        database.metadefs.commit()

    # -- against a model ---------------------------------------------------------------------------
    @pytest.mark.parametrize("seed", range(3))
    def test_a_random_history_ends_as_in_memory(self, database: Database, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - to repeat a failure
        model = MemoryDatabase()
        for step in range(80):
            changes = [_random_change(rng, model, step) for _ in range(rng.choice((1, 1, 2)))]
            assert _outcome(database, changes) == _outcome(model, changes), changes
        assert database.metadefs.resource_types() == model.metadefs.resource_types()
        for _ in range(80):
            query = MetadefQuery(
                Viewer(rng.choice(("ours", "theirs", None)), admin=rng.random() < 0.3),
                rng.choice((None, None, *MetadefVisibility)),
                rng.choice(((), ("A",), ("A", "B"))),
                tuple(MetadefSort(x, rng.random() < 0.5) for x in rng.sample(list(MetadefField), 2)),
                rng.choice((None, "n1", "n2", "n3")),
                rng.choice((1, 3, 50)),
            )
            assert _answer(database, query) == _answer(model, query), query


def _random_change(rng: random.Random, model: MemoryDatabase, step: int) -> MetadefChange:
    def own() -> dict[str, object]:
        return {
            "visibility": rng.choice(list(MetadefVisibility)),
            "owner": rng.choice(("ours", "theirs", None)),
            "display_name": rng.choice((None, "x", "X")),
            "tags": tuple(make_tag(x) for x in rng.sample("abc", 2)),
            "associations": tuple(
                make_association(x, rng.choice((None, "p_")), step) for x in rng.sample("ABC", rng.randrange(3))
            ),
        }

    name = f"n{rng.randrange(6)}"
    stored = model.metadefs.namespaces.get(name)
    if stored is None or rng.random() < 0.2:
        return NamespaceAdded(make_namespace(name, step // 2, **own()))
    if rng.random() < 0.3:
        return NamespaceRemoved(stored if rng.random() < 0.8 else replace(stored, version=99))
    after_change = saved_namespace(stored, **own())
    return NamespaceChanged(
        stored, replace(after_change, name=f"n{rng.randrange(6)}") if rng.random() < 0.3 else after_change
    )


def _outcome(database: Database, changes: Sequence[MetadefChange]) -> type[errors.GlanceError] | None:
    try:
        database.metadefs.commit(*changes)
    except errors.GlanceError as error:
        return type(error)
    return None


def _answer(database: Database, query: MetadefQuery) -> list[Namespace] | type[errors.GlanceError]:
    try:
        return database.metadefs.find_whole(query)
    except errors.NamespaceNotFound as error:
        return type(error)
