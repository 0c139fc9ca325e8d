"""Connections that break, before a call arrived or after it was carried out: nothing is applied twice, no false
conflict is told, and nothing is called saved that was not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from glancecore_db_registry.client import Lost
from glancecore_db_registry.driver import RegistryDatabase
from registries import Registry

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Lease
from glancecore.domain.member import Member, MemberStatus
from glancecore.domain.metadef import Namespace
from glancecore.domain.task import Task
from glancecore.ports.metadef_repository import NamespaceAdded, NamespaceChanged, NamespaceRemoved
from glancecore.ports.outbox_repository import EventsRecorded
from glancecore.ports.repository import (
    ImageAdded,
    ImageChanged,
    ImageRemoved,
    LeaseChanged,
    LeaseEnded,
    LeaseTaken,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
)
from glancecore.ports.task_repository import TaskAdded, TaskChanged
from glancecore.testing.examples import (
    START,
    after,
    make_image,
    make_lease,
    make_member,
    make_namespace,
    make_property,
    saved,
)
from glancecore.testing.outbox_repository import make_event
from glancecore.testing.relay import Relay, relay
from glancecore.testing.task_repository import make_task

Open = Callable[..., RegistryDatabase]


@dataclass
class World:
    """What is stored before each case."""

    image: Image
    task: Task
    lease: Lease
    member: Member
    namespace: Namespace


@pytest.fixture
def world(database: RegistryDatabase) -> World:
    image = make_image(name="one")
    made = World(
        image,
        make_task(),
        make_lease(image),
        make_member(image),
        make_namespace("there", properties=(make_property(),)),
    )
    database.images.commit(
        ImageAdded(image), TaskAdded(made.task), MemberAdded(made.member), LeaseTaken(made.lease, 60)
    )
    database.metadefs.commit(NamespaceAdded(made.namespace))
    return made


def _next(namespace: Namespace) -> Namespace:
    return replace(
        namespace,
        version=namespace.version + 1,
        description="new",
        updated_at=namespace.updated_at + timedelta(seconds=1),
    )


def _done(task: Task) -> Task:
    return replace(task, version=task.version + 1, message="new")


OTHER = make_image(7, name="other")
#: Commit -> whether it may be sent again when the first attempt was not carried out.
CASES: dict[str, tuple[Callable[[World], Sequence[Any]], bool]] = {
    "image added": (lambda w: [ImageAdded(OTHER)], True),
    "image changed": (lambda w: [ImageChanged(w.image, saved(w.image, name="new"))], True),
    "image removed": (lambda w: [ImageRemoved(w.image, after(5)), LeaseEnded(w.lease)], True),
    "member added": (lambda w: [MemberAdded(make_member(w.image, "others", second=3))], False),
    "member changed": (
        lambda w: [MemberChanged(replace(w.member, status=MemberStatus.ACCEPTED, updated_at=after(3)))],
        False,
    ),
    "member removed": (lambda w: [MemberRemoved(w.image.id, w.member.member)], False),
    "lease taken": (lambda w: [LeaseTaken(make_lease(OTHER), 60)], True),
    "lease taken over": (
        lambda w: [LeaseTaken(make_lease(w.image, holder="process-2"), 60, replacing=w.lease.token)],
        True,
    ),
    "lease changed": (lambda w: [LeaseChanged(replace(w.lease, reserved=5))], True),
    "lease ended": (lambda w: [LeaseEnded(w.lease)], True),
    "begin of an upload": (lambda w: [ImageAdded(OTHER), LeaseTaken(make_lease(OTHER), 60)], True),
    "end of an upload": (
        lambda w: [ImageChanged(w.image, saved(w.image, status=Status.ACTIVE)), LeaseEnded(w.lease)],
        True,
    ),
    "task added": (lambda w: [TaskAdded(make_task(3, image_id=w.image.id))], True),
    "task changed": (lambda w: [TaskChanged(w.task, _done(w.task))], True),
    "task changed and told": (lambda w: [TaskChanged(w.task, _done(w.task)), EventsRecorded((make_event(),))], True),
    "namespace added": (lambda w: [NamespaceAdded(make_namespace("new", 3))], False),
    "namespace changed": (lambda w: [NamespaceChanged(w.namespace, _next(w.namespace))], True),
    "namespace removed": (lambda w: [NamespaceRemoved(w.namespace)], False),
}


@pytest.fixture
def broken(served: Registry, opened: Open) -> Iterator[tuple[Relay, RegistryDatabase]]:
    with relay("127.0.0.1", served.port) as between:
        yield between, opened(f"http://127.0.0.1:{between.port}")


def _commit(database: RegistryDatabase, changes: Sequence[Any]) -> None:
    to = (
        database.metadefs
        if isinstance(changes[0], NamespaceAdded | NamespaceChanged | NamespaceRemoved)
        else database.images
    )
    to.commit(*changes)


def _state(database: RegistryDatabase, world: World) -> list[object]:
    """All that the cases touch."""

    def get(read: Callable[..., object], *args: object) -> object:
        try:
            return read(*args)
        except errors.NotFound:
            return None

    images, ids = database.images, (world.image.id, OTHER.id)
    return [
        [get(images.get_any, x) for x in ids],
        [images.lease(x) for x in ids],
        [images.members(x) for x in ids],
        images.usage("ours"),
        get(database.tasks.get, world.task.id),
        len(database.tasks.of_image(world.image.id, START)),
        get(database.metadefs.get, "there"),
        get(database.metadefs.get, "new"),
        len(database.outbox.find()),
    ]


@pytest.mark.parametrize("case", CASES)
def test_an_answer_that_is_lost_after_the_commit_is_no_failure(
    broken: tuple[Relay, RegistryDatabase], database: RegistryDatabase, world: World, case: str
) -> None:
    make, _ = CASES[case]
    changes = make(world)
    between, through = broken
    through.ping()
    before = _state(database, world)
    between.word, between.deliver = re.compile(rb"\[\[\"[A-Z]"), True
    _commit(through, changes)
    assert between.cuts == 1
    assert _state(database, world) != before
    if case not in ("member changed", "lease changed"):
        with pytest.raises(errors.GlanceError):
            _commit(database, changes)  # it is there: a second time is refused


@pytest.mark.parametrize("case", CASES)
def test_a_commit_that_did_not_arrive_is_sent_again_when_that_is_safe(
    broken: tuple[Relay, RegistryDatabase], database: RegistryDatabase, world: World, case: str
) -> None:
    make, repeated = CASES[case]
    between, through = broken
    through.ping()
    before = _state(database, world)
    between.word, between.deliver = re.compile(rb"\[\[\"[A-Z]"), False
    if repeated:
        _commit(through, make(world))
    else:
        with pytest.raises(errors.DatabaseUnavailable, match="may or may not have been saved"):
            _commit(through, make(world))
    assert between.cuts == 1
    assert (_state(database, world) != before) == repeated


class Interloper:
    """The first answer is lost, and before anything else somebody else does something."""

    def __init__(
        self,
        database: RegistryDatabase,
        monkeypatch: pytest.MonkeyPatch,
        meanwhile: Callable[[], None],
        *,
        carried_out: bool,
    ) -> None:
        post, first = database.client._post, [True]

        def lossy(*args: Any) -> Any:
            if not (first[0] and "commit" in args[0]):
                return post(*args)
            first[0] = False
            if carried_out:
                assert post(*args)[0] == 200
            meanwhile()
            raise Lost

        monkeypatch.setattr(database.client, "_post", lossy)


def test_changed_again_meanwhile_is_unknown_and_no_conflict(
    database: RegistryDatabase, opened: Open, served: Registry, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = saved(world.image, name="ours"), opened(served.url)
    Interloper(
        database,
        monkeypatch,
        lambda: other.images.commit(ImageChanged(ours, saved(ours, name="theirs"))),
        carried_out=True,
    )
    with pytest.raises(errors.DatabaseUnavailable, match="may or may not have been saved"):
        database.images.commit(ImageChanged(world.image, ours))
    assert database.images.get_any(world.image.id).name == "theirs"


def test_somebody_elses_change_is_a_conflict_and_not_taken_for_ours(
    database: RegistryDatabase, opened: Open, served: Registry, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened(served.url)
    Interloper(
        database,
        monkeypatch,
        lambda: other.images.commit(ImageChanged(world.image, saved(world.image, name="theirs"))),
        carried_out=False,
    )
    with pytest.raises(errors.ConcurrentChange):
        database.images.commit(ImageChanged(world.image, saved(world.image, name="ours")))


def test_somebody_elses_image_of_that_id_is_not_taken_for_ours(
    database: RegistryDatabase, opened: Open, served: Registry, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened(served.url)
    Interloper(
        database,
        monkeypatch,
        lambda: other.images.commit(ImageAdded(replace(OTHER, created_at=after(9)))),
        carried_out=False,
    )
    with pytest.raises(errors.ImageExists):
        database.images.commit(ImageAdded(OTHER))


def test_an_image_that_somebody_else_holds_is_busy(
    database: RegistryDatabase, opened: Open, served: Registry, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened(served.url)
    Interloper(
        database,
        monkeypatch,
        lambda: other.images.commit(LeaseTaken(make_lease(OTHER, holder="theirs"), 60)),
        carried_out=False,
    )
    with pytest.raises(errors.ImageBusy):
        database.images.commit(LeaseTaken(make_lease(OTHER), 60))


def test_a_member_that_was_added_anew_meanwhile_is_not_removed_twice(
    database: RegistryDatabase, opened: Open, served: Registry, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened(served.url)
    Interloper(
        database,
        monkeypatch,
        lambda: other.images.commit(MemberAdded(replace(world.member, created_at=after(9)))),
        carried_out=True,
    )
    with pytest.raises(errors.DatabaseUnavailable, match="may or may not"):
        database.images.commit(MemberRemoved(world.image.id, world.member.member))
    assert database.images.member(world.image.id, world.member.member).created_at == after(9)


def test_a_read_whose_answer_is_lost_is_asked_again(broken: tuple[Relay, RegistryDatabase], world: World) -> None:
    between, through = broken
    between.word, between.deliver = re.compile(rb"/2/images/get_any"), False
    assert through.images.get_any(world.image.id) == world.image
    assert between.cuts == 1


def test_what_counts_is_not_repeated(broken: tuple[Relay, RegistryDatabase], world: World) -> None:
    between, through = broken
    between.word, between.deliver = re.compile(rb"/2/database/purge"), False
    with pytest.raises(errors.DatabaseUnavailable, match="may or may not"):
        through.purge(after(0))
