"""Uploads that are joined, when something else comes in the very middle: no acknowledged byte is lost, and nothing is
left. On two nodes of one database, in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from upload_clouds import DATA, Cloud, clouds
from waiting import until

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.upload_session import SessionState, UploadSession
from glancecore.features.images import deletion
from glancecore.features.uploads import finishing as upload_finishing
from glancecore.features.uploads import turns as upload_turns
from glancecore.features.uploads import upkeep as upload_upkeep
from glancecore.features.uploads import use_cases as upload_sessions

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def cloud(nodes: Cloud) -> Cloud:
    return Cloud(nodes.folder, nodes.nodes)


def part(cloud: Cloud, image_id: str, length: int, node: int = 0) -> UploadSession:
    found: UploadSession = cloud.uploads(node).begin(cloud.ctx, image_id, length, partial=True)
    return found


def join(cloud: Cloud, *partials: UploadSession) -> UploadSession:
    found: UploadSession = cloud.uploads().join(cloud.ctx, partials[0].image_id, [x.id for x in partials])
    return found


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    at = now() + timedelta(seconds=seconds)
    for module in (upload_sessions, upload_upkeep, upload_finishing, upload_turns):
        monkeypatch.setattr(module, "now", lambda: at)


def test_a_byte_comes_while_a_whole_one_begins(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was empty a moment ago gives no way."""
    image_id = cloud.image()
    session = part(cloud, image_id, 20)
    joining = cloud.uploads()._joining
    empty = joining.empty

    def then_no_more(joint: UploadSession) -> bool:
        found = bool(empty(joint))
        assert cloud.append(session, 0, DATA[:10], 1).offset == 10
        return found

    with monkeypatch.context() as patched:
        patched.setattr(joining, "empty", then_no_more)
        with pytest.raises(errors.WrongStatus):
            cloud.uploads().begin(cloud.ctx, image_id, 5)
    assert (cloud.show(session).offset, cloud.reserved()) == (10, (20, 1))
    cloud.append(session, 10, DATA[10:20])
    assert cloud.download(join(cloud, session)) == DATA[:20]


def test_several_begin_where_an_empty_whole_one_is(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them takes the others for that."""
    whole = cloud.begun(5)
    uploads = cloud.uploads()
    found: list[UploadSession] = []
    without = uploads._without_empty

    def behind_another(*args: Any, **more: Any) -> Any:
        if not found:
            found.append(part(cloud, whole.image_id, 10, 1))
        return without(*args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(uploads, "_without_empty", behind_another)
        found.append(part(cloud, whole.image_id, 10))
    assert cloud.reserved() == (20, 1)
    for at, session in enumerate(found):
        cloud.append(session, 0, DATA[at * 10 : at * 10 + 10])
    assert cloud.download(join(cloud, *found)) == DATA[:20]


def test_one_begins_while_the_last_one_is_given_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    last = part(cloud, cloud.image(), 10)
    turns = cloud.uploads()._turns
    settled = turns.settled
    given_up: list[UploadSession] = []

    def behind_its_end(session: UploadSession, *args: Any) -> Any:
        if not given_up:
            given_up.append(last)
            cloud.terminate(last, 1)
        return settled(session, *args)

    with monkeypatch.context() as patched:
        patched.setattr(turns, "settled", behind_its_end)
        session = part(cloud, last.image_id, 20)
    assert (given_up, cloud.reserved()) == ([last], (20, 1))
    assert cloud.show(session).offset == 0


def test_what_is_not_named_takes_nothing_more(cloud: Cloud) -> None:
    """It is not reserved any more, also while the image is not made yet."""
    image_id = cloud.image()
    one, other = part(cloud, image_id, 10), part(cloud, image_id, 20)
    cloud.append(one, 0, DATA[:10])
    cloud.append(other, 0, DATA[:5])
    stopping = cloud.uploads()._finishing.workers.stopping
    stopping.set()
    try:
        final = join(cloud, one)
        assert final.state is SessionState.FINISHING
        with pytest.raises(errors.UploadGone, match="not named"):
            cloud.append(other, 5, DATA[5:20], 1)
        cloud.terminate(other)
        with pytest.raises(errors.Conflict):
            cloud.terminate(one)
    finally:
        stopping.clear()
    assert cloud.reserved() == (10, 1)
    cloud.terminate(final)
    cloud.nothing_left(final)


def test_the_image_is_deleted_during_a_transfer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes behind the removal of the bytes is not taken, and does not stay."""
    session = part(cloud, cloud.image(), 2_000_000)
    waits, go, raised = threading.Event(), threading.Event(), []

    def pieces() -> Iterator[bytes]:
        yield DATA[:1_000]
        waits.set()
        go.wait(60)
        yield DATA[1_000:2_000_000]

    def run() -> None:
        try:
            cloud.append(session, 0, pieces())
        except BaseException as exc:
            raised.append(exc)

    def behind(step: str) -> None:
        if step == "delete.after_bytes":
            go.set()
            thread.join(60)

    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(60)
    try:
        assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
        cloud.expire_lease(session)
        with monkeypatch.context() as patched:
            patched.setattr(deletion, "checkpoint", behind)
            cloud.reap()
    finally:
        go.set()
        thread.join(60)
    assert isinstance(raised[0], errors.GlanceError)
    assert (cloud.staged(), cloud.reserved(), cloud.database.images.lease(session.image_id)) == ([], (0, 0), None)


def test_a_request_that_came_in_time_keeps_it(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before its first bytes are durable."""
    session = cloud.append(part(cloud, cloud.image(), 1000), 0, DATA[:10])

    def pieces() -> Iterator[bytes]:
        yield DATA[10:20]
        later(monkeypatch, 700)
        cloud.expire_lease(session)
        cloud.reap()
        yield DATA[20:1000]

    later(monkeypatch, 500)
    assert cloud.append(session, 10, pieces()).offset == 1000
    assert cloud.download(join(cloud, session)) == DATA[:1000]


def test_it_expires_at_the_very_moment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged of which nothing stays."""
    session = cloud.append(part(cloud, cloud.image(), 1000), 0, DATA[:10])
    told: list[str] = []

    def in_between(step: str) -> None:
        if step == "session.before_end":
            try:
                told.append(f"taken: {cloud.append(session, 10, DATA[10:20]).offset}")
            except errors.UploadGone:
                told.append("gone")

    later(monkeypatch, 700)
    cloud.expire_lease(session)
    with monkeypatch.context() as patched:
        patched.setattr(upload_finishing, "checkpoint", in_between)
        cloud.reap()
    assert told == ["gone"]
    cloud.nothing_left(session)


def test_given_up_while_its_bytes_can_not_be_removed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds what he could not bring to its end."""
    session = cloud.append(part(cloud, cloud.image(), 1000), 0, DATA[:10])

    def away(*_: object) -> None:
        raise errors.StoreUnavailable("it does not answer", "staging")

    with monkeypatch.context() as patched:
        for node in (0, 1):
            patched.setattr(cloud.uploads(node)._parts, "discard", away)
        later(patched, 700)
        cloud.expire_lease(session)
        cloud.reap()
        with pytest.raises(errors.StoreUnavailable):
            cloud.terminate(session)
        assert cloud.database.images.lease(session.image_id).holder == upload_turns.RESTING
    cloud.expire_lease(session)
    cloud.reap()
    cloud.nothing_left(session)


def test_another_one_begins_before_the_bytes_of_one_are_gone(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not kept, nor reserved, for as long as that one."""
    image_id = cloud.image()
    one, two = part(cloud, image_id, 1000), part(cloud, image_id, 2000)
    cloud.append(one, 0, DATA[:10])

    def away(*_: object) -> None:
        raise errors.StoreUnavailable("it does not answer", "staging")

    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads()._parts, "discard", away)
        with pytest.raises(errors.StoreUnavailable):
            cloud.terminate(one)
    three = part(cloud, image_id, 4000)
    until(lambda: cloud.reap() or cloud.reserved() == (6000, 1))
    assert cloud.staged() == []
    assert [cloud.show(x).offset for x in (two, three)] == [0, 0]


def test_what_a_dead_process_has_left_is_seen_soon(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a request that is refused has taken its lease."""
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    image_id = cloud.image()
    one = cloud.append(part(cloud, image_id, 1000), 0, DATA[:10])
    part(cloud, image_id, 2000)
    joint = cloud.uploads()._records.at([one.leased])
    dead = cloud.uploads(1)._turns.take(joint, joint)
    cloud.uploads(1)._joining._mark(dead, one.id)
    dead.end()
    with pytest.raises(errors.QuotaExceeded):
        part(cloud, image_id, 10_000_000)
    until(lambda: cloud.reap() or cloud.reserved() == (2000, 1))
    assert cloud.staged() == []
