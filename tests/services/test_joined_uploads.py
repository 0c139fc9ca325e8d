"""Uploads of one image that come at the same time and are joined: in the order that is said, in one commit, and what is
reserved is exact. On two nodes of one database, in this process."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from images import samples
from upload_clouds import DATA, Cloud, broken_after, clouds
from waiting import until

from glancecore.assembly.jobs import load_job
from glancecore.domain import errors
from glancecore.domain.upload_session import MOST_PARTIALS, SessionState, UploadSession
from glancecore.features.uploads import finishing as upload_finishing
from glancecore.features.uploads import turns as upload_turns
from glancecore.features.uploads import upkeep as upload_upkeep
from glancecore.features.uploads import use_cases as upload_sessions
from glancecore.features.uploads.records import changed
from glancecore.testing import service as kit

pytestmark = pytest.mark.long

CUTS = [(0, 1_000_000), (1_000_000, 1_900_000), (1_900_000, 3_000_000)]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def cloud(nodes: Cloud) -> Cloud:
    return Cloud(nodes.folder, nodes.nodes)


def part(cloud: Cloud, image_id: str, length: int | None, node: int = 0, **more: Any) -> UploadSession:
    found: UploadSession = cloud.uploads(node).begin(cloud.ctx, image_id, length, partial=True, **more)
    return found


def parts(cloud: Cloud, image_id: str, *, sent: bool = True) -> list[UploadSession]:
    """Of DATA, each at the other node."""
    made = [part(cloud, image_id, end - first, at % 2) for at, (first, end) in enumerate(CUTS)]
    return (
        [
            cloud.append(x, 0, DATA[first:end], 1 - at % 2)
            for at, (x, (first, end)) in enumerate(zip(made, CUTS, strict=True))
        ]
        if sent
        else made
    )


def join(cloud: Cloud, partials: list[UploadSession], node: int = 0, **more: Any) -> UploadSession:
    found: UploadSession = cloud.uploads(node).join(cloud.ctx, partials[0].image_id, [x.id for x in partials], **more)
    return found


def joint(cloud: Cloud, partial: UploadSession) -> UploadSession:
    found: UploadSession | None = cloud.uploads()._records.at([partial.leased])
    assert found is not None
    return found


# -- the way of them -------------------------------------------------------------------------------
def test_they_become_the_image(cloud: Cloud) -> None:
    image_id = cloud.image()
    partials = parts(cloud, image_id)
    assert cloud.reserved() == (len(DATA), 1), "one image, and what its partial uploads have together"
    assert [(x.state, x.offset) for x in cloud.uploads().of_image(cloud.ctx, image_id)] == [
        (SessionState.OPEN, x.offset) for x in sorted(partials, key=lambda x: x.id)
    ]
    done = join(cloud, partials, 1, note={"metadata": "m"})
    assert (done.state, done.offset, done.length, dict(done.note)) == (
        SessionState.DONE,
        len(DATA),
        len(DATA),
        {"metadata": "m"},
    )
    shown = cloud.shown(done)
    assert (shown["status"], shown["size"], shown["os_hash_value"]) == (
        "active",
        len(DATA),
        hashlib.sha512(DATA).hexdigest(),
    )
    assert cloud.download(done) == DATA
    assert (cloud.staged(), len(cloud.blobs()), cloud.database.images.lease(image_id), cloud.reserved()) == (
        [],
        1,
        None,
        (len(DATA), 0),
    )
    assert [x.id for x in cloud.uploads().of_image(cloud.ctx, image_id)] == [done.id]
    assert cloud.show(done).joined == tuple(x.id for x in partials)


def test_the_order_is_that_of_the_join(cloud: Cloud) -> None:
    image_id = cloud.image()
    first, second, third = parts(cloud, image_id)
    done = join(cloud, [third, first, second])
    assert cloud.download(done) == DATA[1_900_000:] + DATA[:1_900_000]


def test_what_is_not_named_goes_with_it(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    done = join(cloud, partials[:2])
    assert cloud.download(done) == DATA[:1_900_000]
    assert (cloud.staged(), cloud.reserved()) == ([], (1_900_000, 0))
    with pytest.raises(errors.UploadNotFound):
        cloud.show(partials[2])


def test_empty_ones(cloud: Cloud) -> None:
    image_id = cloud.image()
    made = [part(cloud, image_id, 0), part(cloud, image_id, 3), part(cloud, image_id, 0)]
    cloud.append(made[1], 0, b"abc")
    assert cloud.download(join(cloud, made)) == b"abc"
    assert cloud.shown(join(cloud, [part(cloud, cloud.image(), 0)]))["size"] == 0


def test_they_come_at_the_same_time(cloud: Cloud) -> None:
    """Also their beginnings, over two nodes; in requests that are broken off."""
    image_id, found, raised = cloud.image(), {}, []

    def client(at: int) -> None:
        try:
            data = DATA[at * 300_000 : (at + 1) * 300_000]
            found[at] = session = part(cloud, image_id, len(data), at % 2)
            with pytest.raises(errors.TruncatedBody):
                cloud.append(session, 0, broken_after(data[:100_000], data[100_000:150_000]), at % 2)
            assert cloud.show(session, 1 - at % 2).offset == 150_000
            cloud.append(session, 150_000, data[150_000:], 1 - at % 2)
        except BaseException as exc:
            raised.append(exc)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert raised == []
    assert cloud.reserved() == (2_400_000, 1)
    assert cloud.download(join(cloud, [found[n] for n in range(8)])) == DATA[:2_400_000]
    assert (cloud.staged(), cloud.reserved()) == ([], (2_400_000, 0))


def test_a_join_that_is_asked_for_again_is_told_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_finishing, "PAUSE", 60.0)
    partials = parts(cloud, cloud.image())

    def full(*_: object) -> str:
        raise errors.StoreFull("no room", "fast", "put")

    with monkeypatch.context() as away:
        for node in cloud.nodes:
            away.setattr(node.stores.get("fast")._store, "put_for", full)
        for node in (0, 1):
            with pytest.raises(errors.StoreFull):
                join(cloud, partials, node)
    done = join(cloud, partials, 1)
    assert (done.state, join(cloud, partials).id) == (SessionState.DONE, done.id)
    assert cloud.download(done) == DATA


def test_another_store_is_chosen_at_the_end(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    with pytest.raises(errors.UnknownStore):
        join(cloud, partials, store="nowhere")
    assert join(cloud, partials, store="fast").state is SessionState.DONE


# -- what is refused -------------------------------------------------------------------------------
def test_only_complete_ones_of_the_same_image_each_once(cloud: Cloud) -> None:
    image_id = cloud.image()
    one, two = part(cloud, image_id, 10), part(cloud, image_id, 10)
    other = cloud.append(part(cloud, cloud.image(), 10), 0, DATA[:10])
    whole = cloud.append(cloud.begun(20), 0, DATA[:10])
    cloud.append(one, 0, DATA[:10])
    cloud.append(two, 0, DATA[:9])
    with pytest.raises(errors.Conflict, match=r"2\. partial upload has 9 of its 10 bytes"):
        join(cloud, [one, two])
    for wrong in ([one, other], [one, one], [one, whole], [one, replace(one, id="none")]):
        with pytest.raises(errors.Invalid):
            join(cloud, wrong)
    with pytest.raises(errors.Invalid):
        join(cloud, [whole])
    cloud.append(two, 9, DATA[9:10])
    assert join(cloud, [one, two]).state is SessionState.DONE
    with pytest.raises((errors.Invalid, errors.WrongStatus)):
        join(cloud, [two, one])
    assert cloud.uploads().show(cloud.ctx, other.image_id, other.id).offset == 10


def test_a_final_one_takes_no_bytes(cloud: Cloud) -> None:
    done = join(cloud, parts(cloud, cloud.image()))
    for offset in (0, len(DATA)):
        with pytest.raises(errors.Forbidden):
            cloud.append(done, offset, b"", size=0)


def test_a_partial_one_tells_its_length_and_has_no_more(cloud: Cloud) -> None:
    image_id = cloud.image()
    with pytest.raises(errors.Invalid):
        part(cloud, image_id, None)
    with pytest.raises(errors.TooLarge):
        part(cloud, image_id, cloud.uploads().largest + 1)
    session = part(cloud, image_id, 1000)
    with pytest.raises(errors.TooLarge, match="the partial uploads have"):
        part(cloud, image_id, cloud.uploads().largest - 999)
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 0, DATA[:1001], size=1001)
    cloud.append(session, 0, DATA[:1000])
    assert cloud.append(session, 1000, b"", size=0).state is SessionState.OPEN
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 1000, b"x", size=1)
    with pytest.raises(errors.OffsetMismatch):
        cloud.append(session, 0, b"x", size=1)


def test_beside_whole_ones(cloud: Cloud) -> None:
    """One that has got bytes gives no way, whichever it is; one that has none does."""
    image_id = cloud.image()
    empty = cloud.uploads().begin(cloud.ctx, image_id, 5)
    session = part(cloud, image_id, 10)
    with pytest.raises(errors.UploadNotFound):
        cloud.show(empty)
    whole = cloud.uploads().begin(cloud.ctx, image_id, 5)
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    assert cloud.reserved() == (5, 1)
    cloud.append(whole, 0, b"x")
    with pytest.raises(errors.WrongStatus):
        part(cloud, image_id, 10)
    cloud.terminate(whole)
    cloud.append(part(cloud, image_id, 10), 0, b"x")
    with pytest.raises(errors.WrongStatus):
        cloud.uploads().begin(cloud.ctx, image_id, 5)
    assert cloud.reserved() == (10, 1)


def test_the_quota_is_kept_to_the_byte(cloud: Cloud) -> None:
    image_id = cloud.image()
    one = part(cloud, image_id, 6_000_000)
    with pytest.raises(errors.QuotaExceeded):
        part(cloud, image_id, 4_000_001)
    two = part(cloud, image_id, 4_000_000)
    with pytest.raises(errors.QuotaExceeded):
        part(cloud, image_id, 1)
    cloud.terminate(two)
    assert cloud.reserved() == (6_000_000, 1)
    three = part(cloud, image_id, 4_000_000, 1)
    cloud.terminate(one, 1)
    assert cloud.reserved() == (4_000_000, 1)
    cloud.terminate(three)
    cloud.nothing_left(three)


def test_an_image_has_only_so_many(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = cloud.image()
    session = part(cloud, image_id, 1)
    group = joint(cloud, session)
    cloud.database.images.commit(
        *(
            upload_sessions.added(replace(session, id=f"n{n}", tag=f"{group.tag}_n{n}"))
            for n in range(MOST_PARTIALS - 1)
        )
    )
    with pytest.raises(errors.LimitExceeded):
        part(cloud, image_id, 1)
    cloud.terminate(session)
    assert part(cloud, image_id, 1).partial
    for _ in range(4):
        cloud.begun(1)
    with pytest.raises(errors.LimitExceeded):
        part(cloud, cloud.image(), 1)


def test_the_format_is_judged_over_the_whole(cloud: Cloud) -> None:
    data = samples.path("vmdk").read_bytes()
    image_id = cloud.image(disk_format="qcow2")
    made = [part(cloud, image_id, 3), part(cloud, image_id, len(data) - 3)]
    cloud.append(made[0], 0, data[:3])
    cloud.append(made[1], 0, data[3:])
    with pytest.raises(errors.BadContent):
        join(cloud, made)
    cloud.nothing_left(made[0])
    with pytest.raises(errors.UploadNotFound):
        cloud.append(made[0], 3, b"")
    assert "disk_format" in cloud.shown(made[0])["os_glance_last_error"]


def test_others_learn_nothing(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    reader = cloud.context("reader")
    with pytest.raises(errors.UploadNotFound):
        cloud.uploads().show(reader, partials[0].image_id, partials[0].id)
    with pytest.raises(errors.Forbidden):
        cloud.uploads().join(reader, partials[0].image_id, [x.id for x in partials])


# -- ends ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("node", [0, 1])
def test_given_up_one_by_one(cloud: Cloud, node: int) -> None:
    partials = parts(cloud, cloud.image())
    for at, session in enumerate(partials):
        assert cloud.reserved() == (sum(end - first for first, end in CUTS[at:]), 1)
        cloud.terminate(session, node)
        with pytest.raises(errors.UploadNotFound):
            cloud.show(session)
    cloud.nothing_left(partials[0])


def test_given_up_during_a_transfer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    image_id = cloud.image()
    session, other = part(cloud, image_id, len(DATA)), part(cloud, image_id, 5)
    waits, go, raised = threading.Event(), threading.Event(), []

    def pieces() -> Iterator[bytes]:
        yield DATA[:1_500_000]
        waits.set()
        go.wait(60)
        yield DATA[1_500_000:]

    def run() -> None:
        try:
            cloud.append(session, 0, pieces(), 0)
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(60)
    cloud.append(other, 0, b"12345")
    cloud.terminate(session, 1)
    go.set()
    thread.join(60)
    assert isinstance(raised[0], errors.GlanceError)
    assert (cloud.reserved(), len(cloud.staged())) == ((5, 1), 1)
    assert cloud.download(join(cloud, [other])) == b"12345"


@pytest.mark.parametrize("node", [0, 1])
def test_the_newest_request_wins(cloud: Cloud, node: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_turns, "SETTLE", 0.3)
    monkeypatch.setattr(upload_turns, "ALONE", 0.1)
    session = part(cloud, cloud.image(), len(DATA))
    waits, go, raised = threading.Event(), threading.Event(), []

    def pieces() -> Iterator[bytes]:
        for at in (0, 1_100_000):
            yield DATA[at : at + 1_100_000]
        waits.set()
        go.wait(60)
        yield DATA[2_200_000:]

    def run() -> None:
        try:
            cloud.append(session, 0, pieces(), 0)
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(60)
    offset = cloud.show(session, node).offset
    assert offset >= 1_100_000
    assert cloud.append(session, offset, DATA[offset:2_500_000], node).offset == 2_500_000
    go.set()
    thread.join(60)
    assert isinstance(raised[0], errors.Conflict)
    assert cloud.show(session).offset == 2_500_000, "nothing of the older one came behind"
    cloud.append(session, 2_500_000, DATA[2_500_000:], 1 - node)
    assert cloud.download(join(cloud, [session])) == DATA
    assert cloud.staged() == []


def test_a_dead_request_holds_nothing_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    session = cloud.append(part(cloud, cloud.image(), 2000), 0, DATA[:1000])
    stored = cloud.stored(session)
    cloud.database.images.commit(
        changed(stored, replace(stored.claimed(), busy="a request of a process that is no more"))
    )
    assert cloud.append(session, 1000, DATA[1000:2000], 1).offset == 2000
    assert cloud.download(join(cloud, [session])) == DATA[:2000]


def test_the_image_is_deleted(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    assert cloud.owner.call("DELETE", f"/v2/images/{partials[0].image_id}").status_code == 204
    cloud.expire_lease(partials[0])
    cloud.reap()
    assert (cloud.staged(), cloud.reserved(), cloud.database.images.lease(partials[0].image_id)) == ([], (0, 0), None)
    with pytest.raises(errors.UploadNotFound):
        cloud.append(partials[0], 0, b"")


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    at = upload_sessions.now() + timedelta(seconds=seconds)
    for module in (upload_sessions, upload_upkeep, upload_finishing, upload_turns):
        monkeypatch.setattr(module, "now", lambda: at)
    monkeypatch.setattr(upload_upkeep, "_SWEEP", -1.0)


def test_they_expire_with_the_last_of_them(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = cloud.image()
    one, two = part(cloud, image_id, 1000), part(cloud, image_id, 1000)
    with monkeypatch.context() as patched:
        later(patched, 500)
        two = cloud.append(two, 0, DATA[:10])
    later(monkeypatch, 700)
    cloud.uploads().upkeep.every_pass()
    cloud.expire_lease(one)
    cloud.reap()
    assert (cloud.show(one).offset, cloud.show(two).offset, cloud.reserved()) == (0, 10, (2000, 1))
    assert cloud.database.images.lease(image_id).holder == upload_turns.RESTING
    later(monkeypatch, 500)
    cloud.expire_lease(one)
    cloud.reap()
    cloud.nothing_left(one)
    for session in (one, two):
        with pytest.raises(errors.UploadNotFound):
            cloud.stored(session)


def test_what_waits_is_no_leftover(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    service = cloud.nodes[0]
    job = load_job(kit.read(cloud.folder / "glance-api.conf"), "orphans", service.tools, "here")
    job.job.conf.grace = 0  # type: ignore[attr-defined]
    left = cloud.folder / "fast" / ".staging" / partials[0].part(77)

    def run() -> None:
        assert service.runner_of(job).run(job, dry_run=False).outcome.value == "done"

    run()
    assert len(cloud.staged()) == 3
    done = join(cloud, partials)
    left.write_bytes(b"of a process that died behind the end")
    os.utime(left, (0, 0))
    run()
    assert cloud.staged() == []
    assert cloud.download(done) == DATA


def test_one_whose_bytes_can_not_be_removed_now_is_removed_later(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    partials = parts(cloud, cloud.image())

    def away(*_: object) -> None:
        raise errors.StoreUnavailable("it does not answer", "staging")

    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads()._parts, "discard", away)
        with pytest.raises(errors.StoreUnavailable):
            cloud.terminate(partials[0])
    with pytest.raises(errors.UploadGone):
        cloud.append(partials[0], 1_000_000, b"", size=0)
    until(lambda: cloud.reap() or len(cloud.staged()) == 2)
    assert cloud.reserved() == (2_000_000, 1)
    assert cloud.download(join(cloud, partials[1:])) == DATA[1_000_000:]


def test_an_image_whose_maker_died_is_made_by_another(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    stopping = cloud.uploads()._finishing.workers.stopping
    stopping.set()
    try:
        final = join(cloud, partials)
    finally:
        stopping.clear()
    assert [cloud.stored(x).state for x in (final, *partials)] == [SessionState.FINISHING] * 4
    with pytest.raises(errors.Conflict):
        cloud.terminate(partials[0])
    cloud.expire_lease(final)
    until(lambda: cloud.reap() or cloud.stored(final).state is SessionState.DONE)
    assert cloud.download(final) == DATA
    until(lambda: cloud.staged() == [])


def test_what_is_not_named_is_not_reserved_any_more(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    stopping = cloud.uploads()._finishing.workers.stopping
    stopping.set()
    try:
        final = join(cloud, partials[:2])
        assert cloud.reserved() == (1_900_000, 1)
    finally:
        stopping.clear()
    cloud.terminate(final)
    cloud.nothing_left(final)


def test_what_has_expired_takes_nothing_more(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while its bytes can't be removed."""
    image_id = cloud.image()
    one, two = part(cloud, image_id, 1000), part(cloud, image_id, 1000)
    cloud.append(one, 0, DATA[:10])

    def away(*_: object) -> None:
        raise errors.StoreUnavailable("it does not answer", "staging")

    with monkeypatch.context() as patched:
        later(patched, 700)
        patched.setattr(cloud.uploads(1)._parts, "discard", away)
        cloud.expire_lease(one)
        cloud.reap()
    assert len(cloud.staged()) == 1
    for session, offset in ((one, 10), (two, 0)):
        with pytest.raises(errors.UploadGone):
            cloud.append(session, offset, DATA[offset:1000])
    cloud.expire_lease(one)
    cloud.reap()
    cloud.nothing_left(one)


def test_a_final_one_is_given_up(cloud: Cloud) -> None:
    partials = parts(cloud, cloud.image())
    stopping = cloud.uploads()._finishing.workers.stopping
    stopping.set()
    try:
        final = join(cloud, partials)
    finally:
        stopping.clear()
    cloud.terminate(final, 1)
    cloud.nothing_left(final)
