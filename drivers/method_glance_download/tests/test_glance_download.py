"""What is refused at once. The method itself is tested against a real Keystone with two regions, by tests/e2e and tempest."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import pytest
from glancecore_method_glance_download.driver import GlanceDownload
from glancecore_method_glance_download.options import OPTIONS, SECTION
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.import_method import Request

GOOD = {"glance_region": "two", "glance_image_id": str(uuid.uuid4())}


def make(**options: object) -> GlanceDownload:
    conf = cfg.ConfigOpts()
    conf.register_opts(OPTIONS, group=SECTION)
    conf([])
    for name, value in options.items():
        conf.set_override(name, value, group=SECTION)
    method = GlanceDownload(conf[SECTION], conf)
    method.start()
    return method


@pytest.mark.parametrize(("change", "word"), [
    ({"glance_region": None}, "glance_region"), ({"glance_region": 5}, "glance_region"), ({"glance_image_id": None}, "glance_image_id"),
    ({"glance_image_id": "foo"}, "image id does not look like a UUID"), ({"glance_service_interface": 5}, "interface")])
def test_a_wrong_request(change: Mapping[str, object], word: str) -> None:
    with pytest.raises(errors.Invalid, match=word):
        make(auth_url="http://keystone").check(Request({**GOOD, **change}, (), {"token": "t"}))


def test_a_caller_without_a_token() -> None:
    with pytest.raises(errors.Invalid, match="token"):
        make(auth_url="http://keystone").check(Request(GOOD))
    make(auth_url="http://keystone").check(Request(GOOD, (), {"token": "t"}))


def test_without_keystone_it_does_not_start() -> None:
    with pytest.raises(errors.ConfigError, match="auth_url"):
        make()
