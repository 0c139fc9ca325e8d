"""A fixed number of statements, and no scan of a table, whatever is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
from glancecore_db_sql import metadef_query, query
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.engine import Session
from glancecore_db_sql.rows import Row
from sqlalchemy import event

from glancecore.domain.context import Viewer
from glancecore.domain.image import Status, Visibility
from glancecore.domain.member import MemberStatus
from glancecore.domain.metadef import MetadefVisibility
from glancecore.domain.quota import Limits
from glancecore.ports.metadef_repository import (
    MetadefField,
    MetadefQuery,
    MetadefSort,
    NamespaceAdded,
    NamespaceChanged,
    NamespaceRemoved,
)
from glancecore.ports.repository import (
    ImageAdded,
    ImageChanged,
    ImageQuery,
    ImageRemoved,
    LeaseTaken,
    Sort,
    SortField,
    WithinLimits,
)
from glancecore.testing.examples import (
    ADMIN,
    OWNER,
    START,
    make_association,
    make_image,
    make_lease,
    make_location,
    make_namespace,
    make_object,
    make_property,
    make_tag,
    saved,
    saved_namespace,
)

VIEWERS = (OWNER, ADMIN, Viewer("ours", admin=True), Viewer(None))


@contextmanager
def counted(database: SqlDatabase) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(database.connections.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.connections.engine, "before_cursor_execute", note)


class TestStatements:
    def statements(self, database: SqlDatabase, call: Callable[[], object]) -> int:
        with counted(database) as seen:
            call()
        return len(seen)

    def test_reads_take_one_statement(self, database: SqlDatabase) -> None:
        made = [make_image(n, tags=("a", "b"), properties={"k": "v"}, visibility=Visibility.PUBLIC,
                           locations=(make_location(str(n)),)) for n in range(50)]
        database.images.commit(*(ImageAdded(x) for x in made))
        images = database.images
        for viewer in VIEWERS:
            assert self.statements(database, partial(images.get, made[0].id, viewer)) == 1
            plain = ImageQuery(viewer, limit=1000)
            for wanted in (plain, replace(plain, limit=1), replace(plain, tags=("a", "b"), properties={"k": "v"}),
                           replace(plain, member_status=None), replace(plain, all_visible=True)):
                assert self.statements(database, partial(images.find, wanted)) == 1
            nothing = viewer.project is None and not viewer.admin
            shared = replace(plain, visibility=Visibility.SHARED)
            assert self.statements(database, partial(images.find, shared)) == (0 if nothing else 1)
        wanted = ImageQuery(OWNER, marker=made[30].id)
        assert self.statements(database, lambda: images.find(wanted)) == 2
        for call in (lambda: images.usage("ours"), lambda: images.lease("x"), images.expired, images.unleased,
                     lambda: images.members("x"), lambda: images.get_any(made[0].id)):
            assert self.statements(database, call) == 1

    def test_writes_take_few_statements(self, database: SqlDatabase) -> None:
        image = make_image(tags=("a", "b"), properties={"k": "v", "l": "w"})
        images = database.images
        # begin, image, removed id, facets, usage, commit
        assert self.statements(database, lambda: images.commit(ImageAdded(image))) == 6
        renamed = saved(image, name="new")
        # begin, image, commit: neither facets nor usage change
        assert self.statements(database, lambda: images.commit(ImageChanged(image, renamed))) == 3
        tagged = saved(renamed, tags=("a", "c"))
        assert self.statements(database, lambda: images.commit(ImageChanged(renamed, tagged))) == 5
        lease = make_lease(image, reserved=5)
        # begin, lease, lock of the usage, usage, commit
        assert self.statements(
            database, lambda: images.commit(LeaseTaken(lease, 60), WithinLimits("ours", Limits(bytes=10)))) == 5
        # begin, what is stored, image, removed id, usage, commit
        assert self.statements(database, lambda: images.commit(ImageRemoved(tagged, START))) == 6


SHAPES = [
    ImageQuery(viewer, limit=20, visibility=visibility, all_visible=everything, sort=sort, member_status=status, **asked)
    for viewer in VIEWERS
    for visibility, everything in [(None, False), (None, True), *((x, False) for x in Visibility)]
    for status in (None, MemberStatus.ACCEPTED)
    for sort in [tuple(Sort(x, down) for x in fields) for down in (True, False) for fields in (
        (SortField.CREATED_AT, SortField.ID), (SortField.NAME, SortField.CREATED_AT, SortField.ID),
        (SortField.UPDATED_AT, SortField.CREATED_AT, SortField.ID), (SortField.SIZE, SortField.ID))]
    for asked in ({}, {"tags": ("a",)}, {"tags": ("a", "b"), "properties": {"k": "v"}}, {"equal": {"name": ("x",)}},
                  {"equal": {"owner": ("ours",)}}, {"equal": {"checksum": ("c",)}})]


def explained(database: SqlDatabase, text: str, values: Sequence[object]) -> list[str]:
    return [str(x[3]) for x in database.connections.read(lambda db: db.rows(f"EXPLAIN QUERY PLAN {text}", *values))]


def test_no_list_scans_a_table_or_sorts_what_an_index_has_in_order(
        opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory) -> None:
    database = opened(f"sqlite:///{tmp_path_factory.mktemp('plan')}/x.sqlite")
    database.sync()
    marker = make_image(name="m", size=5)
    for wanted in SHAPES:
        for after in (None, marker):
            asked = query.statement(wanted, after, database.connections.flavor)
            if asked is None:
                continue
            text, values = asked
            plan = explained(database, text, values)
            assert not [x for x in plan if re.match(r"SCAN (i|m|f\d)\b", x)], (wanted, plan)
            if not wanted.tags and not wanted.equal:
                self_sorted = [x for x in plan if re.match(r"SEARCH i USING .*images_visibility", x)]
                expected = {SortField.CREATED_AT: "created", SortField.NAME: "name", SortField.UPDATED_AT: "updated"}
                name = expected.get(wanted.sort[0].field)
                assert name is None or all(name in x for x in self_sorted), (wanted, plan)


def test_rounds_over_all_images_follow_an_index(opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """A page costs the same however many images there are, and what is to be scrubbed is found among itself."""
    database = opened(f"sqlite:///{tmp_path_factory.mktemp('plan')}/x.sqlite")
    database.sync()
    asked: list[tuple[str, tuple[object, ...]]] = []
    rows = Session.rows

    def noted(self: Session, text: str, *values: object) -> Sequence[Row]:
        asked.append((text, values))
        return rows(self, text, *values)

    monkeypatch.setattr(Session, "rows", noted)
    database.images.scan(frozenset({Status.ACTIVE, Status.DEACTIVATED}), "x")
    database.images.pending(START)
    monkeypatch.undo()
    plans = [explained(database, text, values) for text, values in asked]
    assert [x for x in plans[0] if "TEMP B-TREE" in x or not x.startswith("SEARCH i USING INDEX sqlite_autoindex_images")] == []
    assert re.match(r"SEARCH i USING INDEX images_status \(status=\?\)", plans[1][0])


# -- metadata definitions ----------------------------------------------------------------------------------------------
class TestMetadefStatements(TestStatements):
    def test_reads_take_one_statement(self, database: SqlDatabase) -> None:
        made = [make_namespace(f"n{n}", n, visibility=MetadefVisibility.PUBLIC, associations=(make_association("A"), make_association("B")),
                               properties=tuple(make_property(f"p{x}") for x in range(10)), tags=(make_tag(),),
                               objects=(make_object("o", make_property()),)) for n in range(40)]
        database.metadefs.commit(*(NamespaceAdded(x) for x in made))
        metadefs = database.metadefs
        for viewer in VIEWERS:
            assert self.statements(database, partial(metadefs.get, "n7", viewer)) == 1
            for wanted in (MetadefQuery(viewer, limit=100), MetadefQuery(viewer, limit=1),
                           MetadefQuery(viewer, resource_types=("A", "B")), MetadefQuery(viewer, visibility=MetadefVisibility.PUBLIC)):
                assert self.statements(database, partial(metadefs.find, wanted)) == 1
                assert self.statements(database, partial(metadefs.find_whole, wanted)) == 1
                assert self.statements(database, partial(metadefs.find, replace(wanted, marker="n30"))) == 2
        assert self.statements(database, metadefs.resource_types) == 1

    def test_writes_take_few_statements(self, database: SqlDatabase) -> None:
        first = make_namespace(associations=(make_association("A"),), properties=(make_property(),))
        # begin, namespace, resource type, association, commit
        assert self.statements(database, lambda: database.metadefs.commit(NamespaceAdded(first))) == 5
        second = saved_namespace(first, tags=tuple(make_tag(f"t{n}") for n in range(100)))
        # begin, namespace, commit
        assert self.statements(database, lambda: database.metadefs.commit(NamespaceChanged(first, second))) == 3
        assert self.statements(database, lambda: database.metadefs.commit(NamespaceRemoved(second))) == 3


def test_no_list_of_namespaces_scans_or_sorts_the_table(
        opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory) -> None:
    database = opened(f"sqlite:///{tmp_path_factory.mktemp('plan')}/x.sqlite")
    database.sync()
    for viewer in VIEWERS:
        for field in (MetadefField.CREATED_AT, MetadefField.NAMESPACE):
            for descending in (True, False):
                for marker in (None, make_namespace("m")):
                    for visibility in (None, *MetadefVisibility):
                        wanted = MetadefQuery(viewer, visibility, sort=(MetadefSort(field, descending),))
                        asked = metadef_query.statement(wanted, marker, ("associations",), database.connections.flavor)
                        if asked is None:
                            continue
                        plan = explained(database, *asked)
                        read = [x for x in plan if re.match(r"(SCAN|SEARCH) n\b", x)]
                        assert all("USING" in x for x in read), (wanted, plan)
