"""Uploads in pieces whose bytes are staged for an import: what they promise while they come, and that they end as ``PUT
…/stage`` does. On two nodes of one database, in this process; what holds of all uploads in pieces is in
``test_upload_sessions``."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from images import samples
from upload_clouds import DATA, Cloud, Stalled, broken_after, clouds
from waiting import until

from glancecore.assembly.jobs import load_job
from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.events import ImageEvent
from glancecore.domain.lease import Operation
from glancecore.domain.quota import Usage
from glancecore.domain.upload_session import SessionState, UploadSession
from glancecore.features.imports.extension import ImportsExtension
from glancecore.features.uploads import finishing as upload_finishing
from glancecore.features.uploads import turns as upload_turns
from glancecore.features.uploads import upkeep as upload_upkeep
from glancecore.features.uploads import use_cases as upload_sessions
from glancecore.testing import service as kit

pytestmark = pytest.mark.long

STORE = "os_glance_staging_store"
OCTETS = "application/octet-stream"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(params=["parts", "copies"])
def cloud(nodes: Cloud, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The staging store makes the staged data of the parts itself, or they are written to it once more."""
    made = Cloud(nodes.folder, nodes.nodes)
    if request.param == "copies":
        made.plain(monkeypatch, STORE)
    return made


def staging(cloud: Cloud) -> list[str]:
    """All that the staging store has of the project's images, what grows there included."""
    return sorted(
        x.name for x in (cloud.folder / "fast" / ".staging").iterdir() if any(y in x.name for y in cloud.images)
    )


def used(cloud: Cloud) -> tuple[int, int, int]:
    """Bytes that are stored or reserved, staged ones, and images whose data comes."""
    usage: Usage = cloud.database.images.usage(cloud.project)
    return usage.bytes, usage.staged_bytes, usage.uploading


def nothing_left(cloud: Cloud, session: UploadSession) -> None:
    assert cloud.shown(session)["status"] == "queued"
    assert cloud.database.images.lease(session.image_id) is None
    assert (staging(cloud), cloud.blobs(), used(cloud)) == ([], [], (0, 0, 0))


def plainly(cloud: Cloud, image_id: str, data: bytes = DATA, way: str = "stage") -> int:
    return cloud.owner.call("PUT", f"/v2/images/{image_id}/{way}", data, Content_Type=OCTETS).status_code


def imported(cloud: Cloud, image_id: str, node: int = 0) -> int:
    person = kit.Person(cloud.nodes[node].app, cloud.project)
    return person.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}).status_code


def whole(cloud: Cloud, session: UploadSession, data: bytes = DATA, node: int = 0) -> None:
    """It is staged as ``PUT …/stage`` would have, with nothing beside it, and an import makes the image of it."""
    shown, image = cloud.shown(session), cloud.database.images.get_any(session.image_id)
    assert (shown["status"], shown["size"]) == ("uploading", len(data))
    assert (image.staged.store, image.staged.digests.size, image.staged.verdict) == (STORE, len(data), None)
    assert image.staged.digests.hash_value == hashlib.sha512(data).hexdigest()
    assert image.staged.digests.checksum == hashlib.md5(data, usedforsecurity=False).hexdigest()
    until(lambda: staging(cloud) == [image.staged.key], lambda: str(staging(cloud)))
    assert (used(cloud), cloud.database.images.lease(session.image_id)) == ((0, len(data), 1), None)
    assert imported(cloud, session.image_id, node) == 202
    until(lambda: cloud.shown(session)["status"] != "importing")
    shown = cloud.shown(session)
    assert (shown["status"], shown["size"], shown["os_hash_value"]) == (
        "active",
        len(data),
        hashlib.sha512(data).hexdigest(),
    )
    assert cloud.download(session) == data
    until(lambda: (staging(cloud), used(cloud)) == ([], (len(data), 0, 0)), lambda: str((staging(cloud), used(cloud))))


# -- the way of staged data ------------------------------------------------------------------------
def test_pieces_become_staged_data(cloud: Cloud) -> None:
    """Each request at another node, and the import at yet another."""
    session = cloud.begun(stage=True)
    cuts = [0, 1, 700_000, 700_000, 2_500_000, 3_000_000]
    for node, (first, end) in enumerate(itertools.pairwise(cuts)):
        assert (cloud.shown(session)["status"], used(cloud)) == ("uploading", (3_000_000, 0, 1))
        session = cloud.append(session, first, DATA[first:end], node % 2, size=end - first)
        assert (session.offset, cloud.show(session, (node + 1) % 2).offset) == (end, end)
    assert session.state is SessionState.DONE
    whole(cloud, session, node=1)


def test_a_broken_connection_keeps_what_has_come(cloud: Cloud) -> None:
    session = cloud.begun(None, stage=True)
    with pytest.raises(errors.TruncatedBody):
        cloud.append(session, 0, broken_after(DATA[:300_000], DATA[300_000:1_300_001]))
    assert cloud.show(session, 1).offset == 1_300_001
    assert used(cloud) == (1_300_001, 0, 1), "no more than has come"
    assert cloud.append(session, 1_300_001, DATA[1_300_001:], 1, last=True).state is SessionState.DONE
    whole(cloud, session)


@pytest.mark.parametrize("length", [0, None])
def test_no_byte_at_all(cloud: Cloud, length: int | None) -> None:
    session = cloud.begun(length, stage=True)
    assert cloud.append(session, 0, b"", size=0, last=length is None).state is SessionState.DONE
    whole(cloud, session, b"")


def test_it_ends_as_data_that_is_staged_in_one_request(cloud: Cloud) -> None:
    """To the byte of what is shown, kept and told."""
    seen: list[tuple[str, str]] = []
    cloud.nodes[0].kernel.on.committed(
        lambda x: seen.append((x.event.image.id, x.event.type.value)) if isinstance(x.event, ImageEvent) else None
    )
    session = cloud.append(cloud.begun(stage=True), 0, DATA)
    plain = cloud.image()
    assert plainly(cloud, plain) == 204
    one, other = cloud.database.images.get_any(session.image_id), cloud.database.images.get_any(plain)
    assert replace(one.staged, key="", url="") == replace(other.staged, key="", url="")
    other_own = {"id", "self", "file", "created_at", "updated_at"}
    assert {k: v for k, v in cloud.shown(session).items() if k not in other_own} == {
        k: v for k, v in cloud.shown(replace(session, image_id=plain)).items() if k not in other_own
    }
    assert [x for at, x in seen if at == session.image_id] == [x for at, x in seen if at == plain] != []


def test_an_end_that_is_asked_for_again_is_told_again(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(3, stage=True), 0, b"abc")
    assert cloud.append(session, 3, b"", 1, size=0).state is SessionState.DONE
    with pytest.raises(errors.SizeMismatch):
        cloud.append(session, 3, b"d", size=1)
    cloud.terminate(session)
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    whole(cloud, session, b"abc")


# -- what is refused -------------------------------------------------------------------------------
def test_nothing_else_comes_to_the_image_meanwhile(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(stage=True), 0, DATA[:1000])
    for stage in (True, False):
        with pytest.raises(errors.WrongStatus):
            cloud.uploads().begin(cloud.ctx, session.image_id, 1, stage=stage)
    with pytest.raises(errors.WrongStatus):
        cloud.uploads().begin(cloud.ctx, session.image_id, 1, partial=True)
    assert (
        plainly(cloud, session.image_id)
        == plainly(cloud, session.image_id, way="file")
        == imported(cloud, session.image_id)
        == 409
    )
    assert cloud.append(session, 1000, DATA[1000:], 1).state is SessionState.DONE
    for stage in (True, False):
        with pytest.raises(errors.WrongStatus):
            cloud.uploads().begin(cloud.ctx, session.image_id, 1, stage=stage)
    assert plainly(cloud, session.image_id) == plainly(cloud, session.image_id, way="file") == 409
    whole(cloud, session)


def test_none_begins_where_data_is_staged(cloud: Cloud) -> None:
    image_id = cloud.image()
    assert plainly(cloud, image_id) == 204
    for stage in (True, False):
        with pytest.raises(errors.WrongStatus):
            cloud.uploads().begin(cloud.ctx, image_id, 1, stage=stage)
    assert imported(cloud, image_id) == 202
    until(lambda: cloud.owner.call("GET", f"/v2/images/{image_id}").json["status"] == "active")


@pytest.mark.parametrize("first", [True, False])
def test_one_without_a_byte_gives_way_whatever_it_was_for(cloud: Cloud, first: bool) -> None:
    empty = cloud.begun(stage=first)
    session = cloud.uploads(1).begin(cloud.ctx, empty.image_id, len(DATA), stage=not first)
    with pytest.raises(errors.UploadNotFound):
        cloud.show(empty)
    assert cloud.append(session, 0, DATA).state is SessionState.DONE
    assert cloud.shown(session)["status"] == ("active" if first else "uploading")
    if not first:
        whole(cloud, session)


def test_what_is_staged_is_not_joined(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="partial"):
        cloud.uploads().begin(cloud.ctx, cloud.image(), 1, partial=True, stage=True)


def test_larger_than_an_image_may_be(tmp_path: Path) -> None:
    with clouds(tmp_path, {"DEFAULT": {"image_size_cap": 2_000_000}}) as cloud:
        with pytest.raises(errors.TooLarge):
            cloud.begun(2_000_001, stage=True)
        session = cloud.begun(None, stage=True)
        with pytest.raises(errors.TooLarge):
            cloud.append(session, 0, iter([DATA[:1_999_999], DATA[:2]]))
        assert cloud.show(session).offset == 1_999_999


def test_where_nothing_can_be_staged(tmp_path: Path) -> None:
    with clouds(tmp_path, {"DEFAULT": {"enabled_import_methods": "web-download"}}) as cloud:
        with pytest.raises(errors.NotEnabled):
            cloud.begun(stage=True)
        assert cloud.append(cloud.begun(1), 0, b"x").state is SessionState.DONE


@pytest.mark.parametrize("moved", [False, True])
def test_data_of_another_format_ends_it_at_its_beginning(cloud: Cloud, moved: bool) -> None:
    """Also when its first bytes came in another request, to another node."""
    data = samples.path("vmdk").read_bytes()
    session = cloud.begun(len(data), stage=True, disk_format="vhdx")
    if moved:
        session = cloud.append(session, 0, data[:3])
    with pytest.raises(errors.BadContent):
        cloud.append(session, session.offset, data[session.offset :], 1)
    nothing_left(cloud, session)
    assert "disk_format" in cloud.shown(session)["os_glance_last_error"]
    with pytest.raises(errors.UploadGone, match="disk_format"):
        cloud.append(session, 0, b"")


def test_the_quotas_of_plain_staging(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored and staged together while it comes, and what is staged in the end."""
    with pytest.raises(errors.QuotaExceeded):
        cloud.begun(10_000_001, stage=True)
    session = cloud.append(cloud.begun(stage=True), 0, DATA[:2_000_000])
    quota = cloud.uploads()._allowance._quota
    limits = quota.limits
    monkeypatch.setattr(quota, "limits", lambda owner: replace(limits(owner), staged_bytes=2_999_999))
    with pytest.raises(errors.QuotaExceeded, match="image_stage_total"):
        cloud.append(session, 2_000_000, DATA[2_000_000:])
    nothing_left(cloud, session)
    with pytest.raises(errors.UploadGone, match="image_stage_total"):
        cloud.append(session, 0, b"")
    assert plainly(cloud, session.image_id) == 413
    monkeypatch.setattr(quota, "limits", lambda owner: replace(limits(owner), staged_bytes=3_000_000))
    again = cloud.append(cloud.uploads().begin(cloud.ctx, session.image_id, len(DATA), stage=True), 0, DATA)
    assert again.state is SessionState.DONE
    whole(cloud, again)


# -- several at once -------------------------------------------------------------------------------
@pytest.mark.parametrize("node", [0, 1])
def test_the_newest_request_wins(cloud: Cloud, node: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_turns, "SETTLE", 0.3)
    monkeypatch.setattr(upload_turns, "ALONE", 0.1)
    session = cloud.begun(stage=True)
    older = Stalled(cloud, session, 0)
    offset = cloud.show(session, node).offset
    assert offset == 2_000_000, "of its part that was over"
    assert cloud.append(session, offset, DATA[offset:2_600_000], node).offset == 2_600_000
    assert isinstance(older.end(), errors.Conflict)
    assert cloud.show(session).offset == 2_600_000, "nothing of the older one came behind"
    assert cloud.append(session, 2_600_000, DATA[2_600_000:], 1 - node).state is SessionState.DONE
    whole(cloud, session)


# -- ends ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("node", [0, 1])
def test_terminated(cloud: Cloud, node: int) -> None:
    session = cloud.append(cloud.begun(stage=True), 0, DATA[:2_000_000])
    cloud.terminate(session, node)
    nothing_left(cloud, session)
    again = cloud.append(cloud.uploads().begin(cloud.ctx, session.image_id, len(DATA), stage=True), 0, DATA)
    whole(cloud, again)


def test_terminated_during_a_transfer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_turns, "SETTLE", 0.2)
    session = cloud.begun(stage=True)
    older = Stalled(cloud, session, 0)
    cloud.terminate(session, 1)
    nothing_left(cloud, session)
    assert isinstance(older.end(), errors.GlanceError)
    nothing_left(cloud, session)


@pytest.mark.parametrize("during", [False, True])
def test_the_image_is_deleted(cloud: Cloud, during: bool) -> None:
    session = cloud.begun(stage=True)
    older = Stalled(cloud, session, 0) if during else None
    if older is None:
        cloud.append(session, 0, DATA[:2_000_000])
    assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
    if older is not None:
        assert isinstance(older.end(), errors.GlanceError)
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    cloud.expire_lease(session)
    cloud.reap()
    assert (staging(cloud), cloud.blobs(), used(cloud), cloud.database.images.lease(session.image_id)) == (
        [],
        [],
        (0, 0, 0),
        None,
    )


def test_the_image_is_deleted_when_its_data_is_staged(cloud: Cloud) -> None:
    session = cloud.append(cloud.begun(stage=True), 0, DATA)
    assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
    assert (staging(cloud), used(cloud)) == ([], (0, 0, 0))


def away(*_: object) -> None:
    raise errors.StoreUnavailable("it does not answer", STORE)


@pytest.mark.parametrize("pieces", [True, False])
def test_the_reaper_deletes_again_what_it_could_not(
    cloud: Cloud, pieces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A staging that was stopped by the deletion does not come back without its data, in pieces or in one request,
    whatever the staging store says."""
    if pieces:
        session = cloud.append(cloud.begun(stage=True), 0, DATA[:1000])
        assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
    else:
        session = UploadSession("none", cloud.image(), None, "", STORE, STORE, now())

        def body() -> Iterator[bytes]:
            yield DATA[:1000]
            assert cloud.owner.call("DELETE", f"/v2/images/{session.image_id}").status_code == 204
            yield DATA[1000:]

        with pytest.raises(errors.Gone):
            cloud.nodes[0].tools.of(ImportsExtension).staging.stage(cloud.ctx, session.image_id, body())
    with monkeypatch.context() as patched:
        for node in cloud.nodes:
            patched.setattr(node.stores.recorded(STORE)._store, "discard_for", away)
        delete = cloud.nodes[1].kernel.on.handler(Operation.DELETE)
        with pytest.raises(errors.StoreUnavailable):
            delete(cloud.database.images.lease(session.image_id))
    assert cloud.database.images.get_any(session.image_id).status.value == "deleting"
    cloud.expire_lease(session)
    cloud.reap()
    assert (staging(cloud), used(cloud), cloud.database.images.lease(session.image_id)) == ([], (0, 0, 0), None)


def test_it_expires_without_a_trace(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(stage=True), 0, DATA[:2_000_000])
    cloud.reap()
    assert cloud.show(session).offset == 2_000_000, "its time is not over"
    later = now() + timedelta(seconds=601)
    for module in (upload_sessions, upload_upkeep, upload_finishing, upload_turns):
        monkeypatch.setattr(module, "now", lambda: later)
    cloud.expire_lease(session)
    cloud.reap()
    nothing_left(cloud, session)
    with pytest.raises(errors.UploadNotFound):
        cloud.stored(session)


def test_what_is_staged_outlives_its_upload(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    session = cloud.append(cloud.begun(stage=True), 0, DATA)
    monkeypatch.setattr(upload_upkeep, "_SWEEP", -1.0)
    later = now() + timedelta(seconds=upload_finishing.TOLD_FOR + 1)
    with monkeypatch.context() as patched:
        patched.setattr(upload_upkeep, "now", lambda: later)
        cloud.reap()
    with pytest.raises(errors.UploadNotFound):
        cloud.show(session)
    whole(cloud, session)


# -- what dies -------------------------------------------------------------------------------------
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
    session = cloud.append(cloud.begun(stage=True), 0, DATA[:2_000_000])

    def stopped(step: str) -> None:
        if step == "session.before_finish":
            raise exc

    with monkeypatch.context() as patched:
        patched.setattr(upload_finishing, "checkpoint", stopped)
        try:
            cloud.append(session, 2_000_000, DATA[2_000_000:])
        except errors.Gone:
            assert isinstance(exc, errors.LeaseLost)
    assert (cloud.stored(session).state, cloud.shown(session)["status"], used(cloud)) == (
        SessionState.FINISHING,
        "uploading",
        (3_000_000, 0, 1),
    )
    assert imported(cloud, session.image_id) == 409, "it is not staged yet"
    cloud.expire_lease(session)
    until(lambda: cloud.reap() or cloud.stored(session).state is SessionState.DONE)
    whole(cloud, session)


def test_a_staging_store_that_fails_at_the_end_holds_it_up_and_loses_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_finishing, "PAUSE", 60.0)
    session = cloud.append(cloud.begun(stage=True), 0, DATA[:2_000_000])
    driver: Any = cloud.nodes[0].stores.recorded(STORE)._store
    put_for = driver.put_for

    def full(*args: Any) -> Any:
        if "_" in args[1]:  # a part
            return put_for(*args)
        raise errors.StoreFull("no room", STORE, "put")

    with monkeypatch.context() as patched:
        patched.setattr(driver, "complete_parts", full)
        patched.setattr(driver, "put_for", full)
        with pytest.raises(errors.StoreFull):
            cloud.append(session, 2_000_000, DATA[2_000_000:])
    assert (cloud.stored(session).state, cloud.shown(session)["status"]) == (SessionState.FINISHING, "uploading")
    assert cloud.append(session, 3_000_000, b"", 1, size=0).state is SessionState.DONE
    whole(cloud, session)


def test_what_waits_is_no_leftover(cloud: Cloud) -> None:
    """For the job that looks for data of nobody, also between two pieces; what an upload has really left is."""
    session = cloud.append(cloud.begun(stage=True), 0, DATA[:2_000_000])
    service = cloud.nodes[0]
    job = load_job(kit.read(cloud.folder / "glance-api.conf"), "orphans", service.tools, "here")
    job.job.conf.grace = 0  # type: ignore[attr-defined]

    def run() -> None:
        assert service.runner_of(job).run(job, dry_run=False).outcome.value == "done"

    waiting = staging(cloud)
    run()
    assert staging(cloud) == waiting != []
    assert cloud.append(session, 2_000_000, DATA[2_000_000:]).state is SessionState.DONE
    left = cloud.folder / "fast" / ".staging" / f"{session.image_id}.0123456789abcdef"
    left.write_bytes(b"of a process that died behind the end")
    os.utime(left, (0, 0))
    run()
    assert staging(cloud) == [cloud.database.images.get_any(session.image_id).staged.key]
    whole(cloud, session)


def test_who_learns_late_that_it_was_ended_leaves_nothing(tmp_path: Path) -> None:
    with clouds(tmp_path, {"lease": {"ttl": 30}}) as cloud:
        session = cloud.begun(stage=True)

        def pieces() -> Iterator[bytes]:
            cloud.terminate(session, 1)
            yield DATA[:1_500_000]
            yield DATA[1_500_000:]

        with pytest.raises(errors.GlanceError):
            cloud.append(session, 0, pieces())
        nothing_left(cloud, session)


def test_who_learns_late_leaves_what_another_has_staged(tmp_path: Path) -> None:
    with clouds(tmp_path, {"lease": {"ttl": 30}}) as cloud:
        session = cloud.begun(stage=True)

        def pieces() -> Iterator[bytes]:
            newer = cloud.show(session, 1)
            assert cloud.append(newer, 0, DATA, 1).state is SessionState.DONE
            yield DATA[:2_500_000]

        with pytest.raises(errors.GlanceError):
            cloud.append(session, 0, pieces())
        whole(cloud, session)


# -- other staging stores, and steps ---------------------------------------------------------------
def test_a_staging_store_that_wants_parts_of_some_size(nodes: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a part lies beside it, in the same store."""
    cloud = Cloud(nodes.folder, nodes.nodes)
    for node in cloud.nodes:
        driver = node.stores.recorded(STORE)._store
        monkeypatch.setattr(driver, "least_part", 300_000, raising=False)
        monkeypatch.setattr(driver, "most_parts", 5, raising=False)
    data, found = DATA[:750_000], []
    session = cloud.begun(len(data), stage=True)
    for turn, at in enumerate(range(0, len(data), 130_000)):
        session = cloud.append(session, at, data[at : at + 130_000], turn % 2)
        found.append(len([x for x in staging(cloud) if "_" in x]))
    assert found == [1, 2, 0, 1, 2, 0]
    whole(cloud, session, data)
    session = cloud.append(cloud.append(cloud.begun(2000, stage=True), 0, DATA[:1000]), 1000, DATA[1000:2000], 1)
    cloud.images[:] = [session.image_id]
    assert len(staging(cloud)) == 1, "not enough for a part: it is written at once"


@pytest.mark.parametrize("moved", [False, True])
def test_what_a_step_makes_other_data_of_is_judged_by_the_import(tmp_path: Path, moved: bool) -> None:
    """As in plain staging: what comes is not of the image's format yet."""
    with clouds(tmp_path, {"image_import_opts": {"image_import_plugins": "image_decompression"}}) as cloud:
        data = gzip.compress(samples.path("qcow2").read_bytes())
        for good in (True, False):
            session = cloud.begun(len(data), stage=True, disk_format="qcow2" if good else "vhdx")
            session = cloud.append(session, 0, data[:1000])
            assert cloud.append(session, 1000, data[1000:], int(moved)).state is SessionState.DONE
            plain = cloud.image(disk_format="qcow2" if good else "vhdx")
            assert plainly(cloud, plain, data) == 204
            one, other = (cloud.database.images.get_any(x).staged for x in (session.image_id, plain))
            assert one.verdict == other.verdict is not None
            assert imported(cloud, session.image_id) == 202
            until(lambda session=session: cloud.shown(session)["status"] != "importing")  # type: ignore[misc]
            assert cloud.shown(session)["status"] == ("active" if good else "queued"), cloud.shown(session)
