"""glance-manage outbox: see what waits for the receivers of events, have it tried now, or remove it."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta

from glancecore.cmd import arguments
from glancecore.domain.errors import Invalid
from glancecore.ports.outbox_repository import Backlog, Delivery
from glancecore.ports.repository import Database


def _list(args: argparse.Namespace, database: Database) -> int:
    now = datetime.now(UTC)
    waiting = [x for x in database.outbox.waiting() if args.destination in (None, x.destination)]
    deliveries = database.outbox.find(args.destination, args.limit)
    if args.json:
        print(json.dumps({"waiting": [_counted(x, now) for x in waiting], "events": [_told(x) for x in deliveries]}))
        return 0
    for x in waiting:
        age = timedelta(seconds=int((now - x.oldest).total_seconds()))
        print(f"{x.destination}: {x.count} waiting, {x.failed} tried in vain, the oldest for {age}")
    for delivery in deliveries:
        event, why = delivery.event, "being delivered" if delivery.token else delivery.error or "not tried yet"
        print(
            f"  {event.at:%Y-%m-%dT%H:%M:%SZ} {event.destination} {event.type} {event.subject} {event.id}"
            f" attempts={delivery.attempts}: {why}"
        )
    if not waiting:
        print("nothing waits")
    return 0


def _counted(waiting: Backlog, now: datetime) -> dict[str, object]:
    return {
        "destination": waiting.destination,
        "count": waiting.count,
        "failed": waiting.failed,
        "oldest": waiting.oldest.isoformat(),
        "oldest_seconds": int((now - waiting.oldest).total_seconds()),
    }


def _told(delivery: Delivery) -> dict[str, object]:
    event = delivery.event
    return {
        "id": event.id,
        "destination": event.destination,
        "type": event.type,
        "subject": event.subject,
        "at": event.at.isoformat(),
        "attempts": delivery.attempts,
        "error": delivery.error,
        "being_delivered": delivery.token is not None,
        "data": dict(event.data),
    }


def _retry(args: argparse.Namespace, database: Database) -> int:
    count = database.outbox.retry(args.destination)
    print(json.dumps({"due": count}) if args.json else f"{count} events wait no longer for their next attempt")
    return 0


def _purge(args: argparse.Namespace, database: Database) -> int:
    if (args.destination is None) is not args.all:
        raise Invalid("outbox purge: name one --destination, or say --all")
    before = datetime.now(UTC) - timedelta(days=args.age_in_days)
    count = 0
    while removed := database.outbox.forget(before, args.destination):
        count += len(removed)
    print(json.dumps({"removed": count}) if args.json else f"{count} events removed; nobody will be told of them")
    return 0


def add_area(areas: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    area = areas.add_parser("outbox", help="events that wait for their receivers").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    show = area.add_parser("list", help="how many wait for whom and for how long, and the first of them")
    show.add_argument(
        "--limit", type=arguments.count, default=20, metavar="N", help="show so many events (default: 20)"
    )
    show.set_defaults(run=_list)
    retry = area.add_parser("retry", help="let events that wait for their next attempt be tried now")
    retry.set_defaults(run=_retry)
    purge = area.add_parser("purge", help="remove events that have not been delivered, for good")
    purge.add_argument("--all", action="store_true", help="of all destinations")
    purge.add_argument(
        "--age_in_days",
        "--age-in-days",
        type=arguments.days,
        default=0,
        metavar="DAYS",
        help="only those older than that (default: all)",
    )
    purge.set_defaults(run=_purge)
    for each in (show, retry, purge):
        each.add_argument("--destination", metavar="NAME", help="only what waits for this one, such as webhook:audit")
