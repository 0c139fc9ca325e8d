"""glance-manage store, out of service: what a store has, drain it, empty it, and forget it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from glancecore.assembly.build import build
from glancecore.assembly.stores import load_stores
from glancecore.cmd import arguments
from glancecore.domain import errors
from glancecore.domain.errors import ConfigError, GlanceError, for_operators
from glancecore.domain.text import escaped
from glancecore.features.copies.evacuation import Evacuation, refuse_last
from glancecore.features.copies.inventory import Inventory, being_written_to, held_in
from glancecore.kernel.transfer.draining import AGE, Draining
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.periodic.job_run import JobRun
from glancecore.ports.job_repository import JobRecord
from glancecore.ports.repository import Database
from glancecore.ports.upkeep import MoveOutcome, MoveResult, Order

#: Exit codes of ``evacuate``: nothing is left; something is; cut off.
DONE, LEFT, STOPPED = 0, 1, 3
#: Seconds between two lines of progress.
_PROGRESS = 5.0


# -- status ----------------------------------------------------------------------------------------
def _status(args: argparse.Namespace, database: Database) -> int:
    stores = load_stores(args.conf, database, tolerate_outages=True, look=True)
    try:
        known = list(dict.fromkeys([*stores.ids, *(x.store for x in database.places.all()), *database.places.needed()]))
        if args.id is not None and args.id not in known:
            raise ConfigError(f"ID: no store {args.id!r}; there are: {', '.join(known)}")
        if args.images and args.id is None:
            raise ConfigError("--images: it is not said of which store; run: glance-manage store status ID --images")
        return max(_tell(args, database, stores, x) for x in ([args.id] if args.id is not None else known))
    finally:
        stores.close()


def _tell(args: argparse.Namespace, database: Database, stores: Stores, store_id: str) -> int:
    found = Inventory(store_id)
    for image in held_in(database, store_id):
        kind = found.add(image)
        if args.images:
            row = {
                "image": image.id,
                "kind": kind,
                "bytes": image.size,
                "status": image.status.value,
                "owner": image.owner,
                "name": image.name,
            }
            print(
                json.dumps(row)
                if args.json
                else f"{kind} {image.id} {image.size} {image.status.value} {image.name or '-'}"
            )
    state = _state(database, stores.get(store_id) if store_id in stores.ids else None, store_id)
    if args.json:
        print(json.dumps({**state, **asdict(found)}))
    else:
        draining = ", draining" if state["draining"] else ""
        writable = ", writable" if state["writable"] else ", takes no new data"
        free = f", free {state['free']} bytes" if state["free"] is not None else ""
        why = f": {state['why']}" if state["why"] else ""
        print(f"{store_id}: {state['state']}{draining}{writable}{free}{why}")
        print(
            f"  images {found.images}, bytes {found.bytes}, only copy {found.only}, damaged copies {found.damaged},"
            f" without any good copy {found.lost}"
        )
    return int(state["state"] == "down" or (state["state"] == "not configured" and found.images > 0))


def _state(database: Database, store: StoreFacade | None, store_id: str) -> dict[str, object]:
    """``state``: up, down, unused, or not configured; ``free`` bytes, None when it does not say."""
    told: dict[str, object] = {
        "state": "not configured",
        "why": "[DEFAULT] enabled_backends does not name it",
        "writable": False,
        "draining": Draining(database).since(store_id) is not None,
        "free": None,
    }
    if store is None:
        return told
    if not store.available and store.unavailable_because is None:
        return {**told, "state": "unused", "why": "no process has started it yet"}
    try:
        if not store.available:
            return {**told, "state": "down", "why": store.unavailable_because}
        store.ping()
        return {**told, "state": "up", "why": "", "writable": store.takes_data, "free": store.free()}
    except GlanceError as exc:
        return {**told, "state": "down", "why": for_operators(exc)}


# -- drain -----------------------------------------------------------------------------------------
def _drain(args: argparse.Namespace, database: Database) -> int:
    stores = load_stores(args.conf, database, tolerate_outages=True, look=True)
    try:
        if args.id not in stores.ids:
            raise ConfigError(
                f"ID: no store {args.id!r} among those of [DEFAULT] enabled_backends; there are:"
                f" {', '.join(stores.ids)}"
            )
        refuse_last(stores, args.id, Draining(database))
    finally:
        stores.close()
    fresh = Draining(database).add(args.id, datetime.now(UTC))
    _say(
        args,
        {"store": args.id, "draining": True, "before": not fresh},
        f"store {args.id} takes no new data {f'any more; all processes know it in {AGE:g} s' if fresh else 'already'}",
    )
    return 0


def _undrain(args: argparse.Namespace, database: Database) -> int:
    done = Draining(database).remove(args.id)
    if not done and args.id not in args.conf.enabled_backends:
        raise ConfigError(f"ID: no store {args.id!r}; there are: {', '.join(args.conf.enabled_backends)}")
    _say(
        args,
        {"store": args.id, "draining": False, "before": done},
        f"store {args.id} is not draining {'any more' if done else 'anyway'}",
    )
    return 0


def _say(args: argparse.Namespace, told: dict[str, object], text: str) -> None:
    print(json.dumps(told) if args.json else text)


# -- evacuate --------------------------------------------------------------------------------------
def _evacuate(args: argparse.Namespace, database: Database) -> int:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    def alive() -> None:
        if stopping.is_set():
            raise errors.JobStopped("it was told to stop")

    turn = JobRun("evacuate", JobRecord(), alive, stopping, dry_run=args.dry_run)
    service = build(args.conf, database)
    try:
        progress = _Progress(args, database.places.count(args.origin))
        try:
            for result in Evacuation(
                service.tools, turn, Order(args.origin, args.to, args.bytes_per_second, args.wait)
            ).run():
                progress.add(result)
        except errors.JobStopped:
            progress.end(database.places.count(args.origin), stopped=True)
            return STOPPED
        writing = sum(1 for _ in being_written_to(database, args.origin))
        return progress.end(database.places.count(args.origin), writing)
    finally:
        service.close()


class _Progress:
    """Lines for people on stderr, or JSON lines on stdout."""

    def __init__(self, args: argparse.Namespace, images: int) -> None:
        self._args = args
        self._images = images
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._told = time.monotonic()

    def add(self, result: MoveResult) -> None:
        self._counts[result.outcome.value] += 1
        self._bytes += result.bytes
        if self._args.json:
            print(
                json.dumps(
                    {
                        "image": result.image,
                        "outcome": result.outcome.value,
                        "to": result.to or None,
                        "bytes": result.bytes,
                        "why": result.why or None,
                    }
                ),
                flush=True,
            )
            return
        if result.outcome in (MoveOutcome.FAILED, MoveOutcome.BUSY):
            print(
                escaped(
                    f"image {result.image}:"
                    f" {'it is still worked on: ' if result.outcome is MoveOutcome.BUSY else ''}{result.why}"
                ),
                file=sys.stderr,
            )
        if time.monotonic() - self._told >= _PROGRESS:
            self._told = time.monotonic()
            print(
                f"{sum(self._counts.values())} of {self._images} images, {self._bytes >> 20} MiB copied,"
                f" {self._counts['failed']} failed",
                file=sys.stderr,
            )

    def end(self, left: int, writing: int = 0, *, stopped: bool = False) -> int:
        told = {
            "store": self._args.origin,
            "dry_run": self._args.dry_run,
            "stopped": stopped,
            **{x.value: self._counts[x.value] for x in MoveOutcome},
            "bytes": self._bytes,
            "left": left,
            "being_written": writing,
        }
        if self._args.json:
            print(json.dumps(told), flush=True)
        else:
            done, gone = (
                ("would be moved", "dropped for another copy")
                if self._args.dry_run
                else ("moved", "dropped for another good copy")
            )
            print(
                f"store {self._args.origin}: {self._counts['moved']} images {done} ({self._bytes} bytes),"
                f" {self._counts['dropped']} {gone}, {self._counts['failed']} failed, {self._counts['busy']} still"
                f" worked on; {left} images have data there{'; cut off' if stopped else ''}"
            )
        if self._args.dry_run:
            return LEFT if self._counts["failed"] or self._counts["busy"] else DONE
        return LEFT if left or writing else DONE


# -- remove ----------------------------------------------------------------------------------------
def _remove(args: argparse.Namespace, database: Database) -> int:
    record, draining, images = database.places.get(args.id), Draining(database), database.places.count(args.id)
    configured = args.id in args.conf.enabled_backends
    if images:
        first = "" if configured else "name it in [DEFAULT] enabled_backends again with its section, then "
        raise ConfigError(
            f"ID: {images} images need store {args.id}: {first}run: glance-manage store evacuate {args.id}; which ones:"
            f" glance-manage store status {args.id} --images"
        )
    if writing := sum(1 for _ in being_written_to(database, args.id)):
        raise ConfigError(
            f"ID: the data of {writing} images is being written to store {args.id}: run: glance-manage store drain"
            f" {args.id}, wait, and evacuate it"
        )
    if configured:
        raise ConfigError(
            f"ID: no image needs store {args.id}, and [DEFAULT] enabled_backends still names it: take it out on every"
            " node, reload (SIGHUP) or restart, then run this again"
        )
    if record is None and draining.since(args.id) is None:
        raise ConfigError(
            f"ID: nothing is recorded of a store {args.id!r}; there are:"
            f" {', '.join(x.store for x in database.places.all()) or 'none'}"
        )
    database.places.replace(args.id, record, None)
    draining.remove(args.id)
    _say(args, {"removed": args.id}, f"store {args.id} is removed; nothing needs its data")
    return 0


def add_actions(area: Any) -> None:
    status = area.add_parser(
        "status", help="stores as they are, and what lies there; exit 1 when one is down, or not configured and needed"
    )
    status.add_argument("id", metavar="ID", nargs="?", help="this store only")
    status.add_argument(
        "--images",
        action="store_true",
        help="also each of its images: only (no other good copy), lost, damaged, or copy",
    )
    status.set_defaults(run=_status)
    drain = area.add_parser(
        "drain", help="take no new data from now on, in every process; what is there is read and deleted"
    )
    undrain = area.add_parser("undrain", help="take new data again")
    remove = area.add_parser(
        "remove", help="forget a store that is taken out of service; refused while an image needs it"
    )
    for each, run in ((drain, _drain), (undrain, _undrain), (remove, _remove)):
        each.add_argument("id", metavar="ID", help="the store's id, as in enabled_backends")
        each.set_defaults(run=run)
    evacuate = area.add_parser(
        "evacuate",
        help="move the data of all images out of a draining store; exit 0 none is left, 1 some are, 3 cut off",
    )
    evacuate.add_argument("origin", metavar="FROM", help="the store that is emptied")
    evacuate.add_argument(
        "--to",
        metavar="ID",
        help=(
            "each image gets its copy there (default: where data goes for which no store is named, unless another "
            "store has a good copy)"
        ),
    )
    evacuate.add_argument("--dry-run", action="store_true", help="change nothing; count what would be done")
    evacuate.add_argument(
        "--bytes-per-second",
        metavar="N",
        type=arguments.count,
        default=0,
        help="bytes that are read in a second (default: as fast as it goes)",
    )
    evacuate.add_argument(
        "--wait",
        metavar="SECONDS",
        type=arguments.seconds,
        default=90.0,
        help="how long images are waited for that somebody works on (default: 90)",
    )
    evacuate.set_defaults(run=_evacuate)
