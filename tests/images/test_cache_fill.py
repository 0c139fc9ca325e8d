"""Caching an image ahead of its readers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from glancecore.domain import errors
from glancecore.features.cache.image_cache import ImageCache
from glancecore.testing.examples import make_image, with_data


class _Away:
    """A cache that can't be used now."""

    def claim(self, *_: object) -> None:
        raise errors.CacheUnavailable("its disk is away")

    def open(self, *_: object, **__: object) -> None:
        raise errors.CacheUnavailable("its disk is away")


class _Copies:
    copies = 1


def test_a_cache_that_is_away_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    image = replace(with_data(make_image(), 3), hash_algo="sha256", hash_value="0" * 64)
    assert ImageCache(cast("Any", _Away()), 1.0).fill(image, cast("Any", _Copies())) is False
    assert [x.levelname for x in caplog.records] == ["WARNING"]
