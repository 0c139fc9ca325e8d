"""A store whose data is away: what clients are told, what the auditor does, and that all is as before when it is
back."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lab
import pytest
from api import Person
from oslo_config import cfg
from waiting import until

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.jobs import load_job
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service
from glancecore.cmd import plugins, status
from glancecore.cmd.periodic import ALARM, run_once
from glancecore.domain.image import LocationStatus
from glancecore.http.health import Health
from glancecore.periodic.job_run import JobResult, RunOutcome
from glancecore.ports.store import MARKER

pytestmark = pytest.mark.long

DATA = b"data"


class Cloud:
    """Two file stores; the service can be started anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: list[Service] = []
        self.more: lab.Config = {}

    def conf(self) -> cfg.ConfigOpts:
        file = self.folder / "glance-api.conf"
        file.write_text(
            lab.config_text(
                lab.merged(
                    {
                        "DEFAULT": {
                            "auth_strategy": "headers",
                            "enabled_backends": "fast:file, slow:file",
                            "notifiers": "",
                            "enabled_import_methods": "[]",
                        },
                        "glance_store": {"default_backend": "fast"},
                        "database": {"connection": f"sqlite:///{self.folder}/glance.sqlite"},
                        "fast": {"filesystem_store_datadir": self.folder / "fast"},
                        "slow": {"filesystem_store_datadir": self.folder / "slow"},
                        "periodic_auditor": {"bytes_per_second": 0},
                    },
                    self.more,
                )
            )
        )
        return configuration.new(files=[str(file)])

    def start(self, *, tolerate_outages: bool = False) -> Person:
        conf = self.conf()
        database = load_database(conf)
        database.sync()
        self.services.append(build(conf, database, tolerate_outages=tolerate_outages))
        return Person(self.service.app)

    @property
    def service(self) -> Service:
        return self.services[-1]

    def audit(self) -> JobResult:
        scheduled = load_job(self.conf(), "auditor", self.service.tools, "JOB")
        return self.service.periodic.run(scheduled, dry_run=False)

    def marks(self, image_id: str) -> list[LocationStatus]:
        return [x.status for x in self.service.database.images.get_any(image_id).locations]

    def unmount(self, store: str) -> Callable[[], None]:
        place = self.folder / store
        disk = place.rename(self.folder / f"{store}.disk")
        place.mkdir()

        def mount() -> None:
            assert list(place.iterdir()) == [], "something was written on the disk below"
            place.rmdir()
            disk.rename(place)

        return mount


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    for service in made.services:
        service.close()


def uploaded(person: Person, store: str = "fast") -> str:
    image_id = str(person.create()["id"])
    assert person.upload(image_id, DATA, X_Image_Meta_Store=store).status_code == 204
    return image_id


@pytest.mark.parametrize("store", ["fast", "slow"], ids=["the default store", "another store"])
def test_a_service_that_starts_without_the_disk(cloud: Cloud, store: str, caplog: pytest.LogCaptureFixture) -> None:
    image_id = uploaded(cloud.start(), store)
    mount = cloud.unmount(store)
    person = cloud.start()
    assert [x.id for x in cloud.service.stores if x.available] == [{"fast": "slow", "slow": "fast"}[store]]
    assert f"[{store}] filesystem_store_datadir = {cloud.folder}/{store}: there is no {MARKER}" in caplog.text
    assert person.call("GET", f"/v2/images/{image_id}/file").status_code == 503
    assert person.upload(str(person.create()["id"]), DATA, X_Image_Meta_Store=store).status_code == 503
    assert person.call("DELETE", f"/v2/images/{image_id}").status_code == 503
    assert "its data is not there" in Health(cloud.service.database, cloud.service.stores).report()[f"store {store}"]
    mount()
    cloud.service.stores.revive(0)
    assert person.call("GET", f"/v2/images/{image_id}/file").data == DATA
    assert uploaded(person, store)


def test_the_auditor_marks_nothing_when_the_data_is_away(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    image_id = uploaded(cloud.start())
    mount = cloud.unmount("fast")
    cloud.start()
    run = cloud.audit()
    assert (run.outcome, len(run.report.errors), run.report.findings) == (RunOutcome.FAILED, 1, ())
    assert [x for x in caplog.records if x.levelno == logging.ERROR and "periodic job auditor failed" in x.getMessage()]
    assert cloud.marks(image_id) == [LocationStatus.ACTIVE]
    mount()


def test_the_auditor_asks_for_the_marker_before_it_marks(cloud: Cloud) -> None:
    person = cloud.start()
    image_id = uploaded(person)
    (cloud.folder / "fast" / MARKER).unlink()
    (cloud.folder / "fast" / image_id).unlink()
    assert cloud.audit().outcome is RunOutcome.FAILED
    assert cloud.marks(image_id) == [LocationStatus.ACTIVE]


def test_the_auditor_marks_nothing_when_most_is_missing(cloud: Cloud) -> None:
    person = cloud.start()
    made = [uploaded(person) for _ in range(12)]
    for image_id in made[1:]:
        (cloud.folder / "fast" / image_id).rename(cloud.folder / image_id)
    run = cloud.audit()
    assert (run.outcome, run.report.findings) == (RunOutcome.FAILED, ())
    assert "11 of 12 copies that were looked for are missing" in run.report.errors[0]
    assert {x for image_id in made for x in cloud.marks(image_id)} == {LocationStatus.ACTIVE}
    (cloud.folder / made[1]).rename(cloud.folder / "fast" / made[1])
    run = cloud.audit()
    assert run.outcome is RunOutcome.DONE
    assert run.report.counts["missing"] == 10


@pytest.mark.parametrize("how", ["away", "most is missing"])
def test_the_auditor_goes_on_with_the_other_stores(cloud: Cloud, how: str) -> None:
    person = cloud.start()
    made = {store: [uploaded(person, store) for _ in range(12)] for store in ("fast", "slow")}
    if how == "away":
        mount = cloud.unmount("fast")
        cloud.start()
    else:
        for image_id in made["fast"]:
            (cloud.folder / "fast" / image_id).rename(cloud.folder / image_id)
    (cloud.folder / "slow" / made["slow"][0]).write_bytes(b"evil")
    run = cloud.audit()
    assert (run.outcome, len(run.report.errors)) == (RunOutcome.FAILED, 1)
    assert [(x.kind, x.subject) for x in run.report.findings] == [
        ("damaged", made["slow"][0]),
        ("lost", made["slow"][0]),
    ]
    assert {x for image_id in made["fast"] for x in cloud.marks(image_id)} == {LocationStatus.ACTIVE}
    run = cloud.audit()
    assert (run.outcome, run.report.counts.get("bytes", 0)) == (RunOutcome.FAILED, 0), "the others were read"
    if how == "away":
        mount()
        cloud.service.stores.revive(0)
    else:
        for image_id in made["fast"]:
            (cloud.folder / image_id).rename(cloud.folder / "fast" / image_id)
    run = cloud.audit()
    assert (run.outcome, run.report.counts["copies"], run.report.findings) == (RunOutcome.DONE, 12, ())
    assert cloud.audit().report.counts["copies"] == 24


def test_the_auditor_reads_the_other_stores_again_when_the_next_pass_is_due(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = cloud.start()
    for store in ("fast", "slow"):
        uploaded(person, store)
    cloud.unmount("fast")
    cloud.start()
    assert [cloud.audit().report.counts.get("copies", 0) for _ in range(2)] == [1, 0]
    now = time.time() + 8 * 86400
    monkeypatch.setattr("glancecore.features.copies.jobs.auditor.time.time", lambda: now)
    assert [cloud.audit().report.counts.get("copies", 0) for _ in range(2)] == [1, 0]


def test_the_operator_says_that_the_data_is_really_gone(cloud: Cloud) -> None:
    cloud.more = {"periodic_auditor": {"most_missing": 20}}
    person = cloud.start()
    for image_id in [uploaded(person) for _ in range(12)]:
        (cloud.folder / "fast" / image_id).unlink()
    run = cloud.audit()
    assert (run.outcome, run.report.counts["missing"]) == (RunOutcome.DONE, 12)


# -- marks are lifted ------------------------------------------------------------------------------
def lost(cloud: Cloud, person: Person) -> tuple[str, Path]:
    """An image whose only copy is marked, and where its bytes are."""
    image_id = uploaded(person)
    aside = (cloud.folder / "fast" / image_id).rename(cloud.folder / image_id)
    assert image_id in [x.subject for x in cloud.audit().report.findings if x.kind == "lost"]
    assert cloud.marks(image_id) == [LocationStatus.DAMAGED]
    return image_id, aside


def test_a_mark_is_lifted_soon_after_a_download_when_the_bytes_are_back(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glancecore.features.copies.rechecking.REST", 0.0)
    person = cloud.start()
    image_id, aside = lost(cloud, person)
    assert person.call("GET", f"/v2/images/{image_id}/file").status_code == 503
    (cloud.folder / "fast" / image_id).write_bytes(b"evil")
    assert person.call("GET", f"/v2/images/{image_id}/file").status_code == 503
    other, back = lost(cloud, person)
    back.rename(cloud.folder / "fast" / other)
    person.call("GET", f"/v2/images/{other}/file")
    until(lambda: cloud.marks(other) == [LocationStatus.ACTIVE])
    assert cloud.marks(image_id) == [LocationStatus.DAMAGED], "other bytes are no reason"
    aside.rename(cloud.folder / "fast" / image_id)
    until(lambda: person.call("GET", f"/v2/images/{image_id}/file").data == DATA)


def test_marks_are_lifted_when_the_store_comes_back(cloud: Cloud) -> None:
    person = cloud.start()
    image_id, aside = lost(cloud, person)
    mount = cloud.unmount("fast")
    person = cloud.start()
    aside.rename(cloud.folder / "fast.disk" / image_id)
    mount()
    cloud.service.stores.revive(0)
    until(lambda: cloud.marks(image_id) == [LocationStatus.ACTIVE])
    assert person.call("GET", f"/v2/images/{image_id}/file").data == DATA


def test_lost_data_is_an_error_with_an_exit_code_of_its_own(
    cloud: Cloud, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id, _ = lost(cloud, cloud.start())
    assert [x.levelno for x in caplog.records if f"lost: {image_id}" in x.getMessage()] == [logging.ERROR]
    monkeypatch.setattr("glancecore.cmd.periodic._on_signals", lambda _stop: None)
    assert run_once(cloud.conf(), "auditor", dry_run=False, as_json=False) == ALARM


# -- the configuration is only judged --------------------------------------------------------------
def test_judging_makes_marks_and_records_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.more = {"DEFAULT": {"enabled_import_methods": "glance-direct"}}
    database = load_database(cloud.conf())
    database.sync()
    assert judged(cloud) == "fine"
    assert checked(cloud, capsys) == (
        0,
        "Success",
        "Everything that the configuration enables is there and works.\nfast, slow",
    )
    assert not (cloud.folder / "fast").exists(), "a start makes it"
    (cloud.folder / "slow").mkdir()
    assert judged(cloud) == "fine"
    assert checked(cloud, capsys)[0] == 0
    assert list((cloud.folder / "slow").iterdir()) == []
    assert database.places.all() == []
    uploaded(cloud.start())
    recorded = database.places.all()
    assert checked(cloud, capsys)[0] == 0
    mount = cloud.unmount("fast")
    code, result, text = checked(cloud, capsys)
    assert (code, result) == (1, "Warning")
    assert "is it mounted?" in text
    mount()
    assert database.places.all() == recorded
    database.close()


def judged(cloud: Cloud) -> str:
    """What a reload is told."""
    answer, verdict = os.pipe()
    with os.fdopen(answer) as said:
        with os.fdopen(verdict, "w"):
            words = [
                sys.executable,
                "-m",
                "glancecore.cmd.judge",
                str(verdict),
                "glance-api",
                "--config-file",
                str(cloud.folder / "glance-api.conf"),
            ]
            subprocess.run(words, pass_fds=(verdict,), check=True)
        return said.read()


# -- a store that is not configured any more -------------------------------------------------------
def test_a_store_that_images_need_is_taken_out_of_the_configuration(
    cloud: Cloud, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    person = cloud.start()
    image_id = uploaded(person, "slow")
    uploaded(person, "slow")
    assert checked(cloud, capsys) == (
        0,
        "Success",
        "Everything that the configuration enables is there and works.\nfast, slow",
    )
    assert "enabled_backends" not in caplog.text
    cloud.more = {"DEFAULT": {"enabled_backends": "fast:file"}}
    person = cloud.start()
    told = "[DEFAULT] enabled_backends: 2 images have data in store slow, which is not among them"
    assert [x.levelno for x in caplog.records if told in x.getMessage()] == [logging.WARNING]
    answer = person.call("DELETE", f"/v2/images/{image_id}")
    assert answer.status_code == 503
    assert "store slow is not configured" in answer.text
    code, result, text = checked(cloud, capsys)
    assert (code, result, text.count(told)) == (1, "Failure", 2)
    cloud.more = {}
    assert cloud.start().call("DELETE", f"/v2/images/{image_id}").status_code == 204


def checked(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """What glance-plugins check and glance-status upgrade check say: the exit code, the result, and all texts."""
    code = plugins._check(argparse.Namespace(json=False, all=False), cloud.conf())
    result, text = status.CHECKS["stores"](cloud.conf())
    return code, result, capsys.readouterr().out + text
