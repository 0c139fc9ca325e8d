"""What operators look at: stores, periodic jobs, what happened lately, and what goes on. Nothing is changed here: a job
may be run, dry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Lease
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Param, Route
from glancecore.ports.overview import JobOverview, StoreOverview
from glancecore.sdk import request_body
from glancecore.sdk.responses import json_response
from glancecore_ext_console.evacuations import Evacuations
from glancecore_ext_console.events import EventQuery, Recorder, shown
from glancecore_ext_console.rules import RULES
from glancecore_ext_console.store_routes import EVACUATION
from glancecore_ext_console.trials import Trials

RULE = RULES[0].name
#: Images of which is said what is done with them; events of a page.
MOST_WORK, MOST_EVENTS = 200, 200
#: Leases that are looked at for it, and those of a page.
MOST_LEASES, _PAGE = 1000, 100
_WORKING = frozenset({Status.SAVING, Status.UPLOADING, Status.IMPORTING})
_ONE_OF = ("subject", "type", "project")
_TEXT, _WHOLE, _MAYBE = {"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}


def _rows(name: str, properties: Mapping[str, object], **more: object) -> Mapping[str, object]:
    row = {"type": "object", "required": list(properties), "properties": dict(properties)}
    return {"type": "object", "required": [name, *more], "properties": {name: {"type": "array", "items": row}, **more}}


STORES = _rows(
    "stores",
    {
        "id": _TEXT,
        "driver": _MAYBE,
        "state": {"type": "string", "enum": ["up", "down", "unused", "not configured"]},
        "why": _TEXT,
        "default": {"type": "boolean"},
        "writable": {"type": "boolean"},
        "draining_since": _MAYBE,
        "free": {"type": ["integer", "null"], "description": "Bytes; null: it does not say."},
        "images": {"type": "integer", "description": "That have data there."},
        "inventory": {
            "type": ["object", "null"],
            "description": "Of the last minute; null: it is being counted.",
            "required": ["at", "bytes", "only", "damaged", "lost"],
            "properties": {
                "at": _TEXT,
                "bytes": _WHOLE,
                "only": {"type": "integer", "description": "Images without a good copy elsewhere."},
                "damaged": _WHOLE,
                "lost": {"type": "integer", "description": "Images without any good copy."},
            },
        },
        "evacuation": {"anyOf": [EVACUATION, {"type": "null"}], "description": "What an operator has asked for last."},
    },
)
TRIAL = {
    "type": "object",
    "required": ["state", "by", "started_at", "ended_at", "report"],
    "properties": {
        "state": {"type": "string", "enum": ["running", "ended"]},
        "by": _MAYBE,
        "started_at": _TEXT,
        "ended_at": _MAYBE,
        "report": {
            "type": ["object", "null"],
            "description": "Of a run that has changed nothing; at most 200 findings.",
        },
    },
}
JOBS = _rows(
    "jobs",
    {
        "name": _TEXT,
        "summary": _TEXT,
        "interval": {"type": "number"},
        "dry_run": {"type": "boolean"},
        "of_machine": {"type": "boolean"},
        "started_at": _MAYBE,
        "ended_at": _MAYBE,
        "report": {
            "type": ["object", "null"],
            "description": "Of the last run that has ended: outcome, seconds, counts, findings, errors.",
        },
        "trial": {"anyOf": [TRIAL, {"type": "null"}], "description": "The dry run that an operator asked for last."},
    },
    leader=_MAYBE,
)
EVENTS = _rows(
    "events",
    {
        "id": _TEXT,
        "at": _TEXT,
        "type": _TEXT,
        "subject": _TEXT,
        "user": _MAYBE,
        "project": _MAYBE,
        "address": _MAYBE,
        "request_id": _MAYBE,
        "about": {"type": "object"},
    },
    next=_MAYBE,
)
WORK = _rows(
    "work",
    {
        "image_id": _TEXT,
        "name": _MAYBE,
        "owner": _MAYBE,
        "status": _TEXT,
        "since": _TEXT,
        "task_id": _MAYBE,
        "stores": {"type": "array", "items": _TEXT},
        "uploads": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "state", "offset", "length", "expires_at"],
                "properties": {
                    "id": _TEXT,
                    "state": _TEXT,
                    "offset": _WHOLE,
                    "length": {"type": ["integer", "null"]},
                    "expires_at": _TEXT,
                },
            },
        },
    },
    complete={"type": "boolean"},
)


class Operate:
    def __init__(self, kernel: Kernel, events: Recorder, trials: Trials, evacuations: Evacuations) -> None:
        self._kernel = kernel
        self._trials = trials
        self._evacuations = evacuations
        self._events = events

    def table(self) -> Sequence[Route]:
        events = (
            Param("limit", f"Events of a page, at most {MOST_EVENTS}.", schema=_WHOLE),
            Param("marker", "next of the page before."),
            Param("subject", "Of one image, by its id, or of another thing."),
            Param("type", "Of one type."),
            Param("project", "Made by somebody of that project."),
        )
        return [
            Route(
                "GET",
                "/v2/console/stores",
                self.stores,
                "Stores as they are",
                {200: STORES},
                tag="console",
                lane=Lane.TRANSFER,
            ),
            Route(
                "GET", "/v2/console/jobs", self.jobs, "Periodic jobs and their last reports", {200: JOBS}, tag="console"
            ),
            Route(
                "POST",
                "/v2/console/jobs/<job>/trial",
                self.trial,
                "Run a periodic job now, dry: what it would do",
                {202: TRIAL},
                tag="console",
            ),
            Route(
                "GET",
                "/v2/console/events",
                self.events,
                "What happened lately, the newest first",
                {200: EVENTS},
                params=events,
                tag="console",
            ),
            Route("GET", "/v2/console/work", self.work, "Uploads and imports that go on", {200: WORK}, tag="console"),
        ]

    def stores(self, _request: Request, ctx: Context) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        return json_response(
            {
                "stores": [
                    {**_store(x), "evacuation": self._evacuations.of(x.id)} for x in self._kernel.overview.stores()
                ]
            }
        )

    def jobs(self, _request: Request, ctx: Context) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        return json_response(
            {
                "leader": self._kernel.overview.leader(),
                "jobs": [{**_job(x), "trial": self._trials.of(x.name)} for x in self._kernel.overview.jobs()],
            }
        )

    def trial(self, request: Request, ctx: Context, job: str) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        request_body.forbid(request)
        return json_response(self._trials.begin(ctx, job), 202)

    def events(self, request: Request, ctx: Context) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        query = _event_query(request)
        found = self._events.find(query)
        return json_response(
            {"events": [shown(x) for x in found], "next": found[-1].id if len(found) == query.limit else None}
        )

    def work(self, _request: Request, ctx: Context) -> Response:
        self._kernel.policy.authorize(ctx, RULE)
        found: list[Image] = []
        after, looked, complete = "", 0, False
        while looked < MOST_LEASES and len(found) <= MOST_WORK and not complete:
            page = self._kernel.rows.leases(after, _PAGE)
            found += filter(None, map(self._worked_on, page))
            looked += len(page)
            complete = len(page) < _PAGE
            after = page[-1].image_id if page else after
        return json_response(
            {"work": [self._work(ctx, x) for x in found[:MOST_WORK]], "complete": complete and len(found) <= MOST_WORK}
        )

    def _worked_on(self, lease: Lease) -> Image | None:
        """The image that data comes into, if that is what the lease is for."""
        try:
            image = self._kernel.rows.get_any(lease.image_id)
        except errors.ImageNotFound:  # it is gone by now
            return None
        return image if image.status in _WORKING else None

    def _work(self, ctx: Context, image: Image) -> Mapping[str, object]:
        try:
            uploads = self._kernel.uploads.of_image(ctx, image.id)
        except errors.GlanceError:  # it is gone by now, or the policy says so
            uploads = ()
        marks = image.importing
        return {
            "image_id": image.id,
            "name": image.name,
            "owner": image.owner,
            "status": image.status.value,
            "since": _time(image.updated_at),
            "task_id": marks.task if marks else None,
            "stores": list(marks.stores_left) if marks else [],
            "uploads": [
                {
                    "id": x.id,
                    "state": x.state.value,
                    "offset": x.offset,
                    "length": x.length,
                    "expires_at": _time(x.expires_at),
                }
                for x in uploads
                if x.live
            ],
        }


def _event_query(request: Request) -> EventQuery:
    """Raises Invalid."""
    known = {"limit", "marker", *_ONE_OF}
    if unknown := sorted(request.args.keys() - known):
        raise errors.Invalid(f"{unknown[0][:80]}: no such parameter; there are {', '.join(sorted(known))}")
    given = {name: value for name in _ONE_OF if (value := request.args.get(name))}
    if len(given) > 1:
        raise errors.Invalid(f"{' and '.join(given)}: one of {', '.join(_ONE_OF)} may be given")
    limit = request.args.get("limit", "50")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 10 and 1 <= int(limit) <= MOST_EVENTS):
        raise errors.Invalid(f"limit: a whole number from 1 to {MOST_EVENTS}")
    for name, value in {**given, "marker": request.args.get("marker", "")}.items():
        if len(value) > 255:
            raise errors.Invalid(f"{name}: longer than 255 characters")
    return EventQuery(
        given.get("subject"), given.get("type"), given.get("project"), request.args.get("marker") or None, int(limit)
    )


def _store(store: StoreOverview) -> Mapping[str, object]:
    inventory = store.inventory
    return {
        **asdict(store),
        "draining_since": _maybe(store.draining_since),
        "inventory": None if inventory is None else {**asdict(inventory), "at": _time(inventory.at)},
    }


def _job(job: JobOverview) -> Mapping[str, object]:
    return {**asdict(job), "started_at": _maybe(job.started_at), "ended_at": _maybe(job.ended_at)}


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else _time(at)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
