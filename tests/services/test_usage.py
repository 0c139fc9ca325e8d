"""What a project is told of its quotas."""

from __future__ import annotations

from typing import cast

import pytest
from oslo_config import cfg

from glancecore import conf as configuration
from glancecore.builtin.config_quota import ConfigQuota
from glancecore.domain.context import Context
from glancecore.features.discovery.use_cases import Discovery
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.options import Section
from glancecore.ports.quota import Quota
from glancecore.ports.repository import ImageAdded
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase

MIB = 1 << 20


def _usage(*, always: bool = False, **options: object) -> dict[str, dict[str, int]]:
    conf: cfg.ConfigOpts = configuration.new(files=[])
    for name, value in options.items():
        conf.set_override(name, value)
    database = MemoryDatabase()
    database.images.commit(ImageAdded(make_image(owner="p")))
    quota: Quota = ConfigQuota(cast("Section", None), conf)
    quota.shows_usage = always
    return Discovery(database.images, cast("Authorizer", None), quota, cast("Stores", None)).usage(Context(project="p"))


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({"user_storage_quota": "3GB"}, (3 << 10, -1, -1, -1)),
        ({"user_storage_quota": "1KB"}, (1, -1, -1, -1)),
        ({"project_image_quota": 5}, (-1, -1, 5, -1)),
        ({"project_image_quota": 0}, (-1, -1, 0, -1)),
        ({"project_uploading_quota": 2, "user_storage_quota": "1MB"}, (1, -1, -1, 2)),
    ],
)
def test_quotas_of_the_file_are_shown(options: dict[str, object], limits: tuple[int, ...]) -> None:
    found = _usage(**options)
    names = ("image_size_total", "image_stage_total", "image_count_total", "image_count_uploading")
    assert tuple(found[x]["limit"] for x in names) == limits
    assert [found[x]["usage"] for x in names] == [0, 0, 1, 0]


def test_without_a_quota_there_is_nothing_to_show() -> None:
    assert _usage() == {}
    assert _usage(project_metadata_quota=5) == {}


def test_a_plugin_may_show_what_is_not_limited() -> None:
    assert _usage(always=True)["image_count_total"] == {"usage": 1, "limit": -1}
