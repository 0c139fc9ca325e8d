"""glance-cache-prefetcher, -pruner, -cleaner: the care of this machine's image cache, once. glance-api does the same by itself."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable

from glancecore import bootstrap
from glancecore.cmd import start
from glancecore.domain.errors import ConfigError
from glancecore.services.caching import Caching, CareReport


def prefetcher() -> None:
    sys.exit(start.run(lambda: _main("glance-cache-prefetcher", "Cache the queued images now.",
                                     lambda caching, dry_run, _verify: caching.prefetch(dry_run=dry_run))))


def pruner() -> None:
    sys.exit(start.run(lambda: _main("glance-cache-pruner", "Shrink the cache to image_cache_max_size.",
                                     lambda caching, dry_run, _verify: caching.prune(dry_run=dry_run))))


def cleaner() -> None:
    sys.exit(start.run(lambda: _main(
        "glance-cache-cleaner", "Remove leftovers, entries of images that are no more, and damaged entries.",
        lambda caching, dry_run, verify: caching.clean(dry_run=dry_run, verify_all=verify), verifies=True)))


def _main(name: str, description: str, run: Callable[[Caching, bool, bool], CareReport], *, verifies: bool = False) -> int:
    parser = argparse.ArgumentParser(prog=name, description=description)
    start.add_config_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    parser.add_argument("--json", action="store_true", help="print JSON")
    if verifies:
        parser.add_argument("--verify-all", action="store_true", help="hash every entry, not only those whose last time is long ago")
    args = parser.parse_args()
    conf = start.read_config(args, log_level=logging.CRITICAL)  # the report says it
    service = bootstrap.build(conf)
    try:
        if service.caching is None:
            raise ConfigError("[DEFAULT] image_cache_dir: it is not set, so there is no cache")
        report = run(service.caching, args.dry_run, verifies and args.verify_all)
    finally:
        service.close()
    if args.json:
        print(json.dumps({"job": report.job, "dry_run": report.dry_run, "files": report.files, "bytes": report.bytes, **report.outcomes}))
    else:
        print(report)
        for outcome, ids in report.outcomes.items():
            for image_id in ids:
                print(f"  {outcome:20} {image_id}")
    return 0
