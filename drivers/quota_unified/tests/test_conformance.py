"""The kit on limits of a real Keystone."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import lab
import pytest
from backends import keystone_setup
from glancecore_quota_unified.driver import UnifiedQuota
from oslo_config import cfg

from glancecore.domain.quota import Limits
from glancecore.testing.quota import QuotaConformance, make_quota

# openstacksdk warns of itself, when oslo.limit uses it
pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
MIB = 1 << 20


@pytest.fixture(scope="module")
def cloud() -> tuple[str, str]:
    """Keystone's URL, and a region of our own with limits."""
    url, region = lab.keystone().url, f"kit-{secrets.token_hex(4)}"
    keystone_setup.image_service(keystone_setup.Keystone(url), url, region, "http://127.0.0.1:1", None)
    keystone_setup.set_limits(
        url, region, image_size_total=100, image_stage_total=50, image_count_total=10, image_count_uploading=-1
    )
    keystone_setup.set_limits(url, region, "demo", image_count_total=2, image_size_total=-1)
    return url, region


class KeystoneKit(QuotaConformance):
    secrets = ("secret",)
    cache_seconds = 0.0

    @pytest.fixture
    def quota(self, cloud: tuple[str, str], tmp_path: Path) -> UnifiedQuota:
        url, region = cloud
        return self.made(tmp_path, url, keystone_setup.image_endpoint(url, region))

    @pytest.fixture
    def expected(self, cloud: tuple[str, str]) -> Mapping[str | None, Limits]:
        url, _ = cloud
        everybody = Limits(bytes=100 * MIB, staged_bytes=50 * MIB, images=10, uploading=None)
        demo, other = (
            str(keystone_setup.Keystone(url).ensure("project", {"name": x, "domain_id": "default"}))
            for x in ("demo", "alt_demo")
        )
        return {
            demo: Limits(bytes=None, staged_bytes=50 * MIB, images=2, uploading=None),
            other: everybody,
            "0" * 32: everybody,
            None: everybody,
        }

    @pytest.fixture
    def away(self, tmp_path: Path) -> Callable[[], UnifiedQuota]:
        return lambda: self.made(tmp_path, f"http://127.0.0.1:{lab.free_port()}/v3", "0" * 32)

    def made(self, folder: Path, url: str, endpoint: str) -> UnifiedQuota:
        section = {
            "auth_type": "password",
            "auth_url": url,
            "username": "glance",
            "password": "secret",
            "user_domain_id": "default",
            "system_scope": "all",
            "endpoint_id": endpoint,
        }
        file = folder / f"{secrets.token_hex(4)}.conf"
        file.write_text(lab.config_text({"oslo_limit": section}))
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(file)], default_config_dirs=[])
        return make_quota(UnifiedQuota, conf, cache_seconds=self.cache_seconds)


class TestEachQuestion(KeystoneKit):
    """Keystone is asked each time."""


class TestRemembered(KeystoneKit):
    """As it is set by default: answers count for a while."""

    cache_seconds = 5.0
