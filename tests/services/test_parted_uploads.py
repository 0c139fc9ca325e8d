"""Uploads in pieces to a store that takes the parts itself: written once, read again only by who has not seen them
come. On two nodes of one database, in this process; what holds of all uploads in pieces is in
``test_upload_sessions``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from images import samples
from upload_clouds import DATA, Cloud, broken_after, clouds
from waiting import until

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.upload_session import PieceDigest, SessionState, UploadSession
from glancecore.features.uploads import examinations as upload_examinations
from glancecore.features.uploads import finishing as upload_finishing
from glancecore.features.uploads import parts as upload_parts
from glancecore.features.uploads.records import removed
from glancecore.kernel.transfer.draining import Draining
from glancecore.kernel.transfer.signatures import METHOD, SignatureCheck

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def cloud(nodes: Cloud) -> Cloud:
    return Cloud(nodes.folder, nodes.nodes)


class Reads:
    """Of the image's store: each ``put``, ``open`` and the like that the drivers of both nodes are asked for."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        for node in cloud.nodes:
            driver = node.stores.get("fast")._store
            for name in ("put_for", "open", "open_parts", "complete_parts"):
                monkeypatch.setattr(driver, name, self._noted(name, getattr(driver, name)))

    def _noted(self, name: str, operation: Any) -> Any:
        def run(*args: Any, **named: Any) -> Any:
            self.asked.append(name)
            return operation(*args, **named)

        return run


def whole(cloud: Cloud, session: UploadSession, data: bytes = DATA) -> None:
    """It is the image's, with the hashes of its bytes, and nothing is left."""
    shown = cloud.shown(session)
    assert (shown["status"], shown["size"], shown["os_hash_value"]) == (
        "active",
        len(data),
        hashlib.sha512(data).hexdigest(),
    )
    assert shown["checksum"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert cloud.download(session) == data
    assert (cloud.waiting(), len(cloud.blobs()), cloud.database.images.lease(session.image_id)) == ([], 1, None)


def test_what_was_seen_to_come_is_neither_written_nor_read_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads(cloud, monkeypatch)
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    with pytest.raises(errors.TruncatedBody):
        cloud.append(session, 1000, broken_after(DATA[1000:1_500_000]))
    assert cloud.staged() == []
    assert cloud.append(session, 1_500_000, DATA[1_500_000:]).state is SessionState.DONE
    assert reads.asked == ["complete_parts"]
    whole(cloud, session)


def test_of_one_that_moves_the_bytes_are_read_once_and_not_written_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_examinations, "BEGINNING", 1000)
    reads = Reads(cloud, monkeypatch)
    session = cloud.append(cloud.begun(), 0, DATA[:2000])
    assert cloud.append(session, 2000, DATA[2000:], 1).state is SessionState.DONE
    assert reads.asked == ["complete_parts", "open"]
    whole(cloud, session)


def test_of_one_that_moves_early_the_beginning_is_read_again_and_that_is_all(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(cloud, monkeypatch)
    session = cloud.append(cloud.begun(), 0, DATA[:2000])
    assert cloud.append(session, 2000, DATA[2000:], 1).state is SessionState.DONE
    assert reads.asked == ["open_parts", "complete_parts"]
    whole(cloud, session)


def test_back_at_a_node_that_has_not_seen_all(cloud: Cloud) -> None:
    session = cloud.begun()
    for at in range(0, len(DATA), 500_000):
        session = cloud.append(session, at, DATA[at : at + 500_000], (at // 500_000) % 2)
    whole(cloud, session)


def test_bytes_that_were_dropped_are_in_no_hash(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    wrong = PieceDigest("sha1", bytes(20))
    with pytest.raises(errors.HashMismatch):
        cloud.append(session, 1000, DATA[:2_000_000], digest=wrong)
    assert cloud.append(session, 1000, DATA[1000:]).state is SessionState.DONE
    whole(cloud, session)


def test_a_part_that_the_store_has_refused_is_in_no_hash(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    driver: Any = cloud.nodes[0].stores.get("fast")._store

    def full(*args: Any) -> None:
        list(args[-1])
        raise errors.StoreFull("no room", "fast", "put_part")

    with monkeypatch.context() as patched:
        patched.setattr(driver, "put_part", full)
        with pytest.raises(errors.StoreFull):
            cloud.append(session, 1000, DATA[1000:2000])
    assert cloud.show(session).offset == 1000
    assert cloud.append(session, 1000, DATA[1000:]).state is SessionState.DONE
    whole(cloud, session)


@pytest.mark.parametrize("method", ["SHA-224", None])
def test_a_signature_is_of_all_bytes(cloud: Cloud, method: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hash is made while the bytes come, or of those that are there, when the image was signed later."""
    seen: list[str] = []
    properties = {METHOD: method} if method else {}
    session = cloud.append(cloud.begun(**properties), 0, DATA[:1000])
    signatures = cloud.signatures()
    reads = Reads(cloud, monkeypatch)
    monkeypatch.setattr(signatures, "check_of", lambda *_: SignatureCheck("sha224", seen.append))
    assert cloud.append(session, 1000, DATA[1000:]).state is SessionState.DONE
    assert seen == [hashlib.sha224(DATA).hexdigest()]
    assert reads.asked == (["complete_parts"] if method else ["complete_parts", "open"])
    whole(cloud, session)


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_wrong_with_the_signature_ends_it(cloud: Cloud, moved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind the step that makes the blob, where the bytes are read only then."""

    def wrong(_: str) -> None:
        raise errors.SignatureInvalid("it is not of this data")

    monkeypatch.setattr(upload_examinations, "BEGINNING", 1000)
    session = cloud.append(cloud.begun(), 0, DATA[:2000])
    signatures = cloud.signatures(int(moved))
    monkeypatch.setattr(signatures, "check_of", lambda *_: SignatureCheck("sha512", wrong))
    with pytest.raises(errors.SignatureInvalid):
        cloud.append(session, 2000, DATA[2000:], int(moved))
    cloud.nothing_left(session)


def test_what_only_the_end_tells_of_the_format(cloud: Cloud) -> None:
    data = samples.path("qcow2").read_bytes()
    session = cloud.begun(len(data), disk_format="vhd")
    with pytest.raises(errors.BadContent):
        cloud.append(session, 0, data)
    cloud.nothing_left(session)
    good = cloud.begun(len(data), disk_format="qcow2")
    for at in range(0, len(data), 50_000):
        good = cloud.append(good, at, data[at : at + 50_000])
    assert cloud.shown(good)["virtual_size"] > 0
    whole(cloud, good, data)


def test_a_store_that_fails_at_the_end_holds_it_up_and_loses_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_finishing, "PAUSE", 60.0)
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])

    def full(*_: object) -> str:
        raise errors.StoreFull("no room", "fast", "complete_parts")

    with monkeypatch.context() as away:
        away.setattr(cloud.nodes[0].stores.get("fast")._store, "complete_parts", full)
        with pytest.raises(errors.StoreFull):
            cloud.append(session, 2_000_000, DATA[2_000_000:])
    assert (cloud.stored(session).state, cloud.shown(session)["status"]) == (SessionState.FINISHING, "saving")
    assert cloud.append(session, 3_000_000, b"", 1, size=0).state is SessionState.DONE
    whole(cloud, session)


@pytest.mark.parametrize(
    "exc",
    [
        errors.Suspended("the process ends"),
        errors.DatabaseUnavailable("it does not answer"),
        errors.LeaseLost("somebody else goes on"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_one_whose_blob_is_made_is_gone_on_with_by_another(
    cloud: Cloud, exc: errors.GlanceError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was in the way of the last commit has removed nothing."""
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])

    def stopped(step: str) -> None:
        if step == "session.before_finish":
            raise exc

    with monkeypatch.context() as patched:
        patched.setattr(upload_finishing, "checkpoint", stopped)
        try:
            cloud.append(session, 2_000_000, DATA[2_000_000:])
        except errors.Gone:
            assert isinstance(exc, errors.LeaseLost)
    assert (cloud.stored(session).state, len(cloud.blobs()), cloud.shown(session)["status"]) == (
        SessionState.FINISHING,
        1,
        "saving",
    )
    cloud.expire_lease(session)
    until(lambda: cloud.reap() or cloud.stored(session).state is SessionState.DONE)
    whole(cloud, session)


def test_what_has_grown_is_removed_also_without_a_session(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(), 0, DATA[:1000])
    cloud.database.images.commit(removed(cloud.stored(session)))
    assert cloud.growing() != []
    cloud.expire_lease(session)
    cloud.reap()
    cloud.nothing_left(session)


def test_of_many_the_oldest_is_forgotten_and_read_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_examinations, "_MOST", 1)
    monkeypatch.setattr(upload_examinations, "BEGINNING", 1000)
    first = cloud.append(cloud.begun(), 0, DATA[:2000])
    cloud.append(cloud.begun(), 0, DATA[:2000])
    reads = Reads(cloud, monkeypatch)
    assert cloud.append(first, 2000, DATA[2000:]).state is SessionState.DONE
    assert reads.asked == ["complete_parts", "open"]


# -- stores that want parts of some size -----------------------------------------------------------
LEAST = 300_000


@pytest.fixture
def choosy(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Whose store takes no parts below ``LEAST`` bytes but the last, and no more than five."""
    for node in cloud.nodes:
        driver = node.stores.get("fast")._store
        monkeypatch.setattr(driver, "put_part", _checked(driver.put_part))
        monkeypatch.setattr(driver, "complete_parts", _all_large(driver.complete_parts))
        monkeypatch.setattr(driver, "least_part", LEAST, raising=False)
        monkeypatch.setattr(driver, "most_parts", 5, raising=False)
    return cloud


def _checked(put_part: Any) -> Any:
    def run(key: str, handle: str, number: int, offset: int, chunks: Any) -> None:
        assert 0 <= number < 5
        put_part(key, handle, number, offset, chunks)

    return run


def _all_large(complete_parts: Any) -> Any:
    def run(key: str, handle: str, parts: Any) -> Any:
        assert all(x.size >= LEAST for x in parts[:-1]), parts
        return complete_parts(key, handle, parts)

    return run


def test_small_pieces_wait_until_they_are_enough(choosy: Cloud) -> None:
    """Each at another node; the rest is the last part."""
    data, found = DATA[:750_000], []
    session = choosy.begun(len(data))
    for turn, at in enumerate(range(0, len(data), 130_000)):
        session = choosy.append(session, at, data[at : at + 130_000], turn % 2)
        assert session.offset == min(at + 130_000, len(data))
        found.append((len(choosy.staged()), choosy.growing() != []))
    assert found == [(1, False), (2, False), (0, True), (1, True), (2, True), (0, False)]
    whole(choosy, session, data)


def test_what_came_of_a_large_piece_is_kept_however_little_it_is(choosy: Cloud) -> None:
    session = choosy.begun()
    for node, (first, end) in enumerate([(0, 100), (100, 5000), (5000, 1_500_000)]):
        with pytest.raises(errors.TruncatedBody):
            choosy.append(session, first, broken_after(DATA[first:end]), node % 2)
        assert choosy.show(session).offset == end
    assert (choosy.staged(), choosy.growing() != []) == ([], True)
    assert choosy.append(session, 1_500_000, DATA[1_500_000:]).state is SessionState.DONE
    whole(choosy, session)


def test_an_image_that_has_not_enough_for_a_part(choosy: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads(choosy, monkeypatch)
    session = choosy.append(choosy.begun(2000), 0, DATA[:1000])
    session = choosy.append(session, 1000, DATA[1000:2000], 1)
    assert reads.asked == ["put_for"]
    whole(choosy, session, DATA[:2000])


def test_what_waited_and_was_not_removed_goes_in_the_end(choosy: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever had noted that it is in the store died before he removed it."""
    session = choosy.append(choosy.begun(), 0, DATA[:1000])
    monkeypatch.setattr(choosy.uploads()._parts, "drop", lambda *_: None)
    session = choosy.append(session, 1000, DATA[1000:500_000])
    assert (len(choosy.staged()), choosy.growing() != []) == (1, True)
    other = choosy.append(choosy.append(choosy.begun(), 0, DATA[:1000]), 1000, DATA[1000:500_000])
    choosy.terminate(other, 1)
    assert len(choosy.staged()) == 1
    assert choosy.append(session, 500_000, DATA[500_000:]).state is SessionState.DONE
    choosy.images.remove(other.image_id)
    whole(choosy, session)


@pytest.mark.parametrize("step", ["session.ended", "session.completed"])
def test_the_last_part_is_put_once_more_by_another(choosy: Cloud, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session = choosy.append(choosy.begun(500_000), 0, DATA[:400_000])

    def stopped(reached: str) -> None:
        if reached == step:
            raise errors.Suspended("the process ends")

    with monkeypatch.context() as patched:
        patched.setattr(upload_finishing, "checkpoint", stopped)
        choosy.append(session, 400_000, DATA[400_000:500_000])
    assert choosy.stored(session).state is SessionState.FINISHING
    choosy.expire_lease(session)
    until(lambda: choosy.reap() or choosy.stored(session).state is SessionState.DONE)
    until(lambda: choosy.staged() == [])
    whole(choosy, session, DATA[:500_000])


def test_parts_become_larger_as_they_become_more(choosy: Cloud) -> None:
    """So that the numbers suffice, however small the pieces are that clients send."""
    session = choosy.begun()
    for at in range(0, len(DATA), 320_000):
        piece = DATA[at : at + 320_000]
        session = choosy.append(session, at, piece, size=len(piece))
    whole(choosy, session)


def test_a_store_that_has_no_numbers_left(choosy: Cloud) -> None:
    """What has come stays, and the last number is for the end."""
    session = choosy.begun(None)
    for at in range(0, 1_200_000, 300_000):
        session = choosy.append(session, at, DATA[at : at + 300_000])
    with pytest.raises(errors.LimitExceeded, match="larger ones"):
        choosy.append(session, 1_200_000, DATA[1_200_000:1_600_000])
    assert choosy.show(session).offset == 1_200_000
    session = choosy.append(session, 1_200_000, DATA[1_200_000:1_300_000])
    assert choosy.append(session, 1_300_000, b"", last=True).state is SessionState.DONE
    whole(choosy, session, DATA[:1_300_000])


def test_the_last_part_keeps_its_number(choosy: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever puts it: to a backend that needs all parts but the last one large, an earlier try of it would be in the
    way."""
    numbers = []
    for node in choosy.nodes:
        driver = node.stores.get("fast")._store

        def noted(
            key: str, handle: str, number: int, offset: int, chunks: Any, put_part: Any = driver.put_part
        ) -> None:
            put_part(key, handle, number, offset, chunks)
            numbers.append(number)

        monkeypatch.setattr(driver, "put_part", noted)
    session = choosy.append(choosy.begun(500_000), 0, DATA[:400_000])

    def stopped(reached: str) -> None:
        if reached == "session.end_stored":
            raise errors.Suspended("the process ends")

    with monkeypatch.context() as patched:
        patched.setattr(upload_finishing, "checkpoint", stopped)
        choosy.append(session, 400_000, DATA[400_000:500_000])
        choosy.expire_lease(session)
        until(lambda: choosy.reap() or len(numbers) == 3)
    choosy.expire_lease(session)
    until(lambda: choosy.reap() or choosy.stored(session).state is SessionState.DONE)
    assert len(set(numbers)) == 2, numbers
    until(lambda: choosy.staged() == [])
    whole(choosy, session, DATA[:500_000])


def test_what_waited_and_was_cut_becomes_no_image(choosy: Cloud) -> None:
    session = choosy.append(choosy.begun(500_000), 0, DATA[:400_000])
    session = choosy.append(session, 400_000, DATA[400_000:450_000])
    [waiting] = choosy.staged()
    file = choosy.folder / "fast" / ".staging" / waiting
    kept = file.read_bytes()
    file.write_bytes(kept[:1000])
    with pytest.raises(errors.StoreError, match="51000 bytes, and not 100000"):
        choosy.append(session, 450_000, DATA[450_000:500_000])
    assert (choosy.stored(session).state, choosy.shown(session)["status"]) == (SessionState.FINISHING, "saving")
    file.write_bytes(kept)
    choosy.expire_lease(session)
    until(lambda: choosy.reap() or choosy.stored(session).state is SessionState.DONE)
    until(lambda: choosy.staged() == [])
    whole(choosy, session, DATA[:500_000])


def test_many_small_pieces_become_one_that_waits(choosy: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_parts, "_GATHER", 5)
    session = choosy.begun(30_000)
    for at in range(0, 30_000, 1000):
        assert len(choosy.staged()) <= 5
        session = choosy.append(session, at, DATA[at : at + 1000], at // 1000 % 2)
    until(lambda: choosy.staged() == [])
    whole(choosy, session, DATA[:30_000])


def test_what_the_target_says_of_its_parts_is_no_fault_of_the_data(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that misses one at the moment has it later: what was acknowledged stays."""
    session = cloud.append(cloud.begun(), 0, DATA[:2_000_000])

    def away(*_: object) -> str:
        raise errors.SizeMismatch("the parts are not all there")

    with monkeypatch.context() as patched:
        for node in cloud.nodes:
            patched.setattr(node.stores.get("fast")._store, "complete_parts", away)
        with pytest.raises(errors.StoreError):
            cloud.append(session, 2_000_000, DATA[2_000_000:])
        assert cloud.stored(session).state is SessionState.FINISHING
    cloud.expire_lease(session)
    until(lambda: cloud.reap() or cloud.stored(session).state is SessionState.DONE)
    whole(cloud, session)


def test_who_learns_late_that_the_upload_was_ended_leaves_nothing(tmp_path: Path) -> None:
    with clouds(tmp_path, {"lease": {"ttl": 30}}) as cloud:
        session = cloud.begun()

        def pieces() -> Iterator[bytes]:
            cloud.terminate(session, 1)
            yield DATA[:1_500_000]
            yield DATA[1_500_000:]

        with pytest.raises(errors.GlanceError):
            cloud.append(session, 0, pieces())
        cloud.nothing_left(session)


def test_who_learns_in_the_middle_of_a_part_leaves_nothing(tmp_path: Path) -> None:
    with clouds(tmp_path, {"lease": {"ttl": 30}}) as cloud:
        session = cloud.begun()

        def pieces() -> Iterator[bytes]:
            cloud.terminate(session, 1)
            yield DATA[:500_000]
            raise errors.LeaseLost("somebody else has it")

        with pytest.raises(errors.GlanceError):
            cloud.append(session, 0, pieces())
        cloud.nothing_left(session)


def test_who_learns_late_leaves_what_another_goes_on_with(tmp_path: Path) -> None:
    with clouds(tmp_path, {"lease": {"ttl": 30}}) as cloud:
        session = cloud.begun()

        def pieces() -> Iterator[bytes]:
            newer = cloud.show(session, 1)
            cloud.append(newer, 0, DATA[:1_000_000], 1)
            yield DATA[1_000_000:2_500_000]

        with pytest.raises(errors.GlanceError):
            cloud.append(session, 0, pieces())
        session = cloud.show(session, 1)
        assert session.offset == 1_000_000
        assert cloud.append(session, 1_000_000, DATA[1_000_000:], 1).state is SessionState.DONE
        whole(cloud, session)


def test_what_was_begun_goes_on_while_the_store_drains(tmp_path: Path) -> None:
    with clouds(tmp_path) as cloud:
        session = cloud.append(cloud.begun(), 0, DATA[:1_000_000])
        for node in cloud.nodes:
            assert Draining(node.kernel.database).add("fast", now()) or node is not cloud.nodes[0]
            until(lambda node=node: node.stores.get("fast").draining)  # type: ignore[misc]
        assert cloud.append(session, 1_000_000, DATA[1_000_000:]).state is SessionState.DONE
        whole(cloud, session)
        with pytest.raises(errors.StoreDraining):
            cloud.begun()
