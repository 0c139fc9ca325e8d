"""Limits of single projects, beside the default: what counts, for how long it is remembered, and two who change it at
once."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from glancecore import conf as configuration
from glancecore.builtin.config_quota import ConfigQuota
from glancecore.domain import errors
from glancecore.domain.quota import Limits
from glancecore.kernel.project_quota import COLLECTION, ProjectQuota, QuotaTable
from glancecore.ports.options import Section
from glancecore.ports.quota import Quota
from glancecore.ports.record_repository import Record, RecordAdded
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.memory_records import MemoryRecords
from glancecore.testing.quota import HOSTILE, QuotaConformance, make_quota


def made(database: MemoryDatabase, age: float = 0.0, **options: object) -> ProjectQuota:
    conf = configuration.new(files=[])
    for name, value in options.items():
        conf.set_override(name, value)
    return ProjectQuota(make_quota(ConfigQuota, conf), QuotaTable(database), age)


class TestProjectQuota(QuotaConformance):
    @pytest.fixture
    def quota(self) -> ProjectQuota:
        found = made(MemoryDatabase(), 60, user_storage_quota="3GB", project_image_quota=5)
        found.change("more", {"image_size_total": 4 << 30, "image_count_uploading": 2})
        found.change("free", {"image_size_total": -1, "image_count_total": -1, "image_stage_total": 0})
        return found

    @pytest.fixture
    def expected(self) -> dict[str | None, Limits]:
        default = Limits(bytes=3 << 30, images=5)
        return {
            None: default,
            "others": default,
            "more": Limits(bytes=4 << 30, images=5, uploading=2),
            "free": Limits(staged_bytes=0),
        }

    @pytest.fixture
    def away(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Quota]:
        def away() -> Quota:
            monkeypatch.setattr(MemoryRecords, "get", _gone)
            return _OnlyProjects(made(MemoryDatabase()))

        return away


class _OnlyProjects(Quota):
    """Who has no project has the default, wherever the database is: the kit asks for the others."""

    def __init__(self, quota: ProjectQuota) -> None:
        super().__init__(quota.conf, quota.config)
        self._quota = quota

    def limits(self, project: str | None) -> Limits:
        return self._quota.limits(project or "p")


def _gone(*_: object) -> Record:
    raise errors.DatabaseUnavailable("away")


def test_what_is_not_named_stays_and_none_is_the_default_again() -> None:
    quota = made(MemoryDatabase(), project_image_quota=5)
    assert quota.change("p", {"image_count_total": 9}) == {"image_count_total": 9}
    assert quota.change("p", {"image_size_total": 7}) == {"image_size_total": 7, "image_count_total": 9}
    assert quota.limits("p") == Limits(bytes=7, images=9)
    assert quota.change("p", {"image_count_total": None}) == {"image_size_total": 7}
    assert quota.limits("p") == Limits(bytes=7, images=5)
    assert quota.change("p", {"image_size_total": None}) == {}
    assert quota.table.page("", 10) == [], "nothing is left of it"
    assert quota.limits("p") == Limits(images=5)


def test_another_process_knows_it_when_its_memory_is_old() -> None:
    database = MemoryDatabase()
    here, now, later = made(database), made(database, 0.0), made(database, 3600)
    assert [x.limits("p") for x in (now, later)] == [Limits(), Limits()]
    here.change("p", {"image_count_total": 1})
    assert now.limits("p") == Limits(images=1)
    assert later.limits("p") == Limits(), "its memory is fresh"
    assert later.change("p", {"image_size_total": 3}) == {"image_size_total": 3, "image_count_total": 1}
    assert later.limits("p") == Limits(bytes=3, images=1), "what a process changes counts there at once"


def test_without_the_database_what_was_known_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    database = MemoryDatabase()
    quota = made(database)
    quota.change("p", {"image_count_total": 1})
    assert quota.limits("p") == Limits(images=1)
    monkeypatch.setattr(MemoryRecords, "get", _gone)
    assert quota.limits("p") == Limits(images=1)
    with pytest.raises(errors.DatabaseUnavailable):
        quota.limits("never asked for")


@pytest.mark.parametrize("first", [True, False], ids=["no row yet", "a row"])
def test_of_two_who_change_at_once_neither_is_lost(first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    database, get = MemoryDatabase(), MemoryRecords.get
    table = QuotaTable(database)
    if not first:
        table.change("p", {"image_stage_total": 1})
    meddled: list[bool] = []

    def get_and_meddle(records: MemoryRecords, collection: str, record_id: str) -> Record:
        try:
            return get(records, collection, record_id)
        finally:
            if not meddled:
                meddled.append(True)
                QuotaTable(database).change("p", {"image_count_total": 9})

    monkeypatch.setattr(MemoryRecords, "get", get_and_meddle)
    table.change("p", {"image_size_total": 7})
    assert table.of("p") == {"image_size_total": 7, "image_count_total": 9} | (
        {} if first else {"image_stage_total": 1}
    )


@pytest.mark.parametrize(
    "project", [*(x for x in HOSTILE if x and "\x00" not in x and len(x) <= 255 and x.isprintable()), "x" * 255]
)
def test_any_project_may_have_limits(project: str) -> None:
    quota = made(MemoryDatabase())
    quota.change(project, {"image_count_total": 3})
    assert quota.limits(project) == Limits(images=3)
    assert quota.limits(project + "x") == Limits()


@pytest.mark.parametrize("project", ["", "x" * 256, "a\nb", "\x00", "\ud800", "\u2028"])
def test_what_no_project_can_be_called_is_refused(project: str) -> None:
    with pytest.raises(errors.Invalid, match=r"^project: "):
        made(MemoryDatabase()).change(project, {"image_count_total": 3})


@pytest.mark.parametrize("value", [-2, (1 << 62) + 1])
def test_a_limit_is_within_its_bounds(value: int) -> None:
    database = MemoryDatabase()
    with pytest.raises(
        errors.Invalid, match=r"^image_size_total: -?[0-9]+ is not within -1 \(no limit\) and 4398046511104$"
    ):
        made(database).change("p", {"image_count_total": 1, "image_size_total": value})
    assert QuotaTable(database).of("p") == {}, "all of it or nothing"


def test_what_a_newer_release_has_kept_is_no_trouble() -> None:
    database = MemoryDatabase()
    database.images.commit(
        RecordAdded(Record(COLLECTION, "p", {"image_count_total": 4, "new": {"x": 1}, "image_size_total": "7"}))
    )
    assert made(database).limits("p") == Limits(images=4)


def test_where_the_plugin_has_them_none_are_kept_here() -> None:
    class Elsewhere(Quota):
        per_project = True

        def limits(self, project: str | None) -> Limits:
            return Limits(images=len(project or ""))

    database = MemoryDatabase()
    database.images.commit(RecordAdded(Record(COLLECTION, "p", {"image_count_total": 4})))
    quota = ProjectQuota(Elsewhere(cast("Section", None), configuration.new(files=[])), QuotaTable(database))
    assert quota.limits("p") == Limits(images=1)
    with pytest.raises(errors.NotEnabled, match=r"\[DEFAULT\] quota_driver = config has the limits of projects"):
        quota.change("p", {"image_count_total": 5})
