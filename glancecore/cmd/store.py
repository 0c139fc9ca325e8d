"""glance-manage store: where the data of each store is expected, where it is, and what to do when it was moved."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

from oslo_config import cfg

from glancecore.assembly.loader import faults
from glancecore.assembly.stores import make_store
from glancecore.cmd import store_service
from glancecore.domain.errors import ConfigError, GlanceError, for_operators
from glancecore.kernel.transfer.places import Places, SeenPlace, survey
from glancecore.ports.place_repository import Place
from glancecore.ports.repository import Database
from glancecore.ports.store import Cap, Store


@dataclass(frozen=True, slots=True)
class StoreState:
    """``state``: used, unused, wrong, not configured, or without markers; ``why`` it is wrong. ``images``: how many
    have data in it."""

    id: str
    driver: str
    state: str
    why: str
    images: int
    expected: tuple[Place, ...]
    found: tuple[SeenPlace, ...]


def _state(conf: cfg.ConfigOpts, database: Database, store_id: str) -> StoreState:
    """Nothing is made or marked."""
    record, images = database.places.get(store_id), database.places.count(store_id)
    expected = record.places if record else ()
    driver = conf.enabled_backends.get(store_id)
    if driver is None:
        return StoreState(
            store_id, "", "not configured", "[DEFAULT] enabled_backends does not name it", images, expected, ()
        )
    found: tuple[SeenPlace, ...] = ()
    try:
        store = make_store(conf, store_id, driver)
        try:
            with faults("store", driver):
                store.start()
                found = tuple(survey(store)) if Cap.MARK in store.caps else ()
                Places(database.places).compare(store)
            state = "without markers" if Cap.MARK not in store.caps else "used" if record else "unused"
        finally:
            store.close()
    except GlanceError as exc:
        return StoreState(store_id, driver, "wrong", for_operators(exc), images, expected, found)
    return StoreState(store_id, driver, state, "", images, expected, found)


def _list(args: argparse.Namespace, database: Database) -> int:
    recorded = [x.store for x in database.places.all()]
    ids = list(dict.fromkeys([*args.conf.enabled_backends, *recorded, *database.places.needed()]))
    states = [_state(args.conf, database, x) for x in ids]
    if args.json:
        print(json.dumps([asdict(x) for x in states], indent=1))
    else:
        for state in states:
            print(
                f"{state.id}: {state.state}, images {state.images}, places"
                f" {len(state.expected)}{f': {state.why}' if state.why else ''}"
            )
    return 1 if any(_faulty(x) for x in states) else 0


def _show(args: argparse.Namespace, database: Database) -> int:
    state = _state(args.conf, database, args.id)
    if state.state == "not configured" and not state.images and not state.expected:
        raise ConfigError(f"ID: no store {args.id!r}; there are: {', '.join(args.conf.enabled_backends)}")
    if args.json:
        print(json.dumps(asdict(state), indent=1))
        return 1 if _faulty(state) else 0
    print(f"{state.id}: {state.state}{f': {state.why}' if state.why else ''}")
    print(f"driver: {state.driver or '-'}\nimages: {state.images}")
    for place in state.expected:
        print(f"expected: place {place.id}{''.join(f' {x}' for x in place.addresses)}")
    for seen in state.found:
        print(
            f"found: {seen.where}:"
            f" {f'place {seen.marker.place}, first used as store {seen.marker.store}' if seen.marker else 'no marker'}"
        )
    return 1 if _faulty(state) else 0


def _faulty(state: StoreState) -> bool:
    return state.state == "wrong" or (state.state == "not configured" and state.images > 0)


def _adopt(args: argparse.Namespace, database: Database) -> int:
    store = _started(args.conf, args.id)
    try:
        record = Places(database.places).adopt(store, former=args.formerly, force=args.force)
    finally:
        store.close()
    told = [asdict(x) for x in record.places]
    print(
        json.dumps(told)
        if args.json
        else "\n".join(
            f"store {args.id}: place {x.id}{''.join(f' {y}' for y in x.addresses)} is expected from now on"
            for x in record.places
        )
    )
    return 0


def _started(conf: cfg.ConfigOpts, store_id: str) -> Store:
    """Raises ConfigError, StoreError, PluginBroken."""
    driver = conf.enabled_backends.get(store_id)
    if driver is None:
        raise ConfigError(
            f"ID: no store {store_id!r} among those of [DEFAULT] enabled_backends; give one of"
            f" {', '.join(conf.enabled_backends)}"
        )
    store = make_store(conf, store_id, driver)
    with faults("store", driver):
        store.start()
    if Cap.MARK not in store.caps:
        store.close()
        raise ConfigError(f"ID: store {store_id} keeps no markers; there is nothing to adopt")
    return store


def _forget(args: argparse.Namespace, database: Database) -> int:
    if args.id in args.conf.enabled_backends:
        raise ConfigError(
            f"ID: [DEFAULT] enabled_backends names {args.id}: take it out first; when its data was moved, run:"
            f" glance-manage store adopt {args.id}"
        )
    record, images = database.places.get(args.id), database.places.count(args.id)
    if record is None:
        raise ConfigError(
            f"ID: nothing is recorded of a store {args.id!r}; there are:"
            f" {', '.join(x.store for x in database.places.all()) or 'none'}"
        )
    database.places.replace(args.id, record, None)
    left = f"; images that have data there: {images}; none of it can be read or deleted" if images else ""
    print(json.dumps({"forgotten": args.id, "images": images}) if args.json else f"store {args.id} is forgotten{left}")
    return 0


def add_area(areas: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    area: Any = areas.add_parser("store", help="where the data of stores is expected").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    area.add_parser(
        "list",
        help="all stores: those configured, used before, or needed by images; exit 1 when one is not as it should be",
    ).set_defaults(run=_list)
    show = area.add_parser("show", help="one store: the places that are expected, and what was found")
    adopt = area.add_parser("adopt", help="expect the store's data where it is now, after it was moved on purpose")
    adopt.add_argument(
        "--force", action="store_true", help="also when none of the data that images have in the store is found there"
    )
    adopt.add_argument(
        "--formerly",
        action="append",
        default=[],
        metavar="ADDRESS",
        help=(
            "locations that begin so lead to its data, too, such as file:///old/folder, where a folder was moved before"
            " its marker was made; may be given several times"
        ),
    )
    forget = area.add_parser("forget", help="expect nothing of a store that is gone")
    for each, run in ((show, _show), (adopt, _adopt), (forget, _forget)):
        each.add_argument("id", metavar="ID", help="the store's id, as in enabled_backends")
        each.set_defaults(run=run)
    store_service.add_actions(area)
