"""A fixed number of statements, and no scan of a table, whatever is asked."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from glancecore_db_sql import metadef_query
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.engine import Session
from glancecore_db_sql.rows import Row
from sqlalchemy import event

from glancecore.domain import errors
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
from glancecore.ports.outbox_repository import EventsRecorded
from glancecore.ports.repository import (
    ImageAdded,
    ImageChanged,
    ImageQuery,
    ImageRemoved,
    LeaseTaken,
    RangeFilter,
    Sort,
    SortField,
    TimeFilter,
    TimeOp,
    WithinLimits,
)
from glancecore.testing.examples import (
    ADMIN,
    OWNER,
    START,
    after,
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
from glancecore.testing.outbox_repository import delivered, make_event

from . import flatness

VIEWERS = (OWNER, ADMIN, Viewer("ours", admin=True), Viewer(None))


@contextmanager
def counted(database: SqlDatabase) -> Iterator[list[tuple[str, Any]]]:
    """Each statement with its values."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        seen.append((statement, values))

    event.listen(database.connections.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.connections.engine, "before_cursor_execute", note)


class TestStatements:
    def statements(self, database: SqlDatabase, call: Callable[[], object]) -> int:
        with counted(database) as seen:
            call()
        return len(seen)

    def test_reads_take_one_statement(self, database: SqlDatabase) -> None:
        made = [
            make_image(
                n,
                tags=("a", "b"),
                properties={"k": "v"},
                visibility=Visibility.PUBLIC,
                locations=(make_location(str(n)),),
            )
            for n in range(50)
        ]
        database.images.commit(*(ImageAdded(x) for x in made))
        images = database.images
        for viewer in VIEWERS:
            assert self.statements(database, partial(images.get, made[0].id, viewer)) == 1
            plain = ImageQuery(viewer, limit=1000)
            for wanted in (plain, replace(plain, limit=1), replace(plain, member_status=None)):
                assert self.statements(database, partial(images.find, wanted)) == 1
            # where its window ends is asked first, unless each slice is a range of an index
            for wanted in (replace(plain, tags=("a",)), replace(plain, equal={"name": ("x",)})):
                assert self.statements(database, partial(images.find, wanted)) == (
                    1 if viewer.project is None or viewer.admin else 2
                )
            assert self.statements(database, partial(images.find, replace(plain, equal={"min_ram": (3,)}))) == 2
            # the facets are counted first
            assert (
                self.statements(database, partial(images.find, replace(plain, tags=("a", "b"), properties={"k": "v"})))
                == 2
            )
            nothing = viewer.project is None and not viewer.admin
            shared = replace(plain, visibility=Visibility.SHARED)
            assert self.statements(database, partial(images.find, shared)) == (
                0 if nothing else 1 if viewer.admin else 2
            )
        wanted = ImageQuery(OWNER, marker=made[30].id)
        assert self.statements(database, lambda: images.find(wanted)) == 2
        for call in (
            lambda: images.usage("ours"),
            lambda: images.lease("x"),
            images.leases,
            images.expired,
            images.unleased,
            lambda: images.members("x"),
            lambda: images.get_any(made[0].id),
        ):
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
        assert (
            self.statements(
                database, lambda: images.commit(LeaseTaken(lease, 60), WithinLimits("ours", Limits(bytes=10)))
            )
            == 5
        )
        # begin, what is stored, image, removed id, usage, commit
        assert self.statements(database, lambda: images.commit(ImageRemoved(tagged, START))) == 6


SHAPES = [
    ImageQuery(
        viewer, limit=20, visibility=visibility, all_visible=everything, sort=sort, member_status=status, **asked
    )
    for viewer in VIEWERS
    for visibility, everything in [(None, False), (None, True), *((x, False) for x in Visibility)]
    for status in (None, MemberStatus.ACCEPTED)
    for sort in [
        tuple(Sort(x, down) for x in fields)
        for down in (True, False)
        for fields in (
            (SortField.CREATED_AT, SortField.ID),
            (SortField.NAME, SortField.CREATED_AT, SortField.ID),
            (SortField.UPDATED_AT, SortField.CREATED_AT, SortField.ID),
            (SortField.SIZE, SortField.ID),
        )
    ]
    for asked in (
        {},
        {"tags": ("a",)},
        {"tags": ("a", "b"), "properties": {"k": "v"}},
        {"equal": {"name": ("x",)}},
        {"equal": {"owner": ("ours",)}},
        {"equal": {"owner": ("theirs",)}},
        {"equal": {"checksum": ("c",)}},
    )
]


def explained(database: SqlDatabase, text: str, values: Sequence[object]) -> list[str]:
    return [str(x[3]) for x in database.connections.read(lambda db: db.rows(f"EXPLAIN QUERY PLAN {text}", *values))]


def asked(database: SqlDatabase, wanted: ImageQuery) -> list[tuple[str, Any]]:
    """The statements of a list, refused or not."""
    with counted(database) as seen, suppress(errors.TooBroad):
        database.images.find(wanted)
    return seen


@pytest.mark.parametrize("most", [1, 1000])
def test_no_list_scans_a_table_or_sorts_what_an_index_has_in_order(
    opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory, most: int
) -> None:
    database = opened(f"sqlite:///{tmp_path_factory.mktemp('plan')}/x.sqlite")
    database.sync()
    made = [
        make_image(n, name="m", size=5, visibility=Visibility.PUBLIC, tags=("a", "b"), properties={"k": "v"})
        for n in range(5)
    ]
    database.images.commit(*map(ImageAdded, made))
    for wanted, marker in itertools.product(SHAPES, (None, made[2].id)):
        for text, values in asked(database, replace(wanted, marker=marker, most=most, limit=min(most, 20))):
            plan = explained(database, text, values)
            assert not [x for x in plan if re.match(r"SCAN (i|m|f|g)\b", x)], (wanted, text, plan)
            if not wanted.tags and not wanted.equal and marker is None and "OFFSET" not in text and most == 1:
                read = [x for x in plan if re.match(r"SEARCH i USING .*images_visibility", x)]
                expected = {SortField.CREATED_AT: "created", SortField.NAME: "name", SortField.UPDATED_AT: "updated"}
                name = expected.get(wanted.sort[0].field)
                assert name is None or all(name in x for x in read), (wanted, plan)


@pytest.mark.parametrize("owner", ["theirs", "ours"])
def test_few_memberships_are_looked_up_for_an_owner(
    opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory, owner: str
) -> None:
    """One by one, of the images in a window."""
    database = opened(f"sqlite:///{tmp_path_factory.mktemp('plan')}/x.sqlite")
    database.sync()
    database.images.commit(*(ImageAdded(make_image(n, owner=owner, visibility=Visibility.PRIVATE)) for n in range(100)))
    for status, everything, field in itertools.product((None, MemberStatus.ACCEPTED), (True, False), SortField):
        wanted = ImageQuery(
            OWNER,
            limit=2,
            most=80,
            equal={"owner": (owner,)},
            member_status=status,
            all_visible=everything,
            sort=(Sort(field),),
        )
        for text, _ in asked(database, wanted):
            windows = [
                int(x)
                for x in re.findall(
                    r"LIMIT (\d+) \) w WHERE[^()]*(?:\([^()]*\)[^()]*)*?\(SELECT m\.status FROM image_members", text
                )
            ]
            assert not [x for x in windows if x > 80 // 8 + 1], (wanted, text)


BY_NAME = (Sort(SortField.NAME), Sort(SortField.CREATED_AT), Sort(SortField.ID))
ASKED = {
    "two common tags": ImageQuery(ADMIN, limit=1, tags=("tag-0-3", "tag-1-3")),
    "a common tag and a common property": ImageQuery(
        ADMIN, limit=1, tags=("tag-0-3",), properties={"property-0": "value-3"}
    ),
    "a common tag by name": ImageQuery(ADMIN, tags=("tag-0-3",), sort=(Sort(SortField.NAME), Sort(SortField.ID))),
    "a common tag and a rare property": ImageQuery(ADMIN, tags=("tag-0-3",), properties={"serial": "503"}),
    "a rare tag and a common property": ImageQuery(ADMIN, tags=("never",), properties={"property-0": "value-3"}),
    "a rare tag by name": ImageQuery(ADMIN, tags=("never",), sort=(Sort(SortField.NAME), Sort(SortField.ID))),
    **{
        f"{who}: {name}": ImageQuery(viewer, limit=20, **parts)  # type: ignore[arg-type]
        for who, viewer in (("admin", ADMIN), ("member", Viewer(flatness.LARGE)))
        for name, parts in {
            "names": {"equal": {"name": ("image-77", "image-78")}},
            "names in order": {"equal": {"name": ("image-77", "x")}, "sort": BY_NAME},
            "by size": {"sort": (Sort(SortField.SIZE), Sort(SortField.ID))},
            "no such format": {"equal": {"disk_format": ("vdi",)}},
            "no such format by name": {"equal": {"disk_format": ("vdi",)}, "sort": BY_NAME},
            "no such size": {"ranges": (RangeFilter("size", 2**50),)},
            "lately changed": {"times": (TimeFilter(SortField.UPDATED_AT, TimeOp.GT, after(1900)),)},
            "private": {"visibility": Visibility.PRIVATE},
            "shared by name": {"visibility": Visibility.SHARED, "sort": BY_NAME},
            "hidden": {"hidden": True, "equal": {"protected": (True,)}},
            "a foreign owner": {"equal": {"owner": ("project-3",), "min_ram": (7,)}},
            "a foreign owner, all": {"equal": {"owner": ("project-3",)}, "all_visible": True, "member_status": None},
            "a foreign owner by name": {"equal": {"owner": ("project-3",)}, "sort": BY_NAME},
            "a tag and no such format": {"tags": ("tag-0-3",), "equal": {"disk_format": ("vdi",)}},
            "no such algorithm": {"equal": {"hash_algo": ("md5",)}},
        }.items()
    },
}


def test_a_list_takes_as_many_steps_whatever_the_number_of_images(
    opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Steps of the database's own machine, which it counts; no time is taken."""
    file = tmp_path_factory.mktemp("steps") / "x.sqlite"
    database = opened(f"sqlite:///{file}")
    database.sync()
    seen: dict[str, list[int]] = {name: [] for name in ASKED}
    flatness.fill(database, 0, 1000)
    for count in (4000, 16000):
        flatness.multiply(database, 1000, count)
        for name, wanted in ASKED.items():
            texts = asked(database, replace(wanted, most=80))
            seen[name].append(sum(steps(file, text, values) for text, values in texts))
    for name, (few, many) in seen.items():
        assert many < 2 * few + 1000, (name, few, many)


def steps(file: Path, text: str, values: Sequence[Any]) -> int:
    with closing(sqlite3.connect(file)) as connection:
        found = 0

        def note() -> int:
            nonlocal found
            found += 10
            return 0

        connection.set_progress_handler(note, 10)
        connection.execute(text, values).fetchall()
        return found


def test_rounds_over_all_images_follow_an_index(
    opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    database.images.deleted("ours", make_image(), 10)
    database.images.deleted(None)
    monkeypatch.undo()
    plans = [explained(database, text, values) for text, values in asked]
    assert [
        x for x in plans[0] if "TEMP B-TREE" in x or not x.startswith("SEARCH i USING INDEX sqlite_autoindex_images")
    ] == []
    assert re.match(r"SEARCH i USING INDEX images_status \(status=\?\)", plans[1][0])
    for plan in plans[2:]:
        assert [
            re.match(r"SEARCH i USING INDEX images_owner_updated \(owner=\? AND shelf=\?", x) is not None for x in plan
        ] == [True], plan


# -- metadata definitions --------------------------------------------------------------------------
class TestMetadefStatements(TestStatements):
    def test_reads_take_one_statement(self, database: SqlDatabase) -> None:
        made = [
            make_namespace(
                f"n{n}",
                n,
                visibility=MetadefVisibility.PUBLIC,
                associations=(make_association("A"), make_association("B")),
                properties=tuple(make_property(f"p{x}") for x in range(10)),
                tags=(make_tag(),),
                objects=(make_object("o", make_property()),),
            )
            for n in range(40)
        ]
        database.metadefs.commit(*(NamespaceAdded(x) for x in made))
        metadefs = database.metadefs
        for viewer in VIEWERS:
            assert self.statements(database, partial(metadefs.get, "n7", viewer)) == 1
            for wanted in (
                MetadefQuery(viewer, limit=100),
                MetadefQuery(viewer, limit=1),
                MetadefQuery(viewer, resource_types=("A", "B")),
                MetadefQuery(viewer, visibility=MetadefVisibility.PUBLIC),
            ):
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
    opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = opened(f"sqlite:///{tmp_path_factory.mktemp('plan')}/x.sqlite")
    database.sync()
    for viewer in VIEWERS:
        for field in (MetadefField.CREATED_AT, MetadefField.NAMESPACE):
            for descending in (True, False):
                for marker in (None, make_namespace("m")):
                    for visibility in (None, *MetadefVisibility):
                        wanted = MetadefQuery(viewer, visibility, sort=(MetadefSort(field, descending),))
                        asked = metadef_query.statement(wanted, marker, ("associations",), database.connections.dialect)
                        if asked is None:
                            continue
                        plan = explained(database, *asked)
                        read = [x for x in plan if re.match(r"(SCAN|SEARCH) n\b", x)]
                        assert all("USING" in x for x in read), (wanted, plan)


# -- outbox ----------------------------------------------------------------------------------------
class TestOutboxStatements(TestStatements):
    def test_reads_take_one_statement(self, database: SqlDatabase) -> None:
        database.images.commit(EventsRecorded(tuple(make_event(str(n % 10)) for n in range(50))))
        outbox = database.outbox
        for call in (outbox.waiting, outbox.find, lambda: outbox.find("d"), lambda: outbox.claim("nobody", 100, 60)):
            assert self.statements(database, call) == 1

    def test_writes_take_few_statements(self, database: SqlDatabase) -> None:
        image, recorded = make_image(), EventsRecorded((make_event(), make_event("t"), make_event(destination="e")))
        # begin, image, removed id, usage, commit: without events the outbox is not touched
        assert self.statements(database, lambda: database.images.commit(ImageAdded(image))) == 5
        # begin, image, events, commit
        assert (
            self.statements(
                database, lambda: database.images.commit(ImageChanged(image, saved(image, name="n")), recorded)
            )
            == 4
        )
        claimed = []
        # what is due, begin, claim, what is claimed, commit
        assert self.statements(database, lambda: claimed.extend(database.outbox.claim("d", 100, 60))) == 5
        assert len(claimed) == 2
        # begin, all delivered, commit
        assert self.statements(database, lambda: database.outbox.settle([delivered(x) for x in claimed])) == 3


def test_no_claim_scans_or_sorts_the_outbox(
    opened: Callable[..., SqlDatabase], tmp_path_factory: pytest.TempPathFactory
) -> None:
    database = opened(f"sqlite:///{tmp_path_factory.mktemp('plan')}/x.sqlite")
    database.sync()
    with counted(database) as seen:
        database.outbox.claim("d", 100, 60)
    plan = explained(database, *seen[0])
    assert [x for x in plan if re.match(r"SEARCH o USING INDEX outbox_destination \(destination=\?\)", x)], plan
    assert [
        x
        for x in plan
        if re.match(r"SEARCH e USING .*INDEX outbox_subject \(destination=\? AND subject=\? AND position<\?\)", x)
    ], plan
    assert not [x for x in plan if "SCAN" in x or "TEMP B-TREE" in x], plan
