"""Glance's [paste_deploy] flavor, as deployers write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from glancecore import conf as configuration
from glancecore.domain.errors import ConfigError
from glancecore.features.cache.options import cache_driver


def _read(folder: Path, flavor: str, *lines: str) -> tuple[str, bool]:
    """The auth plugin, and whether images are cached."""
    file = folder / "glance-api.conf"
    file.write_text("\n".join(["[DEFAULT]", *lines, "[paste_deploy]", f"flavor = {flavor}", ""]))
    conf = configuration.new(files=[str(file)])
    return conf.auth_strategy, cache_driver(conf) is not None


@pytest.mark.parametrize(
    ("flavor", "auth", "cached"),
    [
        ("keystone", "keystone", False),
        ("keystone+caching", "keystone", True),
        ("keystone+cachemanagement", "keystone", True),
        ("trusted-auth", "headers", False),
        ("trusted-auth+cachemanagement", "headers", True),
        ("caching", "none", True),
        ("cachemanagement", "none", True),
        ("", "none", False),
        ("noauth", "none", False),
        ("'keystone+caching'", "keystone", True),
        (" keystone + caching ", "keystone", True),
    ],
)
@pytest.mark.parametrize("folder", ["image_cache_dir = /var/cache/glance"])
def test_the_word_says_who_callers_are_and_whether_images_are_cached(
    tmp_path: Path, flavor: str, auth: str, folder: str, cached: bool
) -> None:
    assert _read(tmp_path, flavor, folder) == (auth, cached)


def test_without_a_folder_there_is_no_cache_to_switch_on(tmp_path: Path) -> None:
    assert _read(tmp_path, "keystone") == ("keystone", False)
    with pytest.raises(ConfigError, match=r"\[paste_deploy\] flavor = keystone\+caching .*image_cache_dir"):
        _read(tmp_path, "keystone+caching")


@pytest.mark.parametrize("flavor", ["keystne", "fakeauth", "keystone+ratelimit", "keystone+noauth"])
def test_a_word_that_nobody_knows_stops_the_start(tmp_path: Path, flavor: str) -> None:
    with pytest.raises(ConfigError, match=r"\[paste_deploy\] flavor = .*not understood; write one of keystone, "):
        _read(tmp_path, flavor)


def test_a_login_that_the_flavor_contradicts_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="contradict"):
        _read(tmp_path, "keystone", "auth_strategy = none")
    assert _read(tmp_path, "keystone", "auth_strategy = keystone")[0] == "keystone"


def test_a_flavor_without_the_cache_switches_off_other_drivers_too(tmp_path: Path) -> None:
    assert _read(tmp_path, "keystone", "image_cache_driver = other") == ("keystone", False)
