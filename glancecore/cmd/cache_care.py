"""glance-cache-prefetcher, -pruner, -cleaner: the jobs of this machine's image cache, once, by the names that operators
know."""

from __future__ import annotations

import logging
import sys

from glancecore.cmd import parsing, start
from glancecore.cmd.periodic import run_once


def prefetcher() -> None:
    sys.exit(start.run(lambda: _main("prefetcher", "Cache the queued images now.")))


def pruner() -> None:
    sys.exit(start.run(lambda: _main("pruner", "Shrink the cache to image_cache_max_size.")))


def cleaner() -> None:
    sys.exit(
        start.run(
            lambda: _main("cleaner", "Remove leftovers, entries of images that are no more, and damaged entries.")
        )
    )


def _main(job: str, description: str) -> int:
    parser = parsing.parser(f"glance-cache-{job}", f"{description} The same as glance-periodic run cache_{job}.")
    start.add_config_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="change nothing; report what would be done")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(verify_all=False)
    if job == "cleaner":
        parser.add_argument(
            "--verify-all", action="store_true", help="hash every entry, not only those whose last time is long ago"
        )
    args = parser.parse_args()
    conf = start.read_config(args, log_level=logging.CRITICAL)  # the report says it
    from glancecore.features.cache.jobs import WholeCacheCleaner

    return run_once(
        conf,
        f"cache_{job}",
        dry_run=args.dry_run,
        as_json=args.json,
        cls=WholeCacheCleaner if args.verify_all else None,
    )
