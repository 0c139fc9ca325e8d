"""glance-scrubber: delete for good what was deleted some time ago, or bring it back."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from types import FrameType

from oslo_config import cfg

from glancecore.cmd import parsing, start
from glancecore.domain import errors
from glancecore.ports.options import section

LOG = logging.getLogger(__name__)


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    args = parser().parse_args()
    conf = start.read_config(args, log_level=None if args.daemon else logging.WARNING)
    if args.restore:
        return _restore(args, conf)
    return _scrub(args, conf)


def _restore(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from glancecore.assembly.build import build
    from glancecore.features.images.extension import ImagesExtension

    service = build(conf)
    service.database.ping()
    try:
        image = service.of(ImagesExtension).deletion.restore(args.restore)
    finally:
        service.close()
    facts = {"image": image.id, "status": image.status.value, "name": image.name, "owner": image.owner}
    print(json.dumps(facts) if args.json else f"image {image.id} is {image.status.value} again")
    return 0


def _scrub(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from glancecore.assembly.build import build
    from glancecore.features.images.jobs import Scrubber
    from glancecore.periodic.job_run import RunOutcome
    from glancecore.periodic.runner import Scheduled

    service = build(conf)
    service.database.ping()
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        service.periodic.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    scheduled = Scheduled("scrubber", Scrubber(section(conf, "periodic_reaper", ()), service.tools), conf.wakeup_time)
    code = 0
    try:
        while True:
            try:
                run = service.periodic.run(scheduled, dry_run=args.dry_run)
            except errors.ImageBusy as exc:
                if not args.daemon:
                    raise
                LOG.info("%s", exc)
            except errors.DatabaseUnavailable as exc:
                if not args.daemon:
                    raise
                LOG.warning("the images are looked at again later: %s", exc)
            else:
                print(
                    json.dumps(run.as_json(), indent=None if args.daemon else 1) if args.json else run.text(),
                    flush=True,
                )
                code = 0 if run.outcome is RunOutcome.DONE and not run.report.errors else 1
            if not args.daemon or stopping.wait(conf.wakeup_time):
                return 0 if args.daemon else code
    finally:
        service.close()


def parser() -> argparse.ArgumentParser:
    made = parsing.parser(
        "glance-scrubber",
        "Delete for good the images whose delayed deletion is over (delayed_delete, "
        "scrub_time), once. The periodic job reaper does the same by itself.",
    )
    start.add_config_arguments(made)
    made.add_argument(
        "-D", "--daemon", action="store_true", help="again every wakeup_time seconds, until it is stopped"
    )
    made.add_argument("--restore", metavar="ID", help="bring this deleted image back as it was, and delete nothing")
    made.add_argument("--dry-run", action="store_true", help="change nothing; report what would be deleted")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made
