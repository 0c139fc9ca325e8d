"""What is refused at once. The method itself is tested against a real Keystone with two regions, by tests/e2e and
tempest."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from glancecore_method_glance_download.driver import GlanceDownload
from glancecore_method_glance_download.options import OPTIONS, SECTION
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.import_method import MethodRequest

GOOD = {"glance_region": "two", "glance_image_id": str(uuid.uuid4())}


def make(folder: Path | None = None, text: str | None = None, /, **options: object) -> GlanceDownload:
    """``text``: the operator's file."""
    conf = cfg.ConfigOpts()
    conf.register_opts(OPTIONS, group=SECTION)
    files = []
    if folder is not None and text is not None:
        files = [str(folder / "glance-api.conf")]
        (folder / "glance-api.conf").write_text(text)
    conf([], default_config_files=files, default_config_dirs=[])
    for name, value in options.items():
        conf.set_override(name, value, group=SECTION)
    method = GlanceDownload(conf[SECTION], conf)
    method.start()
    return method


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"glance_region": None}, "glance_region"),
        ({"glance_region": 5}, "glance_region"),
        ({"glance_image_id": None}, "glance_image_id"),
        ({"glance_image_id": "foo"}, "image id does not look like a UUID"),
        ({"glance_service_interface": 5}, "interface"),
    ],
)
def test_a_wrong_request(change: Mapping[str, object], word: str) -> None:
    with pytest.raises(errors.Invalid, match=word):
        make(auth_url="http://keystone").check(MethodRequest({**GOOD, **change}, (), {"token": "t"}))


def test_a_caller_without_a_token() -> None:
    with pytest.raises(errors.Invalid, match="token"):
        make(auth_url="http://keystone").check(MethodRequest(GOOD))
    make(auth_url="http://keystone").check(MethodRequest(GOOD, (), {"token": "t"}))


@pytest.mark.parametrize("text", [None, "", "[keystone_authtoken]\nauth_type = password\n"])
def test_without_keystone_it_does_not_start(text: str | None, tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="auth_url"):
        make(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "[keystone_authtoken]\nauth_url = http://keystone/\nwww_authenticate_uri = http://other\n",
        "[keystone_authtoken]\nwww_authenticate_uri = http://keystone\n",
        "[keystone_authtoken]\nauth_uri = http://keystone\n",
        "[keystone_authtoken]\nauth_section = glance\n[glance]\nauth_url = http://keystone\n",
    ],
)
def test_keystone_is_known_where_no_requests_are_served(text: str, tmp_path: Path) -> None:
    """Nobody has declared the options of that section there."""
    assert make(tmp_path, text)._keystone == "http://keystone"
