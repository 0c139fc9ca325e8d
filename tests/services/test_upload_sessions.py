"""Uploads in pieces: what is acknowledged is durable, what is reserved is exact, the newest request wins, and nothing
stays of what has ended. On two nodes of one database, in this process."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from images import samples
from limits import RateLimitItemPerMinute
from upload_clouds import DATA, Cloud, Stalled, broken_after, clouds
from waiting import until

from glancecore.assembly.jobs import load_job
from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.lease import BlobRef, Operation
from glancecore.domain.upload_session import (
    MOST_PARTS,
    MOST_RUNS,
    PLACE,
    PartRun,
    PieceDigest,
    SessionState,
    UploadSession,
)
from glancecore.features.uploads import finishing as upload_finishing
from glancecore.features.uploads import records as upload_records
from glancecore.features.uploads import takeovers as upload_takeovers
from glancecore.features.uploads import turns as upload_turns
from glancecore.features.uploads import upkeep as upload_upkeep
from glancecore.features.uploads import use_cases as upload_sessions
from glancecore.features.uploads.records import added, changed, removed
from glancecore.ports.repository import LeaseEnded, LeaseTaken
from glancecore.testing import service as kit

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def cloud(nodes: Cloud, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud(nodes.folder, nodes.nodes)
    if getattr(request, "param", "parts") == "staging":
        made.plain(monkeypatch)
    return made


#: The image's store takes the parts itself, or they wait in the staging store.
BOTH = pytest.mark.parametrize("cloud", ["parts", "staging"], indirect=True)
STAGING = pytest.mark.parametrize("cloud", ["staging"], indirect=True)


# -- the way of an upload --------------------------------------------------------------------------
@BOTH
def test_pieces_become_the_image(cloud: Cloud) -> None:
    """Each request at another node."""
    session = cloud.begun()
    assert cloud.shown(session)["status"] == "saving"
    cuts = [0, 1, 700_000, 700_000, 2_500_000, 3_000_000]
    for node, (first, end) in enumerate(itertools.pairwise(cuts)):
        session = cloud.append(session, first, DATA[first:end], node % 2, size=end - first)
        assert session.offset == end
        assert cloud.show(session, (node + 1) % 2).offset == end
        assert cloud.reserved() == (3_000_000, 1 if end < 3_000_000 else 0)
    assert session.state is SessionState.DONE
    shown = cloud.shown(session)
    assert (shown["status"], shown["size"], shown["checksum"]) == (
        "active",
        3_000_000,
        hashlib.md5(DATA, usedforsecurity=False).hexdigest(),
    )
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert cloud.download(session) == DATA
    assert (cloud.waiting(), len(cloud.blobs()), cloud.database.images.lease(session.image_id)) == ([], 1, None)


@BOTH
def test_a_long_request_is_made_durable_in_parts(cloud: Cloud) -> None:
    session = cloud.begun()
    seen: list[int] = []

    def pieces() -> Iterator[bytes]:
        for at in range(0, 2_900_000, 100_000):
            seen.append(cloud.stored(session).offset)
            yield DATA[at : at + 100_000]

    assert cloud.append(session, 0, pieces()).offset == 2_900_000
    assert max(seen) >= 2 << 20
    assert cloud.append(session, 2_900_000, DATA[2_900_000:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


@BOTH
def test_a_broken_connection_keeps_what_has_come(cloud: Cloud) -> None:
    session = cloud.begun()
    with pytest.raises(errors.TruncatedBody):
        cloud.append(session, 0, broken_after(DATA[:300_000], DATA[300_000:1_300_001]), size=len(DATA))
    assert cloud.show(session, 1).offset == 1_300_001
    assert cloud.append(session, 1_300_001, DATA[1_300_001:], 1).state is SessionState.DONE
    assert cloud.download(session) == DATA


def test_a_length_that_is_told_late(cloud: Cloud) -> None:
    session = cloud.begun(None)
    assert cloud.reserved() == (0, 1)
    session = cloud.append(session, 0, DATA[:1_500_000])
    assert cloud.reserved() == (1_500_000, 1), "no more than has come"
    session = cloud.append(session, 1_500_000, b"", length=len(DATA))
    assert cloud.reserved() == (3_000_000, 1)
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 1_500_000, b"", length=len(DATA) + 1)
    assert cloud.append(session, 1_500_000, DATA[1_500_000:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


@BOTH
def test_the_end_without_a_length(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(None), 0, DATA[:1000])
    with pytest.raises(errors.TruncatedBody):
        cloud.append(session, 1000, broken_after(DATA[1000:1500]), last=True)
    assert cloud.show(session).state is SessionState.OPEN, "a body that broke off is not the last"
    assert cloud.append(session, 1500, DATA[1500:2000], last=True).state is SessionState.DONE
    assert cloud.download(session) == DATA[:2000]


@pytest.mark.parametrize("length", [0, None])
def test_an_empty_image(cloud: Cloud, length: int | None) -> None:
    session = cloud.begun(length)
    assert cloud.append(session, 0, b"", size=0, last=length is None).state is SessionState.DONE
    assert (cloud.shown(session)["status"], cloud.shown(session)["size"]) == ("active", 0)


@BOTH
def test_a_digest_takes_the_piece_whole_or_not_at_all(cloud: Cloud) -> None:
    session = cloud.begun()
    right = PieceDigest("sha1", hashlib.sha1(DATA[:2_000_000], usedforsecurity=False).digest())
    pieces = [DATA[:900_000], DATA[900_000:2_000_000]]
    with pytest.raises(errors.HashMismatch):
        cloud.append(session, 0, iter([DATA[:1_999_999], b"?"]), digest=right)
    with pytest.raises(errors.TruncatedBody):
        cloud.append(session, 0, broken_after(*pieces), digest=right)
    with pytest.raises(errors.HashMismatch):
        cloud.append(session, 0, b"", digest=right)
    assert (cloud.show(session).offset, cloud.staged()) == (0, [])
    assert cloud.append(session, 0, iter(pieces), digest=right).offset == 2_000_000
    assert cloud.append(session, 2_000_000, DATA[2_000_000:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


def test_an_end_that_is_asked_for_again_is_told_again(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(3), 0, b"abc")
    assert cloud.append(session, 3, b"", size=0).state is SessionState.DONE
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 3, b"d", size=1)
    with pytest.raises(errors.OffsetMismatch):
        cloud.append(session, 0, b"abc", size=3)
    cloud.terminate(session)
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    assert cloud.shown(session)["status"] == "active", "what is active stays"


# -- what is refused -------------------------------------------------------------------------------
def test_an_offset_elsewhere_changes_nothing(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    for offset in (0, 999, 1001, 3_000_000):
        with pytest.raises(errors.OffsetMismatch) as caught:
            cloud.append(session, offset, b"x")
        assert caught.value.offset == 1000
    assert cloud.show(session).offset == 1000


def test_more_than_declared(cloud: Cloud) -> None:
    session = cloud.begun(1000)
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 0, DATA[:1001], size=1001)
    assert cloud.show(session).offset == 0
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 0, iter([DATA[:600], DATA[600:1001]]))
    assert cloud.show(session).offset == 600, "what came before was right"


def test_larger_than_an_image_may_be(tmp_path: Path) -> None:
    with clouds(tmp_path, {"DEFAULT": {"image_size_cap": 2_000_000, "user_storage_quota": "0"}}) as cloud:
        assert cloud.uploads().largest == 2_000_000
        image_id = cloud.image()
        with pytest.raises(errors.TooLarge):
            cloud.uploads().begin(cloud.ctx, image_id, 2_000_001)
        session = cloud.uploads().begin(cloud.ctx, image_id)
        with pytest.raises(errors.TooLarge):
            cloud.append(session, 0, b"", length=2_000_001)
        with pytest.raises(errors.TooLarge):
            cloud.append(session, 0, b"", size=2_000_001)
        with pytest.raises(errors.TooLarge):
            cloud.append(session, 0, iter([DATA[:1_999_999], DATA[:2]]))
        assert cloud.show(session).offset == 1_999_999


def test_the_quota_is_kept_to_the_byte(cloud: Cloud) -> None:
    limit = 10_000_000
    with pytest.raises(errors.QuotaExceeded):
        cloud.begun(limit + 1)
    one = cloud.begun(limit - 1_000_000)
    other = cloud.begun(None)
    with pytest.raises(errors.QuotaExceeded):
        cloud.append(other, 0, b"", length=1_000_001)
    with pytest.raises(errors.QuotaExceeded):
        cloud.append(other, 0, iter([DATA[:999_999], DATA[:2]]))
    assert cloud.show(other).offset == 999_999
    assert cloud.reserved() == (limit - 1, 2)
    assert cloud.append(other, 999_999, b"x", last=True).state is SessionState.DONE
    with pytest.raises(errors.QuotaExceeded):
        cloud.begun(1)
    cloud.terminate(one)
    assert cloud.reserved() == (1_000_000, 0)


def test_the_quota_is_asked_again_at_the_end(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    finishing = cloud.uploads()._finishing
    limits = finishing._quota.limits
    monkeypatch.setattr(finishing._quota, "limits", lambda owner: replace(limits(owner), bytes=2_999_999))
    with pytest.raises(errors.QuotaExceeded):
        cloud.append(session, 2_000_000, DATA[2_000_000:])
    cloud.nothing_left(session)
    with pytest.raises(errors.UploadGone, match="image_size_total"):
        cloud.append(session, 0, b"")


def test_the_right_is_asked_again_at_the_end(cloud: Cloud) -> None:
    session = cloud.begun()
    asked = cloud.context("member", "reader")

    def pieces() -> Iterator[bytes]:
        yield DATA[:2_000_000]
        asked.roles = frozenset({"reader"})
        yield DATA[2_000_000:]

    with pytest.raises(errors.Forbidden):
        cloud.uploads().append(asked, session.image_id, session.id, 0, pieces())
    cloud.nothing_left(session)


def test_sessions_of_a_project_are_limited(cloud: Cloud) -> None:
    sessions = [cloud.begun(1) for _ in range(5)]
    with pytest.raises(errors.LimitExceeded):
        cloud.begun(1)
    cloud.append(sessions[0], 0, b"x")
    cloud.terminate(sessions[1])
    cloud.begun(1)
    cloud.begun(1)
    with pytest.raises(errors.LimitExceeded):
        cloud.begun(1)


def test_too_many_pieces() -> None:
    session = UploadSession("s", "i", None, "t", "fast", "staging", upload_sessions.now(), next=3)
    session = replace(session, parts=tuple(PartRun(n, 1, n, f"file:///{PLACE}") for n in range(MOST_RUNS)))
    with pytest.raises(errors.LimitExceeded):
        session.grown(session.next, 5, "file:///x")
    with pytest.raises(errors.LimitExceeded):
        replace(session, parts=(), next=MOST_PARTS).claimed()


@STAGING
def test_requests_without_a_byte_use_nothing_up(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    wrong = PieceDigest("sha1", bytes(20))
    for node in (0, 1, 0):
        assert cloud.append(session, 1000, b"", node, size=0).expires_at == session.expires_at, (
            "it is not kept for longer by that"
        )
        cloud.append(session, 1000, b"", node)
        with pytest.raises(errors.HashMismatch):
            cloud.append(session, 1000, b"not this", node, digest=wrong)
        assert (cloud.stored(session).next, cloud.stored(session).expires_at) == (1, session.expires_at)
    assert len(cloud.waiting()) == 1
    assert cloud.append(session, 1000, DATA[1000:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


@BOTH
def test_what_came_before_is_read_again_for_new_bytes_only(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(disk_format="raw"), 0, DATA[:1000])
    parts, turns = cloud.uploads(1)._parts, cloud.uploads(1)._turns
    reads: list[int] = []

    def opened(_: UploadSession) -> Iterator[bytes]:
        for n in range(3):
            reads.append(n)
            yield b"x"
            turns._live[session.id].stop.set()

    with monkeypatch.context() as patched:
        patched.setattr(parts, "open", opened)
        cloud.append(session, 1000, b"", 1)
        assert reads == []
        with pytest.raises(errors.Conflict):
            cloud.append(session, 1000, DATA[1000:2000], 1)
        assert reads == [0, 1], "a newer request waits for no more than a piece"
    assert cloud.append(session, 1000, DATA[1000:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


@BOTH
def test_a_digest_is_compared_before_the_format_counts(cloud: Cloud) -> None:
    data = samples.path("qcow2").read_bytes()
    session = cloud.begun(len(data), disk_format="qcow2")
    right = PieceDigest("sha1", hashlib.sha1(data, usedforsecurity=False).digest())
    broken = b"KDMV" + data[4:]
    with pytest.raises(errors.HashMismatch):
        cloud.append(session, 0, broken, digest=right)
    assert (cloud.show(session).state, cloud.show(session).offset, cloud.staged()) == (SessionState.OPEN, 0, [])
    assert cloud.append(session, 0, data, digest=right).state is SessionState.DONE
    other = cloud.begun(len(data), disk_format="qcow2")
    with pytest.raises(errors.BadContent):
        cloud.append(other, 0, broken, digest=PieceDigest("sha1", hashlib.sha1(broken, usedforsecurity=False).digest()))
    with pytest.raises(errors.UploadGone):
        cloud.append(other, 0, data)


@pytest.mark.parametrize("length", [1000, 1 << 20])
@BOTH
def test_bytes_behind_the_declared_end_are_refused_wherever_they_are_cut(cloud: Cloud, length: int) -> None:
    session = cloud.begun(length)
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 0, iter([DATA[:length], b"x"]))
    assert (cloud.show(session).state, cloud.show(session).offset, cloud.staged()) == (SessionState.OPEN, 0, [])
    assert cloud.append(session, 0, broken_after(DATA[:length])).state is SessionState.DONE
    assert cloud.download(session) == DATA[:length]


@pytest.mark.parametrize(
    "exc",
    [
        errors.NotAuthenticated("the token is too old"),
        errors.StoreReadOnly("only to be read", "fast"),
        errors.UnknownStore("no such store"),
        errors.Unsupported("it can't", "fast"),
        errors.BlobNotFound("a part is away", "staging"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_is_no_fault_of_the_data_ends_nothing(
    cloud: Cloud, exc: errors.GlanceError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_finishing, "PAUSE", 60.0)
    session = cloud.begun()

    def fails(*_: object) -> None:
        raise exc

    with monkeypatch.context() as patched:
        patched.setattr(cloud.signatures(), "check_of", fails)
        with pytest.raises(type(exc)):
            cloud.append(session, 0, DATA)
    assert cloud.stored(session).state is SessionState.FINISHING
    assert cloud.append(session, len(DATA), b"", 1, size=0).state is SessionState.DONE
    assert cloud.download(session) == DATA


@STAGING
def test_runs_of_equal_parts_are_one(cloud: Cloud) -> None:
    session = cloud.begun()
    for at in range(0, 2_000_000, 250_000):
        session = cloud.append(session, at, DATA[at : at + 250_000])
    assert len(cloud.waiting()) == 8
    [run] = cloud.stored(session).parts
    assert (run.count, run.size) == (8, 250_000)
    assert cloud.append(session, 2_000_000, DATA[2_000_000:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


@pytest.mark.parametrize("moved", [False, True])
@BOTH
def test_data_of_another_format_ends_the_upload_at_its_beginning(cloud: Cloud, moved: bool) -> None:
    """Also when its first bytes came in another request, to another node."""
    data = samples.path("vmdk").read_bytes()
    session = cloud.begun(len(data), disk_format="qcow2" if not moved else "vhdx")
    if moved:
        session = cloud.append(session, 0, data[:3])
    with pytest.raises(errors.BadContent):
        cloud.append(session, session.offset, data[session.offset :], 1)
    cloud.nothing_left(session)
    with pytest.raises(errors.UploadGone, match="disk_format"):
        cloud.append(session, 0, b"")
    image = cloud.owner.upload(session.image_id, b"")
    assert image.status_code in (204, 415), "the image can be uploaded to again"


def test_only_queued_images(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, b"x")
    with pytest.raises(errors.WrongStatus):
        cloud.uploads().begin(cloud.ctx, session.image_id, 1)
    assert cloud.owner.upload(session.image_id).status_code == 409
    with pytest.raises(errors.Invalid):
        cloud.begun(1, disk_format=None)


def test_others_learn_nothing(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(visibility="shared"), 0, DATA[:1000])
    reader = cloud.context("reader")
    stranger = Context(user="s", project="strangers", roles=frozenset({"member", "reader"}))
    told = set()
    for who in (stranger, reader):
        for session_id in (session.id, "nothing"):
            for call in (
                lambda who=who, x=session_id: cloud.uploads().show(who, session.image_id, x),
                lambda who=who, x=session_id: cloud.uploads().terminate(who, session.image_id, x),
                lambda who=who, x=session_id: cloud.uploads().append(who, session.image_id, x, 1000, iter([b"x"])),
            ):
                with pytest.raises(errors.UploadNotFound) as caught:
                    call()
                told.add(str(caught.value))
    assert len(told) == 1
    with pytest.raises(errors.UploadNotFound):
        cloud.uploads().show(cloud.ctx, cloud.image(), session.id)
    with pytest.raises(errors.ImageNotFound):
        cloud.uploads().begin(stranger, cloud.image())
    assert cloud.show(session).offset == 1000


# -- several at once -------------------------------------------------------------------------------
@pytest.mark.parametrize("node", [0, 1])
@BOTH
def test_the_newest_request_wins(cloud: Cloud, node: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against one that is silent, at the same node or at another."""
    monkeypatch.setattr(upload_turns, "SETTLE", 0.3)
    monkeypatch.setattr(upload_turns, "ALONE", 0.1)
    session = cloud.begun()
    older = Stalled(cloud, session, 0)
    offset = cloud.show(session, node).offset
    assert offset == 2_000_000, "of its part that was over"
    assert cloud.append(session, offset, DATA[offset:2_600_000], node).offset == 2_600_000
    assert isinstance(older.end(), errors.Conflict)
    assert cloud.show(session).offset == 2_600_000, "nothing of the older one came behind"
    assert cloud.append(session, 2_600_000, DATA[2_600_000:], 1 - node).state is SessionState.DONE
    assert cloud.download(session) == DATA
    assert cloud.waiting() == []


def test_a_project_does_not_take_over_its_own_requests_for_ever(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may cost the store something that others pay as well. The older request ends by itself."""
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    monkeypatch.setattr(upload_turns, "ALONE", 0.1)
    monkeypatch.setattr(upload_takeovers, "MOST", RateLimitItemPerMinute(2, 10))
    session = cloud.begun()
    older = []
    for _ in range(2):
        older.append(Stalled(cloud, session, 0, data=DATA[:1000]))
        assert cloud.show(session).offset == 0
    older.append(Stalled(cloud, session, 0, data=DATA[:1000]))
    with pytest.raises(errors.ServerBusy, match="older requests still went on"):
        cloud.show(session)
    for each in older:
        each.end()
    offset = cloud.show(session).offset
    assert cloud.append(session, offset, DATA[offset:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


def test_an_older_request_that_still_sends_keeps_what_has_come(cloud: Cloud) -> None:
    session = cloud.begun()
    sent = [0]

    def pieces() -> Iterator[bytes]:
        for at in range(0, 2_900_000, 1000):
            sent[0] += 1000
            yield DATA[at : at + 1000]
            threading.Event().wait(0.02)

    raised: list[BaseException] = []

    def run() -> None:
        try:
            cloud.append(session, 0, pieces())
        except errors.GlanceError as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: sent[0] > 50_000)
    offset = cloud.show(session).offset
    assert offset >= 50_000
    thread.join(60)
    assert isinstance(raised[0], errors.Conflict)
    assert cloud.append(session, offset, DATA[offset:]).state is SessionState.DONE
    assert cloud.download(session) == DATA


@BOTH
def test_many_clients_on_one_session(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asks where it goes on, and goes on there, until all is there. What has become of it is not torn."""
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    session = cloud.begun()
    unexpected: list[BaseException] = []

    def client(node: int) -> None:
        for _ in range(1000):
            try:
                found = cloud.show(session, node)
                if found.state is not SessionState.OPEN:
                    return
                cloud.append(
                    session,
                    found.offset,
                    iter(
                        [
                            DATA[found.offset : found.offset + 150_000],
                            DATA[found.offset + 150_000 : found.offset + 300_000],
                        ]
                    ),
                    node,
                )
            except (errors.Conflict, errors.SizeMismatch):
                continue
            except BaseException as exc:
                unexpected.append(exc)
                return

    threads = [threading.Thread(target=client, args=(n % 2,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert unexpected == []
    until(lambda: cloud.show(session).state is SessionState.DONE)
    assert cloud.download(session) == DATA
    until(lambda: cloud.waiting() == [])
    assert cloud.reserved() == (len(DATA), 0)


def test_many_sessions_over_two_nodes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece at the other node; some end well, some are given up. What is reserved is exact in the end."""
    for node in cloud.nodes:
        monkeypatch.setattr(cloud.uploads(cloud.nodes.index(node))._allowance, "_most", None)
    sessions = [cloud.begun(30_000) for _ in range(24)]
    raised: list[BaseException] = []

    def client(at: int, session: UploadSession) -> None:
        try:
            for turn in range(3):
                if at % 4 == 3 and turn == 2:
                    cloud.terminate(session, at % 2)
                    return
                cloud.append(session, turn * 10_000, DATA[turn * 10_000 : (turn + 1) * 10_000], (at + turn) % 2)
        except BaseException as exc:
            raised.append(exc)

    threads = [threading.Thread(target=client, args=each) for each in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert raised == []
    until(lambda: cloud.reserved() == (18 * 30_000, 0), lambda: str(cloud.reserved()))
    until(lambda: cloud.waiting() == [])
    assert len(cloud.blobs()) == 18
    assert {cloud.shown(x)["status"] for at, x in enumerate(sessions) if at % 4 != 3} == {"active"}
    assert cloud.download(sessions[0]) == DATA[:30_000]


# -- ends ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("node", [0, 1])
def test_terminated(cloud: Cloud, node: int) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    cloud.terminate(session, node)
    cloud.nothing_left(session)
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    again = cloud.uploads().begin(cloud.ctx, session.image_id, len(DATA))
    assert cloud.append(again, 0, DATA).state is SessionState.DONE


@BOTH
def test_terminated_during_a_transfer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    session = cloud.begun()
    older = Stalled(cloud, session, 0)
    cloud.terminate(session, 1)
    cloud.nothing_left(session)
    assert isinstance(older.end(), errors.GlanceError)
    cloud.nothing_left(session)


def test_the_image_is_deleted_between_two_pieces(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    cloud.expire_lease(session)
    cloud.reap()
    assert (cloud.waiting(), cloud.blobs(), cloud.reserved()) == ([], [], (0, 0))
    assert cloud.database.images.lease(session.image_id) is None
    with pytest.raises(errors.UploadNotFound):
        cloud.stored(session)


@BOTH
def test_the_image_is_deleted_during_a_piece(cloud: Cloud) -> None:
    session = cloud.begun()
    older = Stalled(cloud, session, 0)
    assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
    assert isinstance(older.end(), errors.GlanceError)
    cloud.expire_lease(session)
    cloud.reap()
    assert (cloud.waiting(), cloud.blobs(), cloud.reserved()) == ([], [], (0, 0))


def test_it_expires_without_a_trace(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    cloud.reap()
    assert cloud.show(session).offset == 2_000_000, "its time is not over"
    later = upload_sessions.now() + timedelta(seconds=601)
    for module in (upload_sessions, upload_upkeep, upload_finishing, upload_turns):
        monkeypatch.setattr(module, "now", lambda: later)
    cloud.expire_lease(session)
    cloud.reap()
    cloud.nothing_left(session)
    with pytest.raises(errors.UploadNotFound):
        cloud.stored(session)


def test_each_piece_prolongs_it(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.begun()
    later = upload_sessions.now() + timedelta(seconds=500)
    monkeypatch.setattr(upload_sessions, "now", lambda: later)
    assert cloud.append(session, 0, b"x").expires_at == later + timedelta(seconds=600)


def test_what_has_ended_is_forgotten(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(3), 0, b"abc")
    monkeypatch.setattr(upload_upkeep, "_SWEEP", -1.0)
    cloud.reap()
    assert cloud.show(session).state is SessionState.DONE, "whose answer was lost is told"
    later = upload_sessions.now() + timedelta(seconds=upload_finishing.TOLD_FOR + 1)
    monkeypatch.setattr(upload_upkeep, "now", lambda: later)
    cloud.reap()
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    assert cloud.shown(session)["status"] == "active"


# -- what dies -------------------------------------------------------------------------------------
def test_a_dead_process_holds_up_nobody(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease is not expired yet."""
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    _left_by_a_dead(cloud, session)
    assert cloud.append(session, 1000, DATA[1000:], 1).state is SessionState.DONE
    assert cloud.download(session) == DATA


def test_after_its_lease_it_rests_again(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    _left_by_a_dead(cloud, session)
    cloud.expire_lease(session)
    cloud.reap()
    lease = cloud.database.images.lease(session.image_id)
    assert (lease.holder, lease.operation, lease.reserved) == (upload_turns.RESTING, Operation.SESSION, len(DATA))
    cloud.reap()
    assert cloud.append(session, 1000, DATA[1000:], 1).state is SessionState.DONE


def _left_by_a_dead(cloud: Cloud, session: UploadSession) -> None:
    lease = cloud.database.images.lease(session.image_id)
    cloud.database.images.commit(
        LeaseTaken(replace(lease, holder="a process that is no more", token="t"), 60.0, lease.token)
    )


@BOTH
def test_an_image_whose_maker_died_is_made_by_another(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    stopping = cloud.uploads()._finishing.workers.stopping
    stopping.set()
    try:
        cloud.append(session, 2_000_000, DATA[2_000_000:])
    finally:
        stopping.clear()
    assert (cloud.stored(session).state, cloud.shown(session)["status"]) == (SessionState.FINISHING, "saving")
    cloud.expire_lease(session)
    until(lambda: cloud.reap() or cloud.stored(session).state is SessionState.DONE)
    assert cloud.download(session) == DATA
    until(lambda: cloud.waiting() == [])
    assert len(cloud.blobs()) == 1


@STAGING
def test_a_store_that_is_full_at_the_end_holds_it_up_and_loses_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_finishing, "PAUSE", 60.0)
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])

    def full(*_: object) -> str:
        raise errors.StoreFull("no room", "fast", "put")

    with monkeypatch.context() as away:
        for node in cloud.nodes:
            away.setattr(node.stores.get("fast")._store, "put_for", full)
        with pytest.raises(errors.StoreFull):
            cloud.append(session, 2_000_000, DATA[2_000_000:])
        assert (cloud.stored(session).state, cloud.shown(session)["status"]) == (SessionState.FINISHING, "saving")
        with pytest.raises(errors.StoreFull):
            cloud.append(session, 3_000_000, b"", 1, size=0)
    assert cloud.append(session, 3_000_000, b"", 1, size=0).state is SessionState.DONE, (
        "who asks again does not wait for the next try"
    )
    assert cloud.download(session) == DATA


@BOTH
def test_what_waits_is_no_leftover(cloud: Cloud) -> None:
    """For the job that looks for data of nobody, also between two pieces; what an upload has really left is."""
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    left = cloud.folder / "fast" / ".staging" / f"{session.image_id}.0123456789abcdef_7"
    service = cloud.nodes[0]
    job = load_job(kit.read(cloud.folder / "glance-api.conf"), "orphans", service.tools, "here")
    job.job.conf.grace = 0  # type: ignore[attr-defined]

    def run() -> None:
        assert service.runner_of(job).run(job, dry_run=False).outcome.value == "done"

    waiting = cloud.waiting()
    run()
    assert cloud.waiting() == waiting != []
    assert cloud.append(session, 2_000_000, DATA[2_000_000:]).state is SessionState.DONE
    left.write_bytes(b"of a process that died behind the end")
    os.utime(left, (0, 0))
    run()
    assert cloud.waiting() == []
    assert cloud.download(session) == DATA


def test_its_metadata_is_changed_meanwhile(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    patch = [{"op": "replace", "path": "/name", "value": "other"}]
    answer = cloud.owner.call(
        "PATCH", f"/v2/images/{session.image_id}", patch, Content_Type="application/openstack-images-v2.1-json-patch"
    )
    assert answer.status_code == 200, answer.text
    assert cloud.append(session, 2_000_000, DATA[2_000_000:]).state is SessionState.DONE
    assert cloud.shown(session)["name"] == "other"


@BOTH
def test_a_database_that_is_away_at_the_end_ends_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was all there: whoever has the lease next makes the image."""
    session = cloud.begun()
    authorize = cloud.uploads()._policy.authorize
    seen: list[str] = []

    def away(*args: Any) -> None:
        seen.append(args[1])
        if len(seen) == 3:
            raise errors.DatabaseUnavailable("it does not answer")
        authorize(*args)

    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads()._policy, "authorize", away)
        with pytest.raises(errors.DatabaseUnavailable):
            cloud.append(session, 0, DATA)
    until(lambda: cloud.reap() or cloud.stored(session).state is SessionState.DONE)
    assert cloud.download(session) == DATA


def test_a_commit_of_another_is_seen(cloud: Cloud) -> None:
    """Somebody changes the record between the question and the answer."""
    session = cloud.begun()
    uploads = cloud.uploads()
    take, calls = uploads._turns.take, [0]

    def taken(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == 1:
            cloud.database.images.commit(changed(args[0], args[0]))
        return take(*args, **named)

    uploads._turns.take = taken
    assert cloud.append(session, 0, DATA).state is SessionState.DONE
    assert calls[0] == 2


# -- what has ended and is not gone ----------------------------------------------------------------
def away(*_: object) -> None:
    raise errors.StoreUnavailable("it does not answer", "staging")


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    at = upload_sessions.now() + timedelta(seconds=seconds)
    for module in (upload_sessions, upload_upkeep, upload_finishing, upload_turns):
        monkeypatch.setattr(module, "now", lambda: at)
    monkeypatch.setattr(upload_upkeep, "_SWEEP", -1.0)


def many_ended(cloud: Cloud, session: UploadSession) -> None:
    """More than one question tells, and all before the live one."""
    ended = replace(session, state=SessionState.FAILED, parts=(), cleaned=True)
    cloud.database.images.commit(*(added(replace(ended, id=f"!{n:04}", tag=f"old{n}", version=1)) for n in range(1001)))


def test_many_that_have_ended_hide_none(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    many_ended(cloud, session)
    _left_by_a_dead(cloud, session)
    cloud.expire_lease(session)
    cloud.reap()
    assert cloud.append(session, 1000, DATA[1000:2000], 1).offset == 2000
    cloud.terminate(session)
    again = cloud.append(cloud.uploads().begin(cloud.ctx, session.image_id, len(DATA)), 0, DATA[:1000])
    assert len(cloud.uploads()._records.of_image(session.image_id)) < 50, "of those that have ended the latest are kept"
    many = replace(again, state=SessionState.FAILED, parts=(), cleaned=True)
    cloud.database.images.commit(*(added(replace(many, id=f"#{n:04}", tag=f"new{n}", version=1)) for n in range(1001)))
    assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
    cloud.expire_lease(session)
    cloud.reap()
    assert (cloud.waiting(), cloud.blobs(), cloud.reserved()) == ([], [], (0, 0))


@pytest.mark.parametrize(
    ("cloud", "how"),
    [
        (x, y)
        for y in ("reaped", "terminated", "deleted", "swept")
        for x in ("parts", "staging")
        if (x, y) != ("parts", "swept")
    ],
    indirect=["cloud"],
)
def test_one_that_has_failed_is_over_when_its_bytes_are_gone(
    cloud: Cloud, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])
    monkeypatch.setattr(upload_sessions, "_PAUSE", 60.0)
    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads()._parts, "discard", away)
        with pytest.raises(errors.StoreUnavailable):
            cloud.terminate(session)
    assert (cloud.stored(session).state, bool(cloud.waiting())) == (SessionState.FAILED, True)
    if how == "terminated":
        cloud.terminate(session, 1)
    elif how == "swept":
        later(monkeypatch, 601)
        cloud.uploads().upkeep.every_pass()
        assert cloud.stored(session).state is SessionState.FAILED, "its lease is still to be taken over"
        lease = cloud.database.images.lease(session.image_id)
        cloud.database.images.commit(LeaseEnded(lease))
        cloud.uploads().upkeep.every_pass()
        assert cloud.waiting() == []
        with pytest.raises(errors.UploadNotFound):
            cloud.stored(session)
        return
    else:
        if how == "deleted":
            assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
        cloud.expire_lease(session)
        cloud.reap()
        if how == "deleted":
            assert (cloud.waiting(), cloud.reserved(), cloud.database.images.lease(session.image_id)) == (
                [],
                (0, 0),
                None,
            )
            return
    cloud.nothing_left(session)


@STAGING
def test_what_a_lease_names_is_removed_also_without_a_session(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    name = session.part(0)
    lease = cloud.database.images.lease(session.image_id)
    named = replace(lease, blobs=(*lease.blobs, BlobRef(session.staging, name)))
    cloud.database.images.commit(LeaseTaken(named, 60.0, lease.token), removed(cloud.stored(session)))
    assert cloud.waiting() == [name]
    cloud.expire_lease(session)
    cloud.reap()
    cloud.nothing_left(session)


def test_an_empty_one_that_can_not_give_way_now_is_nobodys(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.begun()
    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads()._parts, "discard", away)
        with pytest.raises(errors.StoreUnavailable):
            cloud.uploads().begin(cloud.ctx, session.image_id, 1)
    assert cloud.database.images.lease(session.image_id).holder == upload_turns.RESTING
    until(lambda: cloud.reap() or cloud.shown(session)["status"] == "queued")
    cloud.nothing_left(session)


def done_with_parts(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> UploadSession:
    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads()._parts, "discard", away)
        session = cloud.append(cloud.begun(1000), 0, DATA[:1000])
    assert (session.state, cloud.shown(session)["status"]) == (SessionState.DONE, "active")
    return session


@STAGING
def test_what_is_left_of_one_that_is_done_is_removed_soon(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = done_with_parts(cloud, monkeypatch)
    assert len(cloud.waiting()) == 1
    later(monkeypatch, 61)
    cloud.reap()
    assert (cloud.waiting(), cloud.show(session).state, cloud.stored(session).parts) == ([], SessionState.DONE, ()), (
        "and it is still told"
    )
    assert cloud.download(session) == DATA[:1000]


@STAGING
def test_one_that_can_not_be_removed_holds_up_no_other(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    held = cloud.begun(10)
    bad, good = done_with_parts(cloud, monkeypatch), done_with_parts(cloud, monkeypatch)
    monkeypatch.setattr(upload_records, "_PAGE", 1)
    later(monkeypatch, 601)
    discard = cloud.uploads()._parts.discard

    def discarded(session: UploadSession) -> None:
        if session.id == bad.id:
            raise errors.StoreForbidden("it may not", "staging")
        discard(session)

    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads()._parts, "discard", discarded)
        cloud.uploads().upkeep.every_pass()
    assert cloud.waiting() == [x for x in cloud.waiting() if x.startswith(bad.image_id)]
    assert cloud.stored(good).cleaned
    assert cloud.stored(held).state is SessionState.OPEN
    cloud.uploads().upkeep.every_pass()
    assert cloud.waiting() == []


def test_the_reaper_deletes_again_what_it_could_not(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that was stopped by the deletion does not go on, whatever the staging store says."""
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
    with monkeypatch.context() as patched:
        patched.setattr(cloud.uploads(1)._parts, "discard", away)
        delete = cloud.nodes[1].kernel.on.handler(Operation.DELETE)
        with pytest.raises(errors.StoreUnavailable):
            delete(cloud.database.images.lease(session.image_id))
    assert cloud.database.images.get_any(session.image_id).status.value == "deleting"
    cloud.expire_lease(session)
    cloud.reap()
    assert (cloud.waiting(), cloud.reserved(), cloud.database.images.lease(session.image_id)) == ([], (0, 0), None)


def test_sessions_that_are_begun_at_once_are_counted_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        cloud.begun(1)
    records = cloud.uploads()._records
    live_of, asked = records.live_of, itertools.count()
    with monkeypatch.context() as patched:
        patched.setattr(records, "live_of", lambda *args: live_of(*args) if next(asked) else 4)
        with pytest.raises(errors.LimitExceeded):
            cloud.begun(1)
    assert cloud.owner.call("GET", f"/v2/images/{cloud.images[-1]}").json["status"] == "queued"
    assert cloud.database.images.lease(cloud.images[-1]) is None
    assert cloud.reserved() == (5, 5)


def test_a_request_that_waits_gives_way_to_a_newer_one(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    _left_by_a_dead(cloud, session)
    monkeypatch.setattr(upload_turns, "SETTLE", 60.0)
    turns, arrived, raised = cloud.uploads(1)._turns, threading.Event(), []
    token = turns.token

    def asked(session: UploadSession) -> Any:
        try:
            return token(session)
        finally:
            arrived.set()

    def older() -> None:
        try:
            cloud.append(session, 1000, DATA[1000:2000], 1)
        except errors.GlanceError as exc:
            raised.append(exc)

    monkeypatch.setattr(turns, "token", asked)
    thread = threading.Thread(target=older)
    thread.start()
    assert arrived.wait(60)
    lease = cloud.database.images.lease(session.image_id)
    cloud.database.images.commit(LeaseTaken(replace(lease, holder="a newer request", token="newer"), 60.0, lease.token))
    thread.join(60)
    assert [type(x) for x in raised] == [errors.Conflict]
    assert cloud.database.images.lease(session.image_id).token == "newer"


def test_a_request_that_others_always_overtake_ends(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.begun()

    def overtaken(*_: object, **__: object) -> None:
        raise errors.ConcurrentChange("another was faster")

    monkeypatch.setattr(upload_sessions, "_BUSY_TIMEOUT", 0.2)
    monkeypatch.setattr(cloud.uploads()._turns, "take", overtaken)
    with pytest.raises(errors.ImageBusy):
        cloud.append(session, 0, DATA)
    with pytest.raises(errors.ImageBusy):
        cloud.terminate(session)
