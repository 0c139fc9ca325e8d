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

pytestmark = pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
MIB = 1 << 20


@pytest.fixture(scope="module")
def url() -> str:
    return lab.keystone().url


@pytest.fixture(scope="module")
def region(url: str) -> str:
    """With an image service of its own, and limits."""
    name = f"kit-{secrets.token_hex(4)}"
    keystone_setup.image_service(keystone_setup.Keystone(url), url, name, "http://127.0.0.1:1", None)
    keystone_setup.set_limits(url, name, image_size_total=100, image_stage_total=50, image_count_total=10, image_count_uploading=-1)
    keystone_setup.set_limits(url, name, "demo", image_count_total=2)
    return name


def made(folder: Path, **section: object) -> UnifiedQuota:
    (folder / "conf").write_text(lab.config_text({"oslo_limit": section}))
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(folder / "conf")], default_config_dirs=[])
    return make_quota(UnifiedQuota, conf, cache_seconds=0.5)


class TestUnified(QuotaConformance):
    secrets = ("s3cret-of-glance",)

    @pytest.fixture
    def section(self, url: str, region: str) -> dict[str, object]:
        return {"auth_type": "password", "auth_url": url, "username": "glance", "password": "secret", "user_domain_id": "default",
                "system_scope": "all", "endpoint_id": keystone_setup.image_endpoint(url, region)}

    @pytest.fixture
    def quota(self, section: dict[str, object], tmp_path: Path) -> UnifiedQuota:
        return made(tmp_path, **section)

    @pytest.fixture
    def expected(self, url: str) -> Mapping[str | None, Limits]:
        everybody = Limits(bytes=100 * MIB, staged_bytes=50 * MIB, images=10, uploading=None)
        demo = str(keystone_setup.Keystone(url).ensure("project", {"name": "demo", "domain_id": "default"}))
        return {None: everybody, "0" * 32: everybody, demo: Limits(bytes=100 * MIB, staged_bytes=50 * MIB, images=2, uploading=None)}

    @pytest.fixture
    def away(self, section: dict[str, object], tmp_path: Path) -> Callable[[], UnifiedQuota]:
        return lambda: made(tmp_path, **{**section, "auth_url": f"http://127.0.0.1:{lab.free_port()}/v3", "password": "s3cret-of-glance"})
