"""The conformance kit for database drivers: one test for each rule of ``glancecore.ports.repository``.

class TestMine(RepositoryConformance):
    @pytest.fixture
    def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import itertools
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import pytest

from glancecore.domain import errors, metadata
from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.image import HIDDEN, Image, Location, LocationStatus, Status, Visibility
from glancecore.domain.lease import BlobRef, Operation
from glancecore.domain.member import MemberStatus
from glancecore.domain.quota import Limits, Usage, weigh
from glancecore.ports import unlisted
from glancecore.ports.record_repository import RecordAdded, RecordRemoved
from glancecore.ports.repository import (
    Change,
    Database,
    ImageAdded,
    ImageChanged,
    ImageQuery,
    ImageRemoved,
    ImageRepository,
    LeaseChanged,
    LeaseEnded,
    LeaseTaken,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    RangeFilter,
    Sort,
    SortField,
    TimeFilter,
    TimeOp,
    WithinLimits,
)
from glancecore.testing.examples import (
    ACCEPTED,
    ADMIN,
    FRIEND,
    NOBODY,
    OWNER,
    PENDING,
    REJECTED,
    START,
    STRANGER,
    after,
    make_image,
    make_lease,
    make_location,
    make_member,
    saved,
    with_data,
)
from glancecore.testing.fakes import MemoryDatabase

PUBLIC, PRIVATE, SHARED, COMMUNITY = Visibility.PUBLIC, Visibility.PRIVATE, Visibility.SHARED, Visibility.COMMUNITY
EVERY = frozenset(Visibility)
#: Text that breaks careless quoting, JSON, LIKE, placeholders, 3-byte character sets or collations.
TEXTS = (
    "plain",
    "Plain",
    "pláin",
    "pla\u0301in",
    "plain ",
    " plain",
    "",
    "😀 \U0001d4b3",
    'it\'s "quoted" \\ and\nbroken\t',
    "100% %s ?",
    "[]",
    "{}",
    "null",
    "0",
    "日本語",
)


T = TypeVar("T")


class Relation:
    """Who looks at an image, and what he must see of each kind of question: written out, not computed."""

    def __init__(
        self,
        viewer: Viewer,
        member: MemberStatus | None,
        get: Iterable[Visibility],
        default: Iterable[Visibility],
        by_visibility: Iterable[Visibility],
        everything: Iterable[Visibility],
    ) -> None:
        self.viewer, self.member = viewer, member
        self.get, self.default = frozenset(get), frozenset(default)
        self.by_visibility, self.everything = frozenset(by_visibility), frozenset(everything)


OPEN = (PUBLIC, COMMUNITY)
NOT_PRIVATE = (PUBLIC, COMMUNITY, SHARED)
RELATIONS = {
    "owner": Relation(OWNER, None, EVERY, EVERY, EVERY, EVERY),
    "accepted": Relation(FRIEND, ACCEPTED, NOT_PRIVATE, (PUBLIC, SHARED), NOT_PRIVATE, NOT_PRIVATE),
    "pending": Relation(FRIEND, PENDING, NOT_PRIVATE, (PUBLIC,), OPEN, OPEN),
    "rejected": Relation(FRIEND, REJECTED, NOT_PRIVATE, (PUBLIC,), OPEN, OPEN),
    "stranger": Relation(STRANGER, None, OPEN, (PUBLIC,), OPEN, OPEN),
    "without project": Relation(NOBODY, None, OPEN, (PUBLIC,), OPEN, OPEN),
    "admin": Relation(ADMIN, None, EVERY, (PUBLIC, PRIVATE, SHARED), EVERY, EVERY),
    "admin without project": Relation(EVERYTHING, None, EVERY, (PUBLIC, PRIVATE, SHARED), EVERY, EVERY),
    "owning admin": Relation(Viewer(OWNER.project, admin=True), None, EVERY, EVERY, EVERY, EVERY),
    "accepted admin": Relation(
        Viewer(FRIEND.project, admin=True), ACCEPTED, EVERY, (PUBLIC, PRIVATE, SHARED), EVERY, EVERY
    ),
}
#: The same for an image without owner: nobody's own, and readable by everybody unless private.
OWNERLESS = {
    "accepted": Relation(FRIEND, ACCEPTED, NOT_PRIVATE, (PUBLIC, SHARED), NOT_PRIVATE, NOT_PRIVATE),
    "pending": Relation(FRIEND, PENDING, NOT_PRIVATE, (PUBLIC,), OPEN, NOT_PRIVATE),
    "stranger": Relation(STRANGER, None, NOT_PRIVATE, (PUBLIC,), OPEN, NOT_PRIVATE),
    "without project": Relation(NOBODY, None, NOT_PRIVATE, (PUBLIC,), OPEN, NOT_PRIVATE),
    "admin": Relation(ADMIN, None, EVERY, (PUBLIC, PRIVATE, SHARED), EVERY, EVERY),
    "admin without project": Relation(EVERYTHING, None, EVERY, (PUBLIC, PRIVATE, SHARED), EVERY, EVERY),
}


def add(database: Database, *images: Image) -> None:
    database.images.commit(*(ImageAdded(x) for x in images))


def ids(images: Iterable[Image]) -> list[str]:
    return [x.id for x in images]


def found(database: Database, viewer: Viewer = OWNER, **query: object) -> set[str]:
    """Names of the images found."""
    return {x.name or "" for x in listed(database.images, ImageQuery(viewer, **{"limit": 1000, **query}))}  # type: ignore[arg-type]


def listed(images: ImageRepository, query: ImageQuery) -> list[Image]:
    """The images of one page."""
    return list(images.find(query).images)


def pages(database: Database, query: ImageQuery) -> list[str]:
    """Ids of all pages."""
    return list(itertools.chain.from_iterable(each_page(database, query)))


def each_page(database: Database, query: ImageQuery) -> Iterator[list[str]]:
    """Ids of each page. Raises TooBroad."""
    for _ in range(1000):
        page = database.images.find(query)
        assert len(page.images) <= query.limit, "a page is longer than its limit"
        yield ids(page.images)
        if page.marker is None:
            return
        assert page.images, "a page without images leads on"
        database.images.get(
            page.marker, query.viewer
        )  # else its id is told to somebody who may not know it, and is no marker for him
        query = replace(query, marker=page.marker)
    pytest.fail("paging does not end")


@dataclass(frozen=True, slots=True)
class Crowd:
    """``listed``: images that OWNER lists. ``by_all``: others that everybody lists by ``all_visible``. ``unseen``: what
    else only an admin sees."""

    listed: Sequence[Image]
    by_all: Sequence[Image]
    unseen: Sequence[Image]

    def of(self, query: ImageQuery) -> list[Image]:
        """What is listed without the filters, whatever the visibility."""
        listed = [x for x in self.listed if query.viewer != STRANGER or x.visibility is PUBLIC]
        if query.viewer.admin:
            return [
                *listed,
                *self.unseen,
                *(x for x in self.by_all if query.all_visible or x.visibility is not COMMUNITY),
            ]
        return [*listed, *(self.by_all if query.all_visible else ())]


def in_order(images: Iterable[Image], sort: Sequence[Sort]) -> list[str]:
    """Ids in the asked order: null before everything, text by code points."""
    ordered = list(images)
    for key in reversed(sort):

        def value(image: Image, name: str = key.field.value) -> tuple[bool, object]:
            known = getattr(image, name)
            return known is not None, 0 if known is None else known

        ordered.sort(key=value, reverse=key.descending)
    return ids(ordered)


def race(count: int, work: Callable[[int], None]) -> list[BaseException | None]:
    """``work`` in ``count`` threads at once; what each raised."""

    def run(number: int) -> BaseException | None:
        try:
            work(number)
        except errors.GlanceError as error:
            return error
        return None

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class RepositoryConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give a synced and empty database")

    # -- one image ---------------------------------------------------------------------------------
    def test_an_image_is_read_as_it_was_added(self, database: Database) -> None:
        image = Image(
            str(uuid.uuid4()),
            after(0.123456),
            after(5.654321),
            "name",
            "ours",
            Status.ACTIVE,
            PUBLIC,
            True,
            True,
            "bare",
            "qcow2",
            512,
            3,
            2**40 + 1,
            2**62 + 1,
            "c" * 32,
            "sha512",
            "f" * 128,
            ("a", "b"),
            {"os": "linux", "empty": "", "null": None},
            (
                Location("file:///x", "fast", {"k": "v"}),
                Location("s3://y", "cheap", {}, LocationStatus.DELETING, damaged=True),
            ),
            7,
            3,
            "why",
        )
        add(database, image)
        assert database.images.get(image.id) == image
        assert database.images.get_any(image.id) == image
        assert listed(database.images, ImageQuery(OWNER, hidden=True)) == [image]

    def test_an_image_with_defaults_is_read_as_it_was_added(self, database: Database) -> None:
        image = Image(str(uuid.uuid4()), START, START)
        add(database, image)
        assert database.images.get(image.id) == image
        assert database.images.get(image.id).created_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("text", TEXTS)
    def test_any_text_is_kept(self, database: Database, text: str) -> None:
        image = make_image(
            name=text,
            owner=f"o{text}",
            tags=(text, f"{text}2"),
            properties={text: text, "p": text},
            last_error=text,
            locations=(Location(f"file:///{text}", "fast", {text: text}),),
        )
        lease = make_lease(image, holder=text, blobs=(BlobRef("fast", text),))
        member = make_member(image, f"m{text}")
        database.images.commit(ImageAdded(image), LeaseTaken(lease, 60), MemberAdded(member))
        me = Viewer(f"o{text}")
        assert database.images.get(image.id, me) == image
        assert database.images.lease(image.id) == lease
        assert database.images.members(image.id) == [member]
        assert listed(database.images, ImageQuery(Viewer(f"m{text}"), member_status=PENDING))[0].as_member == f"m{text}"
        for asked in (
            {"equal": {"name": (text,)}},
            {"tags": (text,)},
            {"properties": {text: text}},
            {"equal": {"owner": (f"o{text}",)}},
        ):
            assert listed(database.images, ImageQuery(me, **asked)) == [image], asked

    def test_an_unknown_image_is_not_found(self, database: Database) -> None:
        for read in (database.images.get, database.images.get_any):
            for id_ in (str(uuid.uuid4()), "", "no-uuid", "x" * 300, "😀"):
                with pytest.raises(errors.ImageNotFound):
                    read(id_)

    @pytest.mark.parametrize("status", Status)
    def test_an_image_in_a_hidden_status_is_unknown(self, database: Database, status: Status) -> None:
        image = make_image(status=status, visibility=PUBLIC, tags=("t",), properties={"p": "v"})
        add(database, image)
        database.images.commit(MemberAdded(make_member(image, status=ACCEPTED)))
        assert database.images.get_any(image.id).status is status
        queries = [
            ImageQuery(x, all_visible=y, hidden=z)
            for x in (OWNER, FRIEND, ADMIN)
            for y in (True, False)
            for z in (True, False)
        ]
        queries += [
            ImageQuery(OWNER, tags=("t",)),
            ImageQuery(ADMIN, properties={"p": "v"}),
            ImageQuery(ADMIN, equal={"status": (status.value,)}),
        ]
        if status in HIDDEN:
            with pytest.raises(errors.ImageNotFound):
                database.images.get(image.id)
            assert [listed(database.images, x) for x in queries] == [[]] * len(queries)
        else:
            assert database.images.get(image.id).id == image.id
            assert [len(listed(database.images, x)) for x in queries] == [int(not x.hidden) for x in queries]

    # -- who sees what -----------------------------------------------------------------------------
    def _check_view(self, database: Database, who: Relation, image: Image) -> None:
        images, visibility = database.images, image.visibility
        add(database, image)
        if who.member is not None:
            images.commit(MemberAdded(make_member(image, status=who.member)))
        is_member = who.member is not None and visibility is SHARED
        seen = replace(image, as_member=FRIEND.project if is_member else None)
        if visibility in who.get:
            assert images.get(image.id, who.viewer) == seen, "by id"
        else:
            with pytest.raises(errors.ImageNotFound):
                images.get(image.id, who.viewer)
        assert listed(images, ImageQuery(who.viewer)) == ([seen] if visibility in who.default else []), "default list"
        for asked in Visibility:
            expected = [seen] if asked is visibility and visibility in who.by_visibility else []
            assert listed(images, ImageQuery(who.viewer, visibility=asked)) == expected, f"visibility={asked.value}"
        expected = [seen] if visibility in who.everything else []
        assert listed(images, ImageQuery(who.viewer, all_visible=True)) == expected, "all visible"
        # The same lists by tag, by property and by owner.
        for query in (ImageQuery(who.viewer, tags=("t",)), ImageQuery(who.viewer, properties={"p": "v"})):
            assert listed(images, query) == ([seen] if visibility in who.default else []), "default list with a filter"
            assert listed(images, replace(query, all_visible=True)) == expected, "all visible with a filter"
        if image.owner is not None:
            by_owner = ImageQuery(who.viewer, equal={"owner": (image.owner,)})
            assert listed(images, by_owner) == ([seen] if visibility in who.default else []), "default list by owner"
            assert listed(images, replace(by_owner, all_visible=True)) == expected, "all visible by owner"
            assert not listed(images, ImageQuery(who.viewer, equal={"owner": ("others",)}, all_visible=True))

    @pytest.mark.parametrize("visibility", Visibility)
    @pytest.mark.parametrize("relation", RELATIONS)
    def test_who_sees_an_image(self, database: Database, relation: str, visibility: Visibility) -> None:
        self._check_view(
            database, RELATIONS[relation], make_image(visibility=visibility, tags=("t",), properties={"p": "v"})
        )

    @pytest.mark.parametrize("visibility", Visibility)
    @pytest.mark.parametrize("relation", OWNERLESS)
    def test_who_sees_an_image_without_owner(self, database: Database, relation: str, visibility: Visibility) -> None:
        self._check_view(
            database,
            OWNERLESS[relation],
            make_image(visibility=visibility, owner=None, tags=("t",), properties={"p": "v"}),
        )

    @pytest.mark.parametrize("asked", [PENDING, ACCEPTED, REJECTED, None])
    @pytest.mark.parametrize("status", MemberStatus)
    def test_member_status_selects_what_is_shared_with_the_viewer(
        self, database: Database, status: MemberStatus, asked: MemberStatus | None
    ) -> None:
        image, own = make_image(name="shared"), make_image(name="own", owner=FRIEND.project)
        add(database, image, own)
        database.images.commit(MemberAdded(make_member(image, status=status)))
        expected = {"own", "shared"} if asked in (None, status) else {"own"}
        assert found(database, FRIEND, member_status=asked) == expected
        assert found(database, FRIEND, member_status=asked, visibility=SHARED) == expected
        assert found(database, FRIEND, member_status=asked, all_visible=True) == expected
        assert found(database, ADMIN, member_status=asked, visibility=SHARED) == {"own", "shared"}

    def _unlisted(self, database: Database) -> None:
        """By name: when each is left out. ``stays`` are not public, or in no list of theirs."""
        owners, kinds = {"mine": "ours", "nobodys": None}, {"community": COMMUNITY, "shared": SHARED}
        made = {
            x: make_image(
                n,
                name=x,
                owner=owners.get(x, "theirs"),
                visibility=kinds.get(x, PUBLIC),
                tags=("t",),
                properties={"p": "v"},
            )
            for n, x in enumerate(("old", "soon", "never", "mine", "nobodys", "community", "shared"))
        }
        add(database, *made.values())
        moments = {x: after(20 if x == "soon" else 10) for x in made if x != "never"}
        database.images.commit(
            MemberAdded(make_member(made["shared"], "ours", ACCEPTED)),
            *(RecordAdded(unlisted.from_then_on(made[x].id, at)) for x, at in moments.items()),
        )

    def test_what_is_unlisted_leaves_the_lists_of_others(self, database: Database) -> None:
        self._unlisted(database)
        everything = {"old", "soon", "never", "mine", "nobodys", "shared"}
        for filters in ({}, {"tags": ("t",)}, {"properties": {"p": "v"}}, {"tags": ("t",), "properties": {"p": "v"}}):
            for at, expected in (
                (None, everything),
                (after(9.9), everything),
                (after(10), {"soon", "never", "mine", "shared"}),
                (after(20), {"never", "mine", "shared"}),
            ):
                asked: dict[str, object] = {**filters, "unlisted_at": at}
                assert found(database, OWNER, **asked) == expected, (filters, at)
                assert found(database, OWNER, all_visible=True, **asked) == {*expected, "community"}
                assert found(database, OWNER, visibility=PUBLIC, **asked) == expected - {"shared"}
                assert found(database, OWNER, visibility=COMMUNITY, **asked) == {"community"}
                assert found(database, NOBODY, **asked) == expected - (
                    {"shared"} if at in (None, after(9.9)) else {"mine", "shared"}
                )
                assert found(database, ADMIN, all_visible=True, **asked) == {*everything, "community"}

    def test_what_is_unlisted_is_left_out_of_filtered_lists(self, database: Database) -> None:
        self._unlisted(database)
        for sort in ((Sort(SortField.NAME),), (Sort(SortField.UPDATED_AT),), (Sort(SortField.SIZE),)):
            asked = {"unlisted_at": after(15), "sort": sort}
            assert found(database, OWNER, equal={"owner": ("theirs",)}, all_visible=True, **asked) == {
                "soon",
                "never",
                "shared",
                "community",
            }
            assert found(database, OWNER, equal={"owner": ("theirs",)}, **asked) == {"soon", "never", "shared"}
            assert found(database, OWNER, equal={"owner": ("ours",)}, **asked) == {"mine"}
            assert found(database, OWNER, equal={"name": ("old", "never")}, **asked) == {"never"}
            assert found(database, OWNER, equal={"name": ("old",)}, **asked) == set()
            every = [x.id for x in listed(database.images, ImageQuery(ADMIN, all_visible=True, limit=100))]
            assert found(database, OWNER, equal={"id": tuple(every)}, **asked) == {"soon", "never", "mine", "shared"}
            assert found(database, ADMIN, equal={"name": ("old",)}, **asked) == {"old"}

    def test_pages_are_full_although_many_are_unlisted(self, database: Database) -> None:
        made = [make_image(n, name=f"n{n}", owner="theirs", visibility=PUBLIC) for n in range(30)]
        add(database, *made)
        gone = [x for n, x in enumerate(made) if n % 10]
        database.images.commit(*(RecordAdded(unlisted.from_then_on(x.id, after(1))) for x in gone))
        query = ImageQuery(OWNER, limit=2, unlisted_at=after(1))
        assert list(each_page(database, query)) == [[made[20].id, made[10].id], [made[0].id]]
        assert pages(database, replace(query, marker=made[25].id)) == [made[20].id, made[10].id, made[0].id], (
            "who knows its id may go on behind it"
        )
        database.images.commit(
            RecordRemoved(database.records.get(unlisted.COLLECTION, made[25].id)), ImageRemoved(made[24], START)
        )
        assert pages(database, query) == [made[25].id, made[20].id, made[10].id, made[0].id]

    def test_the_versions_of_images(self, database: Database) -> None:
        one, hidden, other, gone = (
            make_image(1),
            make_image(2, hidden=True),
            make_image(3, owner="theirs"),
            make_image(4),
        )
        deleted = make_image(5, status=Status.PENDING_DELETE)
        add(database, one, hidden, other, gone, deleted)
        database.images.commit(ImageChanged(one, saved(one, name="x")), ImageRemoved(gone, START))
        asked = [one.id, hidden.id, gone.id, deleted.id, str(uuid.uuid4())]
        assert database.images.versions(asked) == {
            one.id: one.version + 1,
            hidden.id: hidden.version,
            deleted.id: deleted.version,
        }
        assert database.images.versions(
            [*asked, *(str(uuid.uuid4()) for _ in range(1000 - len(asked)))]
        ) == database.images.versions(asked)
        assert database.images.versions([]) == {}

    @pytest.mark.parametrize("hidden", [False, True])
    def test_whether_an_image_has_a_name(self, database: Database, hidden: bool) -> None:
        for owner, visibility in itertools.product(("ours", "theirs", None), Visibility):
            add(
                database,
                make_image(name=f"{owner} {visibility.value}", owner=owner, visibility=visibility, hidden=hidden),
            )
        add(
            database,
            *(make_image(name=x.value, status=x, owner="ours", visibility=PUBLIC) for x in HIDDEN),
            make_image(owner="ours"),
        )
        has = database.images.has_name
        for visibility in Visibility:
            for owner in ("ours", "theirs", "None"):
                told = has(f"{owner} {visibility.value}", "ours")
                assert told is (owner == "ours" or visibility in (PUBLIC, SHARED)), (owner, visibility)
        assert has("ours private", None) is has("None private", None) is False
        assert has("ours public", None) is True
        assert not any(has(x, "ours") for x in ("Ours public", "ours public ", "", *(x.value for x in HIDDEN)))

    def test_an_image_no_longer_shared_is_not_seen_by_its_members(self, database: Database) -> None:
        image = make_image()
        private = saved(image, visibility=PRIVATE)
        add(database, image)
        database.images.commit(MemberAdded(make_member(image, status=ACCEPTED)), ImageChanged(image, private))
        with pytest.raises(errors.ImageNotFound):
            database.images.get(image.id, FRIEND)
        assert listed(database.images, ImageQuery(FRIEND)) == []

    def test_an_image_is_found_once_although_it_is_listed_for_several_reasons(self, database: Database) -> None:
        mine, shared = make_image(visibility=PUBLIC), make_image(1)
        add(database, mine, shared)
        database.images.commit(MemberAdded(make_member(shared, "ours", ACCEPTED)))
        for field in SortField:
            assert len(listed(database.images, ImageQuery(OWNER, sort=(Sort(field),)))) == 2

    # -- filters -----------------------------------------------------------------------------------
    def _varied(self, database: Database) -> None:
        base = {"visibility": PUBLIC, "owner": "ours"}
        big = with_data(make_image(0, name="big", **base), 2**40)
        add(
            database,
            replace(
                big,
                min_ram=512,
                min_disk=10,
                virtual_size=2**41,
                checksum="c1",
                hash_algo="sha512",
                hash_value="h1",
                protected=True,
            ),
            make_image(
                1,
                name="small",
                disk_format="iso",
                container_format="bare",
                size=5,
                virtual_size=6,
                checksum="c2",
                hash_algo="sha256",
                hash_value="h2",
                min_ram=1,
                **base,
            ),
            make_image(2, name="none", **base),
            make_image(3, name="foreign", visibility=PUBLIC, owner="theirs"),
        )

    @pytest.mark.parametrize(
        ("field", "values", "expected"),
        [
            ("name", ("big",), {"big"}),
            ("name", ("big", "none", "never"), {"big", "none"}),
            ("name", ("Big",), set()),
            ("name", ("big ",), set()),
            ("name", (), set()),
            ("status", ("queued",), {"small", "none", "foreign"}),
            ("status", ("active", "saving"), {"big"}),
            ("status", (Status.ACTIVE,), {"big"}),
            ("container_format", ("bare",), {"big", "small"}),
            ("disk_format", ("raw", "iso"), {"big", "small"}),
            ("disk_format", ("vdi",), set()),
            ("owner", ("ours",), {"big", "small", "none"}),
            ("owner", ("theirs", "ours"), {"big", "small", "none", "foreign"}),
            ("checksum", ("c1",), {"big"}),
            ("checksum", ("c1", "c2"), {"big", "small"}),
            ("checksum", ("C1",), set()),
            ("hash_algo", ("sha256",), {"small"}),
            ("hash_value", ("h2",), {"small"}),
            ("hash_value", ("h1", "h2"), {"big", "small"}),
            ("size", (5,), {"small"}),
            ("size", (2**40, 5), {"big", "small"}),
            ("size", (2**70,), set()),
            ("virtual_size", (6,), {"small"}),
            ("min_ram", (0,), {"none", "foreign"}),
            ("min_disk", (10,), {"big"}),
            ("protected", (True,), {"big"}),
            ("protected", (False,), {"small", "none", "foreign"}),
        ],
    )
    def test_equal_finds_exact_values(
        self, database: Database, field: str, values: tuple[str | int | bool, ...], expected: set[str]
    ) -> None:
        self._varied(database)
        for viewer in (OWNER, STRANGER, ADMIN):
            assert found(database, viewer, equal={field: values}) == expected

    def test_equal_finds_by_id(self, database: Database) -> None:
        one, two, three = (make_image(n) for n in range(3))
        add(database, one, two, three)
        assert ids(listed(database.images, ImageQuery(OWNER, equal={"id": (two.id,)}))) == [two.id]
        assert ids(listed(database.images, ImageQuery(ADMIN, equal={"id": (one.id, three.id, "x")}))) == [
            three.id,
            one.id,
        ]

    @pytest.mark.parametrize(
        ("field", "low", "high", "expected"),
        [
            ("size", 5, None, {"big", "small"}),
            ("size", 6, None, {"big"}),
            ("size", None, 5, {"small"}),
            ("size", 5, 2**40, {"big", "small"}),
            ("size", None, None, {"big", "small"}),
            ("size", 2**70, None, set()),
            ("size", -(2**70), 2**70, {"big", "small"}),
            ("size", None, -(2**70), set()),
            ("min_ram", 1, 512, {"big", "small"}),
            ("min_ram", None, 0, {"none", "foreign"}),
            ("min_disk", 10, 10, {"big"}),
            ("virtual_size", 7, None, {"big"}),
        ],
    )
    def test_ranges_include_their_bounds_and_never_null(
        self, database: Database, field: str, low: int | None, high: int | None, expected: set[str]
    ) -> None:
        self._varied(database)
        for viewer in (OWNER, ADMIN):
            assert found(database, viewer, ranges=(RangeFilter(field, low, high),)) == expected

    @pytest.mark.parametrize(
        ("op", "expected"),
        [
            (TimeOp.GT, {"after"}),
            (TimeOp.GTE, {"second", "end", "after"}),
            (TimeOp.LT, {"before"}),
            (TimeOp.LTE, {"before", "second", "end"}),
            (TimeOp.EQ, {"second", "end"}),
            (TimeOp.NEQ, {"before", "after"}),
        ],
    )
    @pytest.mark.parametrize("field", [SortField.CREATED_AT, SortField.UPDATED_AT])
    @pytest.mark.parametrize("fraction", [0.0, 0.5])
    def test_times_are_compared_at_whole_seconds(
        self, database: Database, field: SortField, op: TimeOp, expected: set[str], fraction: float
    ) -> None:
        for name, at in (("before", 9.999999), ("second", 10), ("end", 10.999999), ("after", 11)):
            other = "updated_at" if field is SortField.CREATED_AT else "created_at"
            add(database, replace(make_image(at, name=name), **{other: START}))  # type: ignore[arg-type]
        for viewer in (OWNER, ADMIN):
            assert found(database, viewer, times=(TimeFilter(field, op, after(10 + fraction)),)) == expected

    def test_all_filters_must_hold(self, database: Database) -> None:
        for n, (ram, tags, props) in enumerate(
            itertools.product((1, 2), (("a",), ("a", "b")), ({"p": "1"}, {"p": "2"}))
        ):
            add(database, make_image(n, name=str(n), min_ram=ram, tags=tags, properties=props))
        assert found(database, equal={"min_ram": (1,)}, tags=("b",), properties={"p": "2"}) == {"3"}
        assert found(database, ranges=(RangeFilter("min_ram", 2),), tags=("b", "a")) == {"6", "7"}
        times = (
            TimeFilter(SortField.CREATED_AT, TimeOp.GTE, after(2)),
            TimeFilter(SortField.CREATED_AT, TimeOp.LT, after(5)),
        )
        assert found(database, times=times) == {"2", "3", "4"}
        assert found(database, times=times, equal={"min_ram": (2,), "status": ("queued",)}) == {"4"}

    def test_tags_must_all_be_there_exactly(self, database: Database) -> None:
        for tags in ((), ("a",), ("A",), ("á",), ("a ",), ("a", "b"), ("",), ("ab",)):
            add(database, make_image(name="+".join(tags), tags=tags))
        database.images.commit(MemberAdded(make_member(self._only(database, "a+b"), status=ACCEPTED)))
        for viewer in (OWNER, ADMIN):
            assert found(database, viewer, tags=("a",)) == {"a", "a+b"}
            assert found(database, viewer, tags=("a", "b")) == {"a+b"}
            assert found(database, viewer, tags=("A",)) == {"A"}
            assert found(database, viewer, tags=("a", "A")) == set()
            assert len(listed(database.images, ImageQuery(viewer, tags=("",)))) == 1
        assert found(database, FRIEND, tags=("b", "a")) == {"a+b"}
        assert found(database, FRIEND, tags=("c",)) == set()

    def _only(self, database: Database, name: str) -> Image:
        (image,) = listed(database.images, ImageQuery(EVERYTHING, equal={"name": (name,)}))
        return image

    def test_properties_must_equal_exactly(self, database: Database) -> None:
        for name, properties in (
            ("1", {"k": "v"}),
            ("2", {"k": "V"}),
            ("3", {"K": "v"}),
            ("4", {"k": "v", "l": "w"}),
            ("5", {"k": None}),
            ("6", {"k": ""}),
            ("7", {}),
            ("8", {"k": "v "}),
            ("9", {"v": "k"}),
        ):
            add(database, make_image(name=name, properties=properties))
        for viewer in (OWNER, ADMIN):
            assert found(database, viewer, properties={"k": "v"}) == {"1", "4"}
            assert found(database, viewer, properties={"k": "v", "l": "w"}) == {"4"}
            assert found(database, viewer, properties={"k": ""}) == {"6"}
            assert found(database, viewer, properties={"kv": ""}) == set()

    def test_hidden_selects_hidden_images_only(self, database: Database) -> None:
        add(database, make_image(name="shown", tags=("t",)), make_image(name="hidden", hidden=True, tags=("t",)))
        for viewer in (OWNER, ADMIN):
            for asked in ({}, {"tags": ("t",)}, {"all_visible": True}):
                assert found(database, viewer, hidden=False, **asked) == {"shown"}
                assert found(database, viewer, hidden=True, **asked) == {"hidden"}
        assert database.images.get(self._hidden(database).id, OWNER).hidden

    def _hidden(self, database: Database) -> Image:
        (image,) = listed(database.images, ImageQuery(EVERYTHING, hidden=True))
        return image

    def test_a_changed_image_is_found_by_what_it_is_now(self, database: Database) -> None:
        old = make_image(name="old", tags=("a", "b"), properties={"k": "1", "l": "1"}, checksum="c1", visibility=PUBLIC)
        new = saved(
            old,
            name="new",
            tags=("b", "c"),
            properties={"k": "2", "l": "1"},
            checksum="c2",
            owner="theirs",
            visibility=PRIVATE,
            min_ram=9,
        )
        add(database, old)
        database.images.commit(ImageChanged(old, new))
        theirs = Viewer("theirs")
        stale: tuple[dict[str, object], ...] = (
            {"equal": {"name": ("old",)}},
            {"tags": ("a",)},
            {"properties": {"k": "1"}},
            {"equal": {"checksum": ("c1",)}},
            {"equal": {"owner": ("ours",)}},
            {"visibility": PUBLIC},
        )
        for asked in stale:
            assert found(database, theirs, **asked) == found(database, ADMIN, **asked) == set(), asked
        current: tuple[dict[str, object], ...] = (
            {"equal": {"name": ("new",)}},
            {"tags": ("c",)},
            {"tags": ("b",)},
            {"properties": {"k": "2"}},
            {"properties": {"l": "1"}},
            {"equal": {"checksum": ("c2",)}},
            {"equal": {"owner": ("theirs",)}},
            {"visibility": PRIVATE},
            {"equal": {"min_ram": (9,)}},
        )
        for asked in current:
            assert found(database, theirs, **asked) == found(database, ADMIN, **asked) == {"new"}, asked
            assert found(database, OWNER, **asked) == set(), asked
        hidden = saved(new, hidden=True)
        database.images.commit(ImageChanged(new, hidden))
        assert found(database, theirs, tags=("b",)) == set()
        assert found(database, theirs, tags=("b",), hidden=True) == {"new"}

    # -- order and paging --------------------------------------------------------------------------
    def _mixture(self, database: Database) -> list[Image]:
        """Images with null and equal keys, own ones, others' public ones and shared ones: OWNER lists them all."""
        made = []
        for n in range(18):
            name = (None, "a", "B", "á", "b", "")[n % 6]
            made.append(
                make_image(
                    n // 3,
                    name=name,
                    status=(Status.QUEUED, Status.ACTIVE, Status.SAVING)[n % 3],
                    container_format=(None, "bare")[n % 2],
                    disk_format=(None, "raw", "iso")[n // 2 % 3],
                    size=(None, 0, 7, 2**40)[n // 2 % 4],
                    owner=("ours", "theirs", "others")[n % 3],
                    visibility=(PRIVATE, PUBLIC, SHARED)[n % 3],
                    tags=("all", f"n{n}"),
                    properties={"of": "all"},
                    updated_at=after(100 - n // 4),
                )
            )
        for start in range(0, 18, 6):
            add(database, *made[start : start + 6])
        shared = [x for x in made if x.visibility is SHARED]
        database.images.commit(*(MemberAdded(make_member(x, "ours", ACCEPTED)) for x in shared))
        # Not to be found.
        add(
            database,
            make_image(owner="theirs"),
            make_image(visibility=COMMUNITY, owner="theirs", tags=("all",)),
            make_image(hidden=True, tags=("all",)),
            make_image(status=Status.DELETING, tags=("all",)),
        )
        return made

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("field", SortField)
    def test_sorted_pages_give_each_image_once(self, database: Database, field: SortField, descending: bool) -> None:
        made = self._mixture(database)
        sorts = [
            (Sort(field, descending), Sort(SortField.ID, descending)),
            (Sort(field, descending), Sort(SortField.ID, True)),
            (Sort(field, descending), Sort(SortField.CREATED_AT, descending), Sort(SortField.ID, descending)),
        ]
        for sort in sorts:
            expected = in_order(made, sort)
            for asked in ({}, {"tags": ("all",)}, {"properties": {"of": "all"}, "tags": ("all",)}):
                for limit in (1, 4, 1000):
                    query = ImageQuery(OWNER, sort=sort, limit=limit, **asked)
                    assert pages(database, query) == expected, query

    @pytest.mark.parametrize("first", SortField)
    def test_directions_may_differ_by_key(self, database: Database, first: SortField) -> None:
        made = self._mixture(database)
        for second, down in itertools.product(SortField, (False, True)):
            sort = (Sort(first, down), Sort(second, not down), Sort(SortField.ID, down))
            for viewer, asked in ((OWNER, {}), (OWNER, {"tags": ("all",)})):
                query = ImageQuery(viewer, sort=sort, limit=5, **asked)  # type: ignore[arg-type]
                assert pages(database, query) == in_order(made, sort), query

    def test_an_admin_pages_through_everything(self, database: Database) -> None:
        self._mixture(database)
        everything = list(listed(database.images, ImageQuery(ADMIN, all_visible=True, limit=1000)))
        assert len(everything) == 20
        for field, down in itertools.product(SortField, (False, True)):
            sort = (Sort(field, down), Sort(SortField.ID, down))
            assert pages(database, ImageQuery(ADMIN, all_visible=True, sort=sort, limit=3)) == in_order(
                everything, sort
            )

    # -- pages that end early ----------------------------------------------------------------------
    def _crowd(self, database: Database) -> Crowd:
        """One in five is ``iso``, the oldest one alone is ``vdi``; two of three of theirs, and of those without owner,
        OWNER may not see."""
        made = [
            make_image(
                n // 2,
                name=f"n{n % 7}" if n % 9 else None,
                owner=("ours", "theirs", "ours", "others")[n % 4],
                visibility=(PRIVATE, PUBLIC, PUBLIC, SHARED)[n % 4],
                disk_format="vdi" if n == 0 else "raw" if n % 5 else "iso",
                size=n * n % 11 or None,
                min_ram=n % 3,
                tags=("all", f"t{n % 3}"),
                properties={"k": str(n % 4)},
                updated_at=after(60 + n * 7 % 40),
            )
            for n in range(40)
        ]
        aside = [
            make_image(
                n // 2 + 0.5,
                name=f"n{n % 7}",
                owner=("theirs", "others", None)[n % 3],
                visibility=(PRIVATE, SHARED, COMMUNITY, PRIVATE, PRIVATE, SHARED)[n % 6],
                disk_format="raw" if n % 5 else "iso",
                size=n % 11 or None,
                min_ram=n % 3,
                tags=("all", f"t{n % 3}"),
                properties={"k": str(n % 4)},
                updated_at=after(60 + n * 7 % 40),
            )
            for n in range(40)
        ]
        add(database, *made, *aside)
        database.images.commit(*(MemberAdded(make_member(x, "ours", ACCEPTED)) for x in made if x.visibility is SHARED))
        by_all = [x for x in aside if x.visibility is COMMUNITY or (x.owner is None and x.visibility is SHARED)]
        return Crowd(made, by_all, [x for x in aside if x not in by_all])

    QUESTIONS: Sequence[tuple[dict[str, object], Callable[[Image], bool]]] = (
        ({}, lambda _: True),
        ({"equal": {"disk_format": ("iso",)}}, lambda x: x.disk_format == "iso"),
        ({"equal": {"disk_format": ("vdi",)}}, lambda x: x.disk_format == "vdi"),
        ({"tags": ("t1",)}, lambda x: "t1" in x.tags),
        ({"tags": ("t1", "all")}, lambda x: "t1" in x.tags),
        ({"tags": ("all",), "properties": {"k": "2"}}, lambda x: x.properties["k"] == "2"),
        ({"equal": {"name": ("n3",)}}, lambda x: x.name == "n3"),
        ({"equal": {"name": ("n3", "n4"), "min_ram": (1,)}}, lambda x: x.name in ("n3", "n4") and x.min_ram == 1),
        ({"equal": {"name": ("n2",)}, "tags": ("t2",)}, lambda x: x.name == "n2" and "t2" in x.tags),
        ({"ranges": (RangeFilter("size", 3),)}, lambda x: x.size is not None and x.size >= 3),
        ({"times": (TimeFilter(SortField.UPDATED_AT, TimeOp.GT, after(70)),)}, lambda x: x.updated_at > after(70)),
        ({"times": (TimeFilter(SortField.CREATED_AT, TimeOp.LT, after(9)),)}, lambda x: x.created_at < after(9)),
        ({"visibility": SHARED}, lambda x: x.visibility is SHARED),
        ({"equal": {"owner": ("theirs",)}}, lambda x: x.owner == "theirs"),
    )

    def _ask(self, database: Database, query: ImageQuery, expected: Sequence[str]) -> bool:
        """Whether it was answered to the end: then with what was expected, else with the first of it."""
        seen: list[str] = []
        try:
            for page in each_page(database, query):
                seen += page
        except errors.TooBroad:
            assert seen == expected[: len(seen)], query
            return False
        assert seen == expected, query
        return True

    @pytest.mark.parametrize("most", [1, 3, 8])
    def test_pages_that_end_early_give_each_image_once(self, database: Database, most: int) -> None:
        crowd = self._crowd(database)
        for field, down in itertools.product(SortField, (True, False)):
            sort = tuple(Sort(x, down) for x in dict.fromkeys((field, SortField.CREATED_AT, SortField.ID)))
            for viewer, (asked, fits) in itertools.product((OWNER, ADMIN), self.QUESTIONS):
                query = ImageQuery(viewer, sort=sort, limit=4, most=most, **asked)  # type: ignore[arg-type]
                self._ask(database, query, in_order(filter(fits, crowd.of(query)), sort))

    @pytest.mark.parametrize("most", [3, 8])
    def test_pages_lead_on_from_images_that_the_viewer_sees(self, database: Database, most: int) -> None:
        """Those that he may not see are beside, and are not told by a marker; ``each_page`` looks."""
        crowd = self._crowd(database)
        narrower: tuple[tuple[dict[str, object], Callable[[Image], bool]], ...] = (
            ({}, lambda _: True),
            ({"tags": ("all",)}, lambda _: True),
            ({"tags": ("t1",), "properties": {"k": "2"}}, lambda x: "t1" in x.tags and x.properties["k"] == "2"),
            ({"times": (TimeFilter(SortField.UPDATED_AT, TimeOp.GT, after(70)),)}, lambda x: x.updated_at > after(70)),
            ({"equal": {"name": ("n3", "n4")}}, lambda x: x.name in ("n3", "n4")),
        )
        for field, viewer, everything in itertools.product(
            (SortField.CREATED_AT, SortField.NAME, SortField.UPDATED_AT), (OWNER, STRANGER), (False, True)
        ):
            sort = tuple(Sort(x) for x in dict.fromkeys((field, SortField.CREATED_AT, SortField.ID)))
            for owners, (asked, fits) in itertools.product(
                ((), ("theirs",), ("ours",), ("theirs", "others")), narrower
            ):
                query = ImageQuery(viewer, sort=sort, limit=4, most=most, all_visible=everything, **asked)  # type: ignore[arg-type]
                expected = in_order((x for x in crowd.of(query) if fits(x) and (not owners or x.owner in owners)), sort)
                self._ask(
                    database, replace(query, equal={**query.equal, "owner": owners}) if owners else query, expected
                )

    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"tags": ("all",)},
            {"equal": {"status": ("queued",)}},
            {"equal": {"min_ram": (0, 1, 2)}},
            {"ranges": (RangeFilter("min_ram", 0, 2),)},
            {"tags": ("all",), "equal": {"status": ("queued",)}},
        ],
    )
    def test_what_most_images_fit_is_never_refused_in_the_order_of_an_index(
        self, database: Database, asked: dict[str, object]
    ) -> None:
        crowd = self._crowd(database)
        for field, down in itertools.product(
            (SortField.CREATED_AT, SortField.NAME, SortField.UPDATED_AT), (True, False)
        ):
            sort = tuple(Sort(x, down) for x in dict.fromkeys((field, SortField.CREATED_AT, SortField.ID)))
            # images that are shared with the viewer may have to be sorted for any order but the first
            for viewer in (OWNER, STRANGER, ADMIN) if field is SortField.CREATED_AT else (STRANGER, ADMIN):
                query = ImageQuery(viewer, sort=sort, limit=4, most=8, **asked)  # type: ignore[arg-type]
                assert self._ask(database, query, in_order(crowd.of(query), sort)), f"refused: {query}"

    def test_a_list_of_few_is_whole_whatever_is_asked(self, database: Database) -> None:
        made = self._crowd(database).listed
        for field, (asked, fits) in itertools.product(SortField, self.QUESTIONS):
            for sort in (
                (Sort(field), Sort(SortField.ID)),
                (Sort(field, False), Sort(SortField.SIZE), Sort(SortField.ID)),
            ):
                expected = in_order(filter(fits, made), sort)
                for limit in (1, 5, 40):
                    page = database.images.find(ImageQuery(OWNER, sort=sort, limit=limit, most=40, **asked))  # type: ignore[arg-type]
                    assert ids(page.images) == expected[:limit], (asked, sort, limit)

    def test_a_list_without_filters_is_never_refused(self, database: Database) -> None:
        crowd = self._crowd(database)
        made = [x for x in crowd.listed if x.visibility is not SHARED]
        for field, down in itertools.product(
            (SortField.CREATED_AT, SortField.NAME, SortField.UPDATED_AT), (True, False)
        ):
            sort = tuple(Sort(x, down) for x in dict.fromkeys((field, SortField.CREATED_AT, SortField.ID)))
            for viewer in (OWNER, ADMIN):
                for limit in (1, 7, 50):
                    asked = ImageQuery(viewer, sort=sort, limit=limit, most=1, member_status=REJECTED)
                    assert pages(database, asked) == in_order(made if viewer is OWNER else crowd.of(asked), sort), asked

    def test_the_order_is_total_though_the_id_is_not_asked_for(self, database: Database) -> None:
        add(database, *(make_image(name="same") for _ in range(9)))
        for sort in ((), (Sort(SortField.NAME, False),), (Sort(SortField.NAME), Sort(SortField.CREATED_AT))):
            seen = pages(database, ImageQuery(OWNER, sort=sort, limit=2))
            assert len(seen) == len(set(seen)) == 9

    def test_the_default_order_is_newest_first(self, database: Database) -> None:
        made = [make_image(n) for n in (3, 1, 2)]
        add(database, *made)
        assert ids(listed(database.images, ImageQuery(OWNER))) == [made[0].id, made[2].id, made[1].id]

    def test_a_page_has_at_most_limit_images(self, database: Database) -> None:
        add(database, *(make_image(n) for n in range(30)))
        assert len(listed(database.images, ImageQuery(OWNER))) == 25
        for limit in (0, 1, 29, 30, 31):
            assert len(listed(database.images, ImageQuery(OWNER, limit=limit))) == min(limit, 30)

    def test_a_page_ends_behind_the_image_that_reaches_the_bound_of_bytes(self, database: Database) -> None:
        big = [
            make_image(
                n,
                owner=("ours", "theirs")[n % 2],
                visibility=Visibility.PUBLIC,
                properties={"p": "ü\n" * 500},
                tags=("a",),
            )
            for n in range(9)
        ]
        add(database, *big)
        each = metadata.size(big[0])
        for most, count in (
            (1, 1),
            (each, 1),
            (each + 1, 2),
            (3 * each, 3),
            (3 * each + 1, 4),
            (9 * each, 9),
            (20 * each, 9),
        ):
            for sort in ((), (Sort(SortField.NAME, False),)):
                query = ImageQuery(OWNER, sort=sort, max_bytes=most)
                whole = listed(database.images, replace(query, max_bytes=None))
                assert listed(database.images, query) == whole[:count], (most, each)
        seen: list[str] = []
        for page in each_page(database, ImageQuery(OWNER, max_bytes=2 * each)):
            assert len(page) <= 2
            seen += page
        assert len(seen) == len(set(seen)) == 9
        assert len(listed(database.images, ImageQuery(OWNER, limit=2, max_bytes=5 * each))) == 2

    def test_metadata_is_counted_and_limited(self, database: Database) -> None:
        one = make_image(tags=("a", "ü"), properties={"p": "x\n" * 100, "q": "\N{GRINNING FACE}"})
        count = metadata.size(one)
        assert count > 300
        database.images.commit(ImageAdded(one), WithinLimits("ours", Limits(metadata_bytes=count)))
        assert database.images.usage("ours") == Usage(images=1, metadata_bytes=count)
        with pytest.raises(errors.QuotaExceeded, match="image_metadata_total"):
            database.images.commit(
                ImageChanged(one, saved(one, tags=("a", "ü", "b"))), WithinLimits("ours", Limits(metadata_bytes=count))
            )
        less = saved(one, properties={})
        database.images.commit(ImageChanged(one, less))
        assert database.images.usage("ours") == Usage(images=1, metadata_bytes=metadata.size(less))
        given = saved(less, owner="theirs")
        database.images.commit(ImageChanged(less, given))
        assert (database.images.usage("ours"), database.images.usage("theirs")) == (Usage(), weigh(given))

    def test_the_marker_need_not_match_the_filters(self, database: Database) -> None:
        images = [
            make_image(n, name=str(n), tags=("odd",) if n % 2 else ("even",), visibility=PUBLIC) for n in range(6)
        ]
        add(database, *images)
        assert found(database, tags=("odd",), marker=images[4].id) == {"3", "1"}
        assert found(database, STRANGER, equal={"name": ("2",)}, marker=images[3].id) == {"2"}
        assert found(database, visibility=PRIVATE, marker=images[3].id) == set()

    def test_a_community_or_hidden_image_may_be_the_marker(self, database: Database) -> None:
        add(database, make_image(0, name="old", visibility=PUBLIC))
        marks = [make_image(1, visibility=COMMUNITY), make_image(2, visibility=PUBLIC, hidden=True)]
        add(database, *marks)
        for mark in marks:
            assert found(database, STRANGER, marker=mark.id) == {"old"}

    @pytest.mark.parametrize("limit", [0, 10])
    def test_an_unseen_marker_is_unknown(self, database: Database, limit: int) -> None:
        foreign, gone, deleting = make_image(owner="theirs"), make_image(), make_image(status=Status.DELETING)
        add(database, foreign, gone, deleting)
        database.images.commit(ImageRemoved(gone, START))
        for marker in (foreign.id, gone.id, deleting.id, str(uuid.uuid4()), ""):
            with pytest.raises(errors.UnknownMarker):
                listed(database.images, ImageQuery(OWNER, marker=marker, limit=limit))
        assert listed(database.images, ImageQuery(ADMIN, marker=foreign.id, limit=limit)) == []

    # -- changes of images -------------------------------------------------------------------------
    def test_an_id_is_used_once(self, database: Database) -> None:
        image = make_image(name="first")
        add(database, image)
        with pytest.raises(errors.ImageExists):
            add(database, replace(image, name="second", owner="theirs"))
        assert database.images.get(image.id) == image

    def test_a_change_replaces_the_image(self, database: Database) -> None:
        image = make_image(name="one", tags=("a",), properties={"k": "v"}, locations=(make_location("x"),))
        add(database, image)
        changed = saved(
            image,
            name=None,
            visibility=COMMUNITY,
            protected=True,
            status=Status.ACTIVE,
            size=3,
            last_error="f",
            tags=(),
            properties={},
            locations=(make_location("y", "cheap"), make_location("x")),
            attempt=2,
        )
        database.images.commit(ImageChanged(image, changed))
        assert database.images.get(image.id) == changed
        database.images.commit(ImageChanged(changed, saved(changed, locations=())))
        assert database.images.get(image.id) == saved(changed, locations=())

    def test_as_member_is_not_stored(self, database: Database) -> None:
        image = make_image()
        database.images.commit(ImageAdded(replace(image, as_member="x")), MemberAdded(make_member(image)))
        seen = database.images.get(image.id, FRIEND)
        assert seen.as_member == "friends"
        database.images.commit(ImageChanged(seen, saved(seen, name="new")))
        assert database.images.get(image.id, OWNER).as_member is None

    def test_a_stale_change_is_refused(self, database: Database) -> None:
        image = make_image(name="one")
        add(database, image)
        database.images.commit(ImageChanged(image, saved(image, name="two")))
        with pytest.raises(errors.ConcurrentChange):
            database.images.commit(ImageChanged(image, saved(image, name="three")))
        assert database.images.get(image.id).name == "two"

    def test_a_change_of_a_missing_image_is_not_found(self, database: Database) -> None:
        image = make_image()
        with pytest.raises(errors.ImageNotFound):
            database.images.commit(ImageChanged(image, saved(image)))
        add(database, image)
        database.images.commit(ImageRemoved(image, START))
        with pytest.raises(errors.ImageNotFound):
            database.images.commit(ImageChanged(image, saved(image)))

    def test_the_next_version_follows_the_one_before(self, database: Database) -> None:
        image = make_image()
        add(database, image)
        for wrong in (
            image,
            replace(image, version=3),
            replace(saved(image), id=str(uuid.uuid4())),
            replace(saved(image), created_at=after(9)),
        ):
            with pytest.raises(ValueError, match="next version"):
                database.images.commit(ImageChanged(image, wrong))

    def test_one_of_many_parallel_changes_wins(self, database: Database) -> None:
        image = make_image()
        add(database, image)
        told = race(16, lambda n: database.images.commit(ImageChanged(image, saved(image, name=str(n)))))
        assert [type(x) for x in told if x is not None] == [errors.ConcurrentChange] * 15
        winner = told.index(None)
        assert database.images.get(image.id).name == str(winner)

    def test_a_removed_image_is_gone_with_all_that_is_its(self, database: Database) -> None:
        image = make_image(visibility=SHARED, tags=("t",), properties={"p": "v"}, locations=(make_location(),))
        add(database, image)
        database.images.commit(MemberAdded(make_member(image, status=ACCEPTED)))
        database.images.commit(ImageRemoved(image, START))
        for read in (database.images.get, database.images.get_any):
            with pytest.raises(errors.ImageNotFound):
                read(image.id)
        for viewer in (OWNER, FRIEND, ADMIN):
            assert listed(database.images, ImageQuery(viewer, all_visible=True)) == []
            assert listed(database.images, ImageQuery(viewer, tags=("t",))) == []
        assert database.images.members(image.id) == []
        with pytest.raises(errors.ImageNotFound):
            database.images.commit(ImageRemoved(image, START))

    def test_images_are_found_by_the_url_of_a_location(self, database: Database) -> None:
        here, there = make_location("here"), make_location("there")
        marked = replace(here, store="other", status=LocationStatus.DELETING)
        one, two, none = make_image(1, locations=(here, there)), make_image(2, locations=(marked,)), make_image(3)
        add(database, one, two, none)
        assert database.images.located(here.url) == sorted([one.id, two.id])
        assert database.images.located(there.url) == [one.id]
        assert database.images.located(here.url.upper()) == database.images.located(here.url[:-1]) == []
        database.images.commit(ImageChanged(one, saved(one, locations=(there,))), ImageRemoved(two, START))
        assert database.images.located(here.url) == []

    def test_removal_does_not_compare_the_version(self, database: Database) -> None:
        image = make_image(owner="ours")
        moved = with_data(saved(image, owner="theirs"), 5)
        add(database, image)
        database.images.commit(ImageChanged(image, moved))
        database.images.commit(ImageRemoved(image, START))
        assert database.images.usage("ours") == database.images.usage("theirs") == Usage()

    def test_a_removed_id_stays_used_until_purged(self, database: Database) -> None:
        image = make_image(visibility=PUBLIC, tags=("t",), properties={"p": "v"})
        add(database, image)
        database.images.commit(MemberAdded(make_member(image)), ImageRemoved(image, after(10)))
        with pytest.raises(errors.ImageExists):
            add(database, image)
        assert database.images.usage("ours") == Usage()
        assert database.purge(after(10)) == 0
        with pytest.raises(errors.ImageExists):
            add(database, image)
        assert database.purge(after(11)) == 1
        assert database.purge(after(11)) == 0
        add(database, image)
        assert database.images.get(image.id, STRANGER) == image
        assert database.images.members(image.id) == []

    def test_purge_goes_to_its_limit_oldest_first(self, database: Database) -> None:
        images = [make_image(n) for n in range(7)]
        add(database, *images)
        database.images.commit(*(ImageRemoved(x, after(n)) for n, x in enumerate(images)))
        assert database.purge(after(100), limit=3) == 3
        for image in images[:3]:
            add(database, image)
        for image in images[3:]:
            with pytest.raises(errors.ImageExists):
                add(database, image)
        assert database.purge(after(100), limit=0) == 0
        assert database.purge(after(100), limit=None) == 4

    # -- members -----------------------------------------------------------------------------------
    def test_members_come_by_id(self, database: Database) -> None:
        image, other = make_image(), make_image()
        add(database, image, other)
        made = [
            make_member(image, x, y, n + 0.25)
            for n, (x, y) in enumerate((("b", PENDING), ("B", ACCEPTED), ("a", REJECTED)))
        ]
        database.images.commit(*(MemberAdded(x) for x in made), MemberAdded(make_member(other, "z")))
        assert database.images.members(image.id) == [made[1], made[2], made[0]]
        assert database.images.member(image.id, "a") == made[2]
        for image_id, project in ((image.id, "A"), (image.id, "z"), (str(uuid.uuid4()), "a")):
            with pytest.raises(errors.MemberNotFound):
                database.images.member(image_id, project)
        assert database.images.members(str(uuid.uuid4())) == []

    def test_a_member_is_added_once(self, database: Database) -> None:
        image = make_image()
        member = make_member(image)
        add(database, image)
        database.images.commit(MemberAdded(member))
        for limit in (None, 1):
            with pytest.raises(errors.MemberExists):
                database.images.commit(MemberAdded(replace(member, status=ACCEPTED), limit))
        assert database.images.members(image.id) == [member]

    def test_a_missing_image_has_no_members(self, database: Database) -> None:
        with pytest.raises(errors.ImageNotFound):
            database.images.commit(MemberAdded(make_member(make_image())))

    def test_members_are_limited(self, database: Database) -> None:
        image = make_image()
        add(database, image)
        database.images.commit(*(MemberAdded(make_member(image, str(n)), 2) for n in range(2)))
        with pytest.raises(errors.QuotaExceeded, match="2"):
            database.images.commit(MemberAdded(make_member(image, "2"), 2))
        assert len(database.images.members(image.id)) == 2
        database.images.commit(MemberAdded(make_member(image, "2"), 3))

    def test_parallel_additions_cannot_exceed_the_limit_of_members(self, database: Database) -> None:
        image = make_image()
        add(database, image)
        told = race(12, lambda n: database.images.commit(MemberAdded(make_member(image, str(n)), 5)))
        assert [type(x) for x in told if x is not None] == [errors.QuotaExceeded] * 7
        assert len(database.images.members(image.id)) == 5

    def test_a_member_changes_his_status(self, database: Database) -> None:
        image = make_image()
        member = make_member(image)
        add(database, image)
        database.images.commit(MemberAdded(member))
        changed = replace(member, status=ACCEPTED, updated_at=after(9))
        database.images.commit(MemberChanged(replace(changed, created_at=after(5))))
        assert database.images.member(image.id, "friends") == changed
        assert ids(listed(database.images, ImageQuery(FRIEND))) == [image.id]
        with pytest.raises(errors.MemberNotFound):
            database.images.commit(MemberChanged(make_member(image, "nobody")))

    def test_a_member_is_removed(self, database: Database) -> None:
        image = make_image()
        add(database, image)
        database.images.commit(MemberAdded(make_member(image, status=ACCEPTED)), MemberAdded(make_member(image, "x")))
        database.images.commit(MemberRemoved(image.id, "friends"))
        assert [x.member for x in database.images.members(image.id)] == ["x"]
        with pytest.raises(errors.ImageNotFound):
            database.images.get(image.id, FRIEND)
        with pytest.raises(errors.MemberNotFound):
            database.images.commit(MemberRemoved(image.id, "friends"))

    # -- leases ------------------------------------------------------------------------------------
    def test_a_lease_is_read_as_it_was_taken(self, database: Database) -> None:
        image = make_image()
        assert database.images.lease(image.id) is None
        for operation in Operation:
            lease = make_lease(
                image,
                operation=operation,
                stable=Status.ACTIVE,
                project=None,
                reserved=2**50,
                blobs=(BlobRef("fast", "a"), BlobRef("cheap", "b", "ours")),
            )
            database.images.commit(LeaseTaken(lease, 60))
            assert database.images.lease(image.id) == lease
            database.images.commit(LeaseEnded(lease))
            assert database.images.lease(image.id) is None

    def test_a_leased_image_is_busy(self, database: Database) -> None:
        image = make_image()
        first = make_lease(image)
        database.images.commit(LeaseTaken(first, 60))
        with pytest.raises(errors.ImageBusy):
            database.images.commit(LeaseTaken(make_lease(image), 60))
        assert database.images.lease(image.id) == first

    def test_an_expired_lease_still_makes_busy(self, database: Database) -> None:
        image = make_image()
        database.images.commit(LeaseTaken(make_lease(image), 0))
        time.sleep(0.02)
        with pytest.raises(errors.ImageBusy):
            database.images.commit(LeaseTaken(make_lease(image), 60))

    def test_one_of_many_parallel_operations_gets_the_lease(self, database: Database) -> None:
        image = make_image()
        told = race(16, lambda _: database.images.commit(LeaseTaken(make_lease(image), 60)))
        assert [type(x) for x in told if x is not None] == [errors.ImageBusy] * 15

    def test_a_lease_is_taken_over_by_its_token(self, database: Database) -> None:
        image = make_image()
        old = make_lease(image, reserved=5)
        new = make_lease(image, holder="process-2", operation=Operation.DELETE, project="theirs", reserved=7)
        with pytest.raises(errors.LeaseLost):
            database.images.commit(LeaseTaken(new, 60, replacing=old.token))
        database.images.commit(LeaseTaken(old, 60))
        with pytest.raises(errors.LeaseLost):
            database.images.commit(LeaseTaken(new, 60, replacing="another"))
        database.images.commit(LeaseTaken(new, 60, replacing=old.token))
        assert database.images.lease(image.id) == new
        assert database.images.usage("ours").bytes == 0
        assert database.images.usage("theirs").bytes == 7
        for lost in (LeaseChanged(old), LeaseEnded(old), LeaseTaken(old, 60, replacing=old.token)):
            with pytest.raises(errors.LeaseLost):
                database.images.commit(lost)
        assert database.images.lease(image.id) == new

    def test_one_of_many_parallel_takeovers_wins(self, database: Database) -> None:
        image = make_image()
        old = make_lease(image)
        database.images.commit(LeaseTaken(old, 0))
        told = race(8, lambda _: database.images.commit(LeaseTaken(make_lease(image), 60, replacing=old.token)))
        assert [type(x) for x in told if x is not None] == [errors.LeaseLost] * 7

    def test_a_lease_changes_its_blobs_reservation_and_stable_status(self, database: Database) -> None:
        lease = make_lease(make_image())
        database.images.commit(LeaseTaken(lease, 60))
        changed = replace(lease, blobs=(BlobRef("fast", "x"),), reserved=9, stable=Status.ACTIVE)
        database.images.commit(LeaseChanged(changed))
        assert database.images.lease(lease.image_id) == changed
        assert database.images.usage("ours").bytes == 9
        with pytest.raises(errors.LeaseLost):
            database.images.commit(LeaseChanged(make_lease(make_image())))

    def test_only_this_very_lease_is_ended(self, database: Database) -> None:
        lease = make_lease(make_image())
        with pytest.raises(errors.LeaseLost):
            database.images.commit(LeaseEnded(lease))
        database.images.commit(LeaseTaken(lease, 0))
        with pytest.raises(errors.LeaseLost):
            database.images.commit(LeaseEnded(replace(lease, token="another")))  # noqa: S106 - no password
        time.sleep(0.02)
        database.images.commit(LeaseEnded(lease))
        assert database.images.lease(lease.image_id) is None

    def test_leases_that_nobody_extends_expire(self, database: Database) -> None:
        leases = [make_lease(make_image(), holder=x) for x in ("dead", "dead", "alive")]
        for n, lease in enumerate(leases):
            database.images.commit(LeaseTaken(lease, 0.04 if n else 0.02))
        assert database.images.extend("alive", 60) == {leases[2].token}
        time.sleep(0.1)
        assert database.images.expired() == leases[:2]
        assert database.images.expired(limit=1) == leases[:1]
        assert database.images.lease(leases[0].image_id) == leases[0]

    def test_all_leases_can_be_looked_through(self, database: Database) -> None:
        leases = sorted((make_lease(make_image()) for _ in range(5)), key=lambda x: x.image_id)
        for n, lease in enumerate(leases):
            database.images.commit(LeaseTaken(lease, 60 if n % 2 else 0))
        assert database.images.leases() == leases
        assert database.images.leases(limit=2) == leases[:2]
        assert database.images.leases(leases[1].image_id, 2) == leases[2:4]
        assert database.images.leases(leases[-1].image_id) == []
        database.images.commit(LeaseEnded(leases[2]))
        assert database.images.leases() == leases[:2] + leases[3:]

    def test_a_fresh_lease_has_not_expired(self, database: Database) -> None:
        database.images.commit(LeaseTaken(make_lease(make_image()), 30))
        assert database.images.expired() == []

    def test_a_heartbeat_tells_the_tokens_still_held(self, database: Database) -> None:
        kept, lost, ended = (make_lease(make_image()) for _ in range(3))
        for lease in (kept, lost, ended):
            database.images.commit(LeaseTaken(lease, 0))
        taken = replace(lost, token="new", holder="process-2")  # noqa: S106 - no password
        database.images.commit(LeaseTaken(taken, 0, replacing=lost.token), LeaseEnded(ended))
        assert database.images.extend("process-1", 60) == {kept.token}
        assert database.images.extend("nobody", 60) == frozenset()
        time.sleep(0.02)
        assert database.images.expired() == [taken]

    def test_a_takeover_and_a_change_of_a_lease_keep_their_time(self, database: Database) -> None:
        image = make_image()
        lease, new = make_lease(image), make_lease(image)
        database.images.commit(LeaseTaken(lease, 0))
        database.images.commit(LeaseChanged(replace(lease, reserved=1)))
        time.sleep(0.02)
        assert ids_of_leases(database) == [image.id]
        database.images.commit(LeaseTaken(new, 60, replacing=lease.token))
        assert ids_of_leases(database) == []

    def test_transient_images_without_lease_are_told(self, database: Database) -> None:
        made = {x: make_image(n, status=x) for n, x in enumerate(Status)}
        leased = make_image(status=Status.SAVING)
        add(database, leased, *made.values())
        database.images.commit(LeaseTaken(make_lease(leased), 0))
        told = database.images.unleased()
        assert [x.status for x in told] == [Status.SAVING, Status.IMPORTING, Status.DELETING]
        assert told == [made[Status.SAVING], made[Status.IMPORTING], made[Status.DELETING]]
        assert len(database.images.unleased(limit=2)) == 2

    def test_a_scan_tells_every_image_of_its_statuses_once(self, database: Database) -> None:
        made = [make_image(n % 3, status=status) for n, status in enumerate([*Status] * 3)]
        add(database, *made)
        wanted = frozenset({Status.ACTIVE, Status.PENDING_DELETE, Status.SAVING})
        seen: list[Image] = []
        while page := database.images.scan(wanted, seen[-1].id if seen else "", 4):
            assert len(page) <= 4
            seen += page
        assert seen == sorted((x for x in made if x.status in wanted), key=lambda x: x.id)
        assert database.images.scan(wanted) == seen

    def test_a_scan_goes_on_behind_an_image_that_is_gone(self, database: Database) -> None:
        made = sorted((make_image() for _ in range(5)), key=lambda x: x.id)
        add(database, *made)
        database.images.commit(ImageRemoved(made[2], after(9)))
        assert database.images.scan(frozenset({Status.QUEUED}), made[2].id) == made[3:]

    def test_images_whose_time_for_undoing_is_over_are_told(self, database: Database) -> None:
        made = [make_image(n, status=status) for status in Status for n in (9, 3, 6)]
        add(database, *made)
        told = database.images.pending(after(9))
        assert [(x.status, x.updated_at) for x in told] == [
            (Status.PENDING_DELETE, after(3)),
            (Status.PENDING_DELETE, after(6)),
        ]
        assert database.images.pending(after(99), limit=1) == told[:1]
        assert database.images.pending(after(3)) == []

    @pytest.mark.parametrize("owner", ["ours", None])
    def test_a_projects_deleted_images_are_told_the_last_one_first(self, database: Database, owner: str | None) -> None:
        gone = [make_image(n, owner=owner, status=Status.PENDING_DELETE) for n in (3, 1, 2, 2, 2, 4)]
        gone += [replace(gone[0], id=str(uuid.UUID(int=n)), updated_at=after(9)) for n in (3, 1, 2)]
        add(
            database,
            *gone,
            *(make_image(5, owner=owner, status=x) for x in Status if x is not Status.PENDING_DELETE),
            *(
                make_image(5, owner=x, status=Status.PENDING_DELETE)
                for x in ("theirs", "Ours", None if owner else "ours")
            ),
        )
        wanted = sorted(gone, key=lambda x: (x.updated_at, x.created_at, x.id), reverse=True)
        assert database.images.deleted(owner) == wanted
        assert database.images.deleted("nobody") == []
        for size in (1, 2, 4):
            seen: list[Image] = []
            while page := database.images.deleted(owner, seen[-1] if seen else None, size):
                assert len(page) <= size
                seen += page
            assert seen == wanted
        database.images.commit(ImageRemoved(wanted[3], after(10)))
        assert database.images.deleted(owner, wanted[3]) == wanted[4:]

    @pytest.mark.parametrize("was", [Status.ACTIVE, Status.DEACTIVATED])
    def test_what_a_deleted_image_was_is_kept(self, database: Database, was: Status) -> None:
        image = replace(with_data(make_image(), 10, copies=2), status=was)
        deleted = replace(image.postpone_delete(), version=2)
        add(database, image)
        database.images.commit(ImageChanged(image, deleted))
        assert database.images.get_any(image.id) == deleted
        assert deleted.restore() == replace(image, version=2)

    def test_projects_are_told_and_counted(self, database: Database) -> None:
        rows = [with_data(make_image(owner=owner), 10, copies=2) for owner in ("b", "a", None, "a")]
        add(database, *rows)
        assert database.images.projects() == [None, "a", "b"]
        for project in (None, "a", "b"):
            kept, true = database.images.recount(project, mend=True)
            assert kept == true == sum((weigh(x) for x in rows if x.owner == project), Usage())
        assert database.images.recount("nobody", mend=True) == (Usage(), Usage())

    def test_what_is_reserved_is_not_counted_anew(self, database: Database) -> None:
        image = with_data(make_image(), 10)
        add(database, image)
        database.images.commit(LeaseTaken(make_lease(image, reserved=7), 60))
        assert database.images.recount("ours", mend=True) == (weigh(image), weigh(image))
        assert database.images.usage("ours").bytes == 17

    def test_counting_anew_beside_commits_keeps_the_usage_exact(self, database: Database) -> None:
        def work(number: int) -> None:
            if number % 2:
                database.images.recount("ours", mend=True)
            else:
                add(database, with_data(make_image(number), 10))

        assert race(12, work) == [None] * 12
        assert database.images.usage("ours") == Usage(bytes=60, images=6)
        kept, true = database.images.recount("ours", mend=False)
        assert kept == true

    # -- usage and limits --------------------------------------------------------------------------
    @pytest.mark.parametrize("owner", ["ours", None])
    @pytest.mark.parametrize("status", Status)
    def test_usage_is_what_the_images_weigh(self, database: Database, status: Status, owner: str | None) -> None:
        image = replace(with_data(make_image(owner=owner), 10, copies=2), status=status)
        add(database, image)
        assert database.images.usage(owner) == weigh(image)
        assert database.images.usage("theirs") == Usage()
        bigger = saved(image, size=11, locations=image.locations[:1])
        database.images.commit(ImageChanged(image, bigger))
        assert database.images.usage(owner) == weigh(bigger)
        moved = saved(bigger, owner="theirs")
        database.images.commit(ImageChanged(bigger, moved))
        assert database.images.usage("theirs") == weigh(moved)
        assert database.images.usage(owner) == Usage()
        database.images.commit(ImageRemoved(moved, START))
        assert database.images.usage("theirs") == Usage()

    def test_usage_includes_what_is_reserved(self, database: Database) -> None:
        image, second = with_data(make_image(), 10), make_image()
        add(database, image)
        one, two = make_lease(image, reserved=100), make_lease(second, reserved=1000)
        database.images.commit(LeaseTaken(one, 60), LeaseTaken(two, 0))
        assert database.images.usage("ours") == Usage(bytes=1110, images=1)
        database.images.commit(LeaseEnded(one))
        assert database.images.usage("ours").bytes == 1010
        assert database.images.usage(None) == Usage()

    @pytest.mark.parametrize(
        ("limits", "name"),
        [
            (Limits(bytes=29), "image_size_total"),
            (Limits(staged_bytes=6), "image_stage_total"),
            (Limits(images=1), "image_count_total"),
            (Limits(uploading=0), "image_count_uploading"),
            (Limits(metadata_bytes=0), "image_metadata_total"),
        ],
    )
    def test_a_commit_beyond_a_limit_is_undone(self, database: Database, limits: Limits, name: str) -> None:
        one, two = with_data(make_image(), 10, copies=2), make_image(status=Status.UPLOADING, size=7, tags=("a",))
        judge = WithinLimits("ours", limits)
        three = WithinLimits("ours", Limits(bytes=30, staged_bytes=7, images=2, uploading=1))
        add(database, one)
        lease = make_lease(two, reserved=10)
        with pytest.raises(errors.QuotaExceeded) as told:
            database.images.commit(judge, ImageAdded(two), LeaseTaken(lease, 60))
        value = next(
            x
            for x in (limits.bytes, limits.staged_bytes, limits.images, limits.uploading, limits.metadata_bytes)
            if x is not None
        )
        assert name in str(told.value), "the message names the resource"
        assert str(value) in str(told.value), "and the limit"
        assert database.images.usage("ours") == weigh(one)
        assert database.images.lease(two.id) is None
        database.images.commit(three, ImageAdded(two), LeaseTaken(lease, 60))
        assert database.images.usage("ours") == Usage(
            bytes=30, staged_bytes=7, images=2, uploading=1, metadata_bytes=metadata.size(two)
        )

    def test_limits_are_those_of_their_project(self, database: Database) -> None:
        add(database, make_image(), make_image(owner="theirs"), make_image(owner=None))
        database.images.commit(WithinLimits("unknown", Limits(0, 0, 0, 0)))
        for project in ("theirs", None):
            database.images.commit(WithinLimits(project, Limits(images=1)), ImageAdded(make_image()))
            with pytest.raises(errors.QuotaExceeded):
                database.images.commit(WithinLimits(project, Limits(images=1)), ImageAdded(make_image(owner=project)))
        assert database.images.usage("ours").images == 3
        database.images.commit(WithinLimits("ours", Limits(images=3)))

    def test_a_commit_that_shrinks_may_still_be_above_the_limit_and_is_refused(self, database: Database) -> None:
        made = [make_image(n) for n in range(3)]
        add(database, *made)
        with pytest.raises(errors.QuotaExceeded):
            database.images.commit(ImageRemoved(made[0], START), WithinLimits("ours", Limits(images=1)))
        assert database.images.usage("ours").images == 3

    def test_parallel_additions_cannot_overshoot(self, database: Database) -> None:
        told = race(
            16, lambda n: database.images.commit(ImageAdded(make_image(n)), WithinLimits("ours", Limits(images=5)))
        )
        assert [type(x) for x in told if x is not None] == [errors.QuotaExceeded] * 11
        assert database.images.usage("ours").images == 5

    def test_parallel_reservations_cannot_overshoot(self, database: Database) -> None:
        told = race(
            16,
            lambda _: database.images.commit(
                LeaseTaken(make_lease(make_image(), reserved=10), 60), WithinLimits("ours", Limits(bytes=59))
            ),
        )
        assert [type(x) for x in told if x is not None] == [errors.QuotaExceeded] * 11
        assert database.images.usage("ours").bytes == 50

    # -- commits -----------------------------------------------------------------------------------
    def test_an_empty_commit_does_nothing(self, database: Database) -> None:
        database.images.commit()

    def test_changes_are_applied_in_order(self, database: Database) -> None:
        image = make_image(tags=("t",))
        second, lease, again = saved(image, name="two"), make_lease(image), make_lease(image)
        member = make_member(image)
        database.images.commit(
            ImageAdded(image),
            MemberAdded(member),
            LeaseTaken(lease, 60),
            ImageChanged(image, second),
            MemberChanged(replace(member, status=ACCEPTED)),
            LeaseEnded(lease),
            LeaseTaken(again, 60),
        )
        assert database.images.get(image.id) == second
        assert database.images.lease(image.id) == again
        assert ids(listed(database.images, ImageQuery(FRIEND, tags=("t",)))) == [image.id]
        database.images.commit(LeaseEnded(again), MemberRemoved(image.id, "friends"), ImageRemoved(second, START))
        assert database.images.usage("ours") == Usage()

    def test_a_commit_is_applied_whole_or_not_at_all(self, database: Database) -> None:
        kept, new = make_image(name="kept", tags=("kept",)), make_image(name="new", tags=("new",), visibility=PUBLIC)
        member, lease = make_member(kept), make_lease(kept, reserved=5)
        gone = make_image(name="gone")
        add(database, kept, gone)
        database.images.commit(MemberAdded(member), LeaseTaken(lease, 60))
        changed = with_data(saved(kept, name="changed", tags=("changed",), owner="theirs"), 9)
        failing: list[tuple[Change, type[errors.GlanceError]]] = [
            (ImageAdded(kept), errors.ImageExists),
            (ImageChanged(kept, changed), errors.ConcurrentChange),
            (ImageRemoved(make_image(), START), errors.ImageNotFound),
            (MemberAdded(member), errors.MemberExists),
            (MemberAdded(make_member(kept, "y"), 0), errors.QuotaExceeded),
            (MemberChanged(make_member(kept, "z")), errors.MemberNotFound),
            (MemberRemoved(kept.id, "z"), errors.MemberNotFound),
            (LeaseTaken(make_lease(new), 60), errors.ImageBusy),
            (LeaseChanged(make_lease(kept)), errors.LeaseLost),
            (LeaseEnded(make_lease(kept)), errors.LeaseLost),
            (WithinLimits("theirs", Limits(images=1)), errors.QuotaExceeded),
        ]
        for last, error in failing:
            with pytest.raises(error):
                database.images.commit(
                    ImageAdded(new),
                    MemberAdded(make_member(new, "w")),
                    LeaseTaken(make_lease(new, reserved=3), 60),
                    ImageChanged(kept, changed),
                    MemberChanged(replace(member, status=ACCEPTED)),
                    LeaseChanged(replace(lease, reserved=50)),
                    ImageAdded(make_image(owner="theirs")),
                    ImageRemoved(gone, START),
                    last,
                )
            assert database.images.get(kept.id) == kept
            assert database.images.get(gone.id) == gone
            assert found(database, ADMIN, all_visible=True) == {"kept", "gone"}
            assert found(database, tags=("kept",)) == {"kept"}
            assert found(database, ADMIN, tags=("new",)) == found(database, ADMIN, tags=("changed",)) == set()
            assert database.images.members(kept.id) == [member]
            assert database.images.lease(kept.id) == lease
            assert database.images.lease(new.id) is None
            assert database.images.usage("ours") == Usage(
                bytes=5, images=2, metadata_bytes=metadata.size(kept) + metadata.size(gone)
            )
            assert database.images.usage("theirs") == Usage()
            assert database.purge(after(1000)) == 0

    def test_sixty_four_writers_and_readers_see_no_error(self, database: Database) -> None:
        each = metadata.size(make_image(tags=("a", "b0"), properties={"k": "0", "l": "x"}))

        def work(number: int) -> None:
            images = database.images
            for n in range(3):
                image = make_image(
                    number * 10 + n,
                    owner=f"project-{number % 4}",
                    tags=("a", f"b{number % 3}"),
                    properties={"k": str(n), "l": "x"},
                )
                lease = make_lease(image, holder=f"process-{number}", reserved=10)
                images.commit(ImageAdded(image), LeaseTaken(lease, 60), WithinLimits(image.owner, Limits(images=1000)))
                done = with_data(saved(image), 5)
                images.extend(f"process-{number}", 60)
                images.commit(ImageChanged(image, done), LeaseEnded(lease), MemberAdded(make_member(image), 10))
                assert images.get(image.id, Viewer(image.owner)).size == 5
                assert len(listed(images, ImageQuery(Viewer(image.owner), tags=("a",), limit=2))) >= 1
                if n == 0:
                    images.commit(ImageRemoved(done, START))

        assert race(64, work) == [None] * 64
        for project in range(4):
            assert database.images.usage(f"project-{project}") == Usage(
                bytes=16 * 2 * 5, images=16 * 2, metadata_bytes=16 * 2 * each
            )
            assert len(listed(database.images, ImageQuery(Viewer(f"project-{project}"), limit=1000))) == 32

    # -- against a model ---------------------------------------------------------------------------
    @pytest.mark.parametrize("seed", range(4))
    def test_a_random_history_ends_as_in_memory(self, database: Database, seed: int) -> None:
        model = MemoryDatabase()
        history = History(random.Random(seed))  # noqa: S311 - to repeat a failure
        for _ in range(120):
            changes = history.commit(model)
            assert _outcome(database, changes) == _outcome(model, changes), changes
        for project in (*History.PROJECTS, "never"):
            assert database.images.usage(project) == model.images.usage(project)
        for image_id in history.ids:
            assert _read(database, image_id) == _read(model, image_id)
        for _ in range(150):
            query = history.query()
            assert _answer(database, query) == _answer(model, query), query


def ids_of_leases(database: Database) -> list[str]:
    return [x.image_id for x in database.images.expired()]


def _outcome(database: Database, changes: Sequence[Change]) -> type[errors.GlanceError] | None:
    try:
        database.images.commit(*changes)
    except errors.GlanceError as error:
        return type(error)
    return None


def _read(database: Database, image_id: str) -> object:
    try:
        image = database.images.get_any(image_id)
    except errors.ImageNotFound:
        return None
    return image, database.images.members(image_id), database.images.lease(image_id)


def _answer(database: Database, query: ImageQuery) -> tuple[list[Image], str | None] | type[errors.GlanceError]:
    try:
        page = database.images.find(query)
        return list(page.images), page.marker
    except errors.UnknownMarker as error:
        return type(error)


class History:
    """Random commits, of which some must fail, and random questions."""

    PROJECTS = ("ours", "theirs", "friends", None)
    TAGS = ("a", "b", "A", "😀")

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.ids: list[str] = []
        self.clock = 0.0

    def _fields(self) -> dict[str, object]:
        pick = self.rng.choice
        return {
            "owner": pick(self.PROJECTS),
            "name": pick((None, "x", "y", "X", "")),
            "visibility": pick(list(Visibility)),
            "status": pick([*Status, Status.ACTIVE, Status.ACTIVE]),
            "hidden": self.rng.random() < 0.2,
            "size": pick((None, 0, 5, 70)),
            "min_ram": pick((0, 1)),
            "disk_format": pick((None, "raw", "iso")),
            "checksum": pick((None, "c1", "c2")),
            "protected": pick((True, False)),
            "properties": {x: pick(("1", "2", None)) for x in self.rng.sample(("k", "l", "m"), 2)},
            "locations": tuple(make_location(str(n)) for n in range(self.rng.randrange(3))),
        }

    def _tags(self) -> tuple[str, ...]:
        return tuple(self.rng.sample(self.TAGS, self.rng.randrange(4)))

    def commit(self, model: MemoryDatabase) -> list[Change]:
        changes = [self._change(model) for _ in range(self.rng.choice((1, 1, 2, 3)))]
        if self.rng.random() < 0.3:
            changes.append(WithinLimits(self.rng.choice(self.PROJECTS), Limits(images=self.rng.randrange(1, 12))))
        return changes

    def _change(self, model: MemoryDatabase) -> Change:
        rng = self.rng
        self.clock += rng.choice((0.0, 0.4, 1.0))
        image_id = rng.choice(self.ids) if self.ids else str(uuid.UUID(int=rng.getrandbits(128)))
        stored = model.images.state.images.get(image_id)
        kind = rng.randrange(12)
        if stored is None or kind < 4:
            new = make_image(
                self.clock,
                id=str(uuid.UUID(int=rng.getrandbits(128))) if rng.random() < 0.9 else image_id,
                tags=self._tags(),
                **self._fields(),
            )
            self.ids.append(new.id)
            return ImageAdded(new)
        member = make_member(stored, str(rng.choice(self.PROJECTS)), rng.choice(list(MemberStatus)), self.clock)
        lease = make_lease(stored, reserved=rng.randrange(20), token=rng.choice(("t1", "t2")))
        changes: list[Change] = [
            ImageRemoved(stored, after(self.clock)),
            MemberAdded(member, rng.choice((None, 2))),
            MemberAdded(member),
            MemberChanged(member),
            MemberRemoved(image_id, member.member),
            LeaseTaken(lease, 60, rng.choice((None, "t1"))),
            LeaseChanged(lease),
            LeaseEnded(lease),
        ]
        if kind < 8:
            version = stored.version if rng.random() < 0.9 else stored.version + 1
            before = replace(stored, version=version)
            return ImageChanged(before, saved(before, **self._fields()).tagged(*self._tags()))
        return rng.choice(changes)

    def query(self) -> ImageQuery:
        rng, pick = self.rng, self.rng.choice

        def maybe(value: T, chance: float = 0.25) -> T | None:
            return value if rng.random() < chance else None

        equal: dict[str, tuple[str | int | bool, ...]] = {}
        for name, values in (
            ("name", ("x", "y", "")),
            ("owner", ("ours", "theirs")),
            ("status", ("active", "queued")),
            ("checksum", ("c1", "c2")),
            ("disk_format", ("raw",)),
            ("protected", (True,)),
        ):
            if rng.random() < 0.1:
                equal[name] = tuple(rng.sample(values, rng.randrange(1, len(values) + 1)))
        fields = rng.sample(list(SortField), rng.randrange(3))
        return ImageQuery(
            Viewer(pick(self.PROJECTS), admin=rng.random() < 0.3),
            visibility=maybe(pick(list(Visibility))),
            all_visible=rng.random() < 0.3,
            member_status=pick((None, *MemberStatus)),
            hidden=rng.random() < 0.2,
            equal=equal,
            times=()
            if rng.random() < 0.8
            else (
                TimeFilter(
                    pick((SortField.CREATED_AT, SortField.UPDATED_AT)), pick(list(TimeOp)), after(rng.randrange(60))
                ),
            ),
            ranges=()
            if rng.random() < 0.8
            else (RangeFilter(pick(("size", "min_ram")), maybe(1, 0.5), maybe(10, 0.5)),),
            tags=tuple(rng.sample(self.TAGS, pick((0, 0, 1, 2)))),
            properties=maybe({"k": pick(("1", "2"))}) or {},
            sort=(*(Sort(x, rng.random() < 0.5) for x in fields), Sort(SortField.ID, rng.random() < 0.5)),
            marker=maybe(pick(self.ids)),
            limit=pick((1, 5, 100)),
        )
