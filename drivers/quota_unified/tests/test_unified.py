"""Limits of a real Keystone."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import lab
import pytest
from backends import keystone_setup
from glancecore_quota_unified.driver import UnifiedQuota
from glancecore_quota_unified.options import OPTIONS, list_opts
from oslo_config import cfg

from glancecore.domain.errors import ConfigError, QuotaUnavailable
from glancecore.domain.quota import Limits
from glancecore.testing.settings import make_section

# openstacksdk warns of itself, when oslo.limit uses it
pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
Make = Callable[..., UnifiedQuota]
MIB = 1 << 20


@pytest.fixture(scope="module")
def url() -> str:
    return lab.keystone().url


def _new_region(url: str) -> str:
    """With an image service of its own."""
    name = f"quota-{secrets.token_hex(4)}"
    keystone_setup.image_service(keystone_setup.Keystone(url), url, name, "http://127.0.0.1:1", None)
    return name


@pytest.fixture(scope="module")
def region(url: str) -> str:
    return _new_region(url)


@pytest.fixture
def make(url: str, region: str, tmp_path: Path) -> Make:
    def made(cache_seconds: float = 0, **changed: object) -> UnifiedQuota:
        section = {
            "auth_type": "password",
            "auth_url": url,
            "username": "glance",
            "password": "secret",
            "user_domain_id": "default",
            "system_scope": "all",
            "endpoint_id": keystone_setup.image_endpoint(url, region),
            **changed,
        }
        (tmp_path / "conf").write_text(
            lab.config_text({"oslo_limit": {key: value for key, value in section.items() if value is not None}})
        )
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(tmp_path / "conf")], default_config_dirs=[])
        return UnifiedQuota(make_section(OPTIONS, cache_seconds=cache_seconds), conf)

    return made


def _project(url: str, name: str) -> str:
    return str(keystone_setup.Keystone(url).ensure("project", {"name": name, "domain_id": "default"}))


def test_registered_limits_and_those_of_a_project(make: Make, url: str, region: str) -> None:
    keystone_setup.set_limits(
        url, region, image_size_total=100, image_stage_total=50, image_count_total=10, image_count_uploading=-1
    )
    keystone_setup.set_limits(url, region, "demo", image_count_total=2, image_size_total=-1)
    quota = make()
    everybody = Limits(bytes=100 * MIB, staged_bytes=50 * MIB, images=10, uploading=None)
    assert quota.limits(_project(url, "alt_demo")) == everybody
    assert quota.limits("0" * 32) == everybody
    assert quota.limits(None) == everybody
    assert quota.limits(_project(url, "demo")) == Limits(bytes=None, staged_bytes=50 * MIB, images=2, uploading=None)


def test_a_changed_limit_is_seen_after_the_cache_time(make: Make, url: str, region: str) -> None:
    keystone_setup.set_limits(url, region, "demo", image_count_total=2)
    demo = _project(url, "demo")
    now, old = make(cache_seconds=0), make(cache_seconds=3600)
    assert (now.limits(demo).images, old.limits(demo).images) == (2, 2)
    keystone_setup.set_limits(url, region, "demo", image_count_total=3)
    assert (now.limits(demo).images, old.limits(demo).images) == (3, 2)


def test_the_endpoint_can_be_named_by_service_and_region(make: Make, url: str) -> None:
    region = _new_region(url)
    keystone_setup.set_limits(url, region, image_count_total=17)
    quota = make(endpoint_id=None, endpoint_service_type="image", endpoint_region_name=region)
    assert quota.limits(_project(url, "alt_demo")).images == 17


def test_what_is_not_registered_may_not_be_used(make: Make, url: str, caplog: pytest.LogCaptureFixture) -> None:
    keystone, region = keystone_setup.Keystone(url), _new_region(url)
    service = keystone.ensure("service", {"type": "image"})
    for each in keystone.call("GET", f"/registered_limits?service_id={service}&region_id={region}")[0][
        "registered_limits"
    ]:
        if each["resource_name"] != "image_count_total":
            keystone.call("DELETE", f"/registered_limits/{each['id']}")
    quota = make(endpoint_id=keystone_setup.image_endpoint(url, region))
    assert quota.limits(_project(url, "demo")) == Limits(bytes=0, staged_bytes=0, images=100_000, uploading=0)
    assert "image_count_uploading, image_size_total, image_stage_total" in caplog.text


def test_while_keystone_is_away_nobody_unknown_may_store(
    make: Make, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    quota = make(auth_url=f"http://127.0.0.1:{lab.free_port()}/v3")
    assert "Keystone doesn't tell limits" in caplog.text
    with pytest.raises(QuotaUnavailable, match="try again") as caught:
        quota.limits(_project(url, "demo"))
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"auth_type": None}, ("[oslo_limit] auth_type", "not set")),
        ({"auth_type": "pasword"}, ("[oslo_limit] auth_type = pasword",)),
        ({"auth_url": None}, ("[oslo_limit] auth_type = password", "auth_url")),
        ({"endpoint_id": None}, ("[oslo_limit] endpoint_id", "openstack endpoint list")),
        ({"endpoint_id": "nowhere"}, ("[oslo_limit] endpoint_id", "nowhere")),
        ({"endpoint_id": None, "endpoint_service_type": "pictures"}, ("endpoint_service_type", "Service not found")),
        ({"password": "sesame"}, ("[oslo_limit]", "password", "correct")),
        (
            {"username": "demo", "system_scope": None, "project_name": "demo", "project_domain_id": "default"},
            ("[oslo_limit] username", "--system all reader"),
        ),
    ],
)
def test_wrong_settings_stop_the_start(make: Make, changed: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**changed)
    for word in words:
        assert word in str(caught.value)
    assert "sesame" not in str(caught.value), "no password in a message"


def test_options_are_listed_for_the_sample() -> None:
    assert [group for group, _ in list_opts()] == ["quota_unified"]
