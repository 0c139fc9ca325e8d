"""One receiver: which events it gets, as what, and what its answers mean."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult

from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from glancecore.domain.context import Initiator
from glancecore.ports.notifier import Destination, NotDelivered
from glancecore.ports.outbox_repository import OutboxEvent
from glancecore.sdk import event_types, tracing
from glancecore_notify_webhook import signing
from glancecore_notify_webhook.posting import Poster, Unanswered

#: Answers that are not about this event: the receiver is busy, or only its proxy is there.
_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_GONE = 410
#: Seconds until a receiver that is gone for good is asked again, and the most that one may ask us to wait.
GONE_PAUSE, LONGEST_WISH = 600.0, 3600.0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """``events``: types, or what they begin with; none: all. ``keys``: each signs."""

    name: str
    url: SplitResult
    source: str
    type_prefix: str
    events: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    binary: bool = False
    timeout: float = 10.0
    authorization: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None


class Endpoint(Destination):
    def __init__(self, settings: EndpointSettings) -> None:
        self.name = f"webhook:{settings.name}"
        self.timeout = settings.timeout
        self._settings = settings
        self._poster = Poster(settings.url, settings.timeout, settings.tls)

    def wants(self, event_type: str) -> bool:
        return not self._settings.events or any(event_types.matches(x, event_type) for x in self._settings.events)

    def deliver(self, event: OutboxEvent) -> None:
        message = self._message(event)
        headers = {
            "User-Agent": "glancecore",
            **message.headers,
            **tracing.carrier(),
            **signing.headers(event.id, int(time.time()), message.body, self._settings.keys),
        }
        if self._settings.authorization:
            headers["Authorization"] = self._settings.authorization
        try:
            answer = self._poster.post(message.body, headers)
        except Unanswered as exc:
            raise NotDelivered(str(exc), unreachable=True) from exc
        if 200 <= answer.status < 300:
            return
        said = f"it answered {answer.status} {answer.reason}".rstrip()
        if answer.status == _GONE:
            raise NotDelivered(
                f"{said}: it is gone for good; remove it from [notify_webhook] endpoints",
                unreachable=True,
                retry_after=GONE_PAUSE,
            )
        if answer.status in _BUSY:
            raise NotDelivered(said, unreachable=True, retry_after=_seconds(answer.retry_after))
        if 300 <= answer.status < 400:
            said += ": redirects are not followed; give the URL that it leads to"
        raise NotDelivered(said)

    def close(self) -> None:
        self._poster.close()

    def _message(self, event: OutboxEvent) -> HTTPMessage:
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": event.id,
            "source": self._settings.source,
            "type": f"{self._settings.type_prefix}{event.type}",
            "time": event.at,
            "datacontenttype": "application/json",
            **({"subject": event.subject} if event.subject else {}),
            **_who(event.initiator),
            **_traced(event),
        }
        made = CloudEvent(attributes, dict(event.data))
        return to_binary_event(made) if self._settings.binary else to_structured_event(made)


def _who(initiator: Initiator | None) -> dict[str, str]:
    """CloudEvents' Authentication Context extension, and what it has no words for."""
    if initiator is None:
        return {"authtype": "system"}
    known = {
        "authid": initiator.user,
        "projectid": initiator.project,
        "requestid": initiator.request_id,
        "clientaddress": initiator.address,
        "roles": ",".join(initiator.roles) or None,
        "request": initiator.request,
    }
    return {
        "authtype": "user" if initiator.user else "unknown",
        **{name: value for name, value in known.items() if value is not None},
    }


def _traced(event: OutboxEvent) -> dict[str, str]:
    """CloudEvents' Distributed Tracing extension: what it happened in; the header of the same name is of its
    delivery."""
    return {} if event.traceparent is None else {"traceparent": event.traceparent}


def _seconds(wish: str) -> float | None:
    """A Retry-After: seconds, or a date. None when it is neither."""
    try:
        found = float(int(wish))
    except ValueError:
        try:
            at = parsedate_to_datetime(wish)
        except ValueError:
            return None
        found = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(max(found, 0.0), LONGEST_WISH)
