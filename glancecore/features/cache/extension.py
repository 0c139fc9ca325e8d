"""The image cache as a capability. Without a cache its routes answer that there is none."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.errors import ConfigError
from glancecore.features.cache import rules
from glancecore.features.cache.image_cache import ImageCache, told
from glancecore.features.cache.options import cache_driver
from glancecore.features.cache.use_cases import Caching, CachingSettings
from glancecore.features.images.extension import ImagesExtension
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.ports.cache import Cache, CacheSettings
from glancecore.ports.http import Route

LOG = logging.getLogger(__name__)
_OPTION = "[DEFAULT] image_cache_driver"


class CacheExtension(CoreExtension):
    rules = rules.RULES
    jobs = {
        "cache_prefetcher": "glancecore.features.cache.jobs:CachePrefetcher",
        "cache_pruner": "glancecore.features.cache.jobs:CachePruner",
        "cache_cleaner": "glancecore.features.cache.jobs:CacheCleaner",
    }

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        conf, images = kernel.conf, kernel.of(ImagesExtension)
        cache = _load(kernel)
        #: None: the deployment has no image cache.
        self.caching: Caching | None = None
        if cache is not None:
            images.downloads.use(cache)
            kernel.on.removed(cache.drop)
            settings = CachingSettings(
                conf.image_cache_max_size, conf.image_cache_stall_time, conf.worker_self_reference_url
            )
            self.caching = Caching(
                kernel.database,
                kernel.policy,
                images.downloads,
                cache,
                settings,
                lambda: kernel.hooks.run_job("cache_prefetcher"),
            )

    @property
    def minors(self) -> Iterable[int]:
        return (14, 16, 18) if self.caching else ()

    def routes(self) -> Iterable[Route]:
        from glancecore.features.cache import routes
        from glancecore.features.cache.api import CacheApi

        return routes.routes(CacheApi(self.caching))

    def stop(self) -> None:
        if self.caching:
            self.caching.close()


def _load(kernel: CoreKernel) -> ImageCache | None:
    """The image cache, when the operator wants one. A broken plugin is left out; one that is not installed, or settings
    that are wrong, stop the start, unless the service was built before: then nothing that is wrong with the cache
    does."""
    conf = kernel.conf
    name = cache_driver(conf)
    if name is None:
        return None
    if name != conf.image_cache_driver:
        LOG.warning("[DEFAULT] image_cache_driver = %s is Glance's; here it means %s", conf.image_cache_driver, name)
    folder = Path(conf.image_cache_dir) if conf.image_cache_dir else None
    driver: Cache | None = None
    with kernel.plugins.or_left_out("cache", name, _OPTION):
        try:
            driver = kernel.plugins.make(
                "cache", name, _OPTION, settings=CacheSettings(conf.image_cache_max_size, folder, told)
            )
        except (ConfigError, errors.CacheUnavailable) as exc:
            if not kernel.startup.tolerate_outages:
                raise
            LOG.error("the image cache can't be used: %s; this process serves without it", exc)
            return None
    return ImageCache(driver, conf.image_cache_patience, conf.image_cache_max_size) if driver is not None else None
