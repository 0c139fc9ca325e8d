"""Events in the DMTF's CADF, which audit tools of clouds read (DSP0262; pyCADF's words)."""

from __future__ import annotations

import uuid
import warnings

from pycadf import attachment, cadftaxonomy, cadftype, event, host, resource

from glancecore.domain.event_payload import payload, subject
from glancecore.domain.events import EventName, EventType, ImageEvent, ImageSent, MemberEvent, TaskEvent
from glancecore.ports.notifier import Notification

_ACTIONS = {
    "create": cadftaxonomy.ACTION_CREATE,
    "update": cadftaxonomy.ACTION_UPDATE,
    "delete": cadftaxonomy.ACTION_DELETE,
    "send": "send",
    "prepare": "update/prepare",
    "upload": "update/upload",
    "activate": "enable",
    "run": "start",
    "processing": "start",
    "success": "stop",
    "failure": "stop",
}
_SERVICE = "service/storage/image"
_ACCOUNT = "service/security/account/user"
_TARGETS = {
    ImageEvent: "service/storage/image/image",
    ImageSent: "service/storage/image/image",
    MemberEvent: "service/storage/image/member",
    TaskEvent: "service/storage/image/task",
}


def cadf(notification: Notification, observer: str) -> dict[str, object]:
    """The event; ``observer`` names this service. The payload that consumers of notifications know is its
    attachment."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Invalid uuid")  # ids of users are Keystone's, whatever they look like
        found: dict[str, object] = _event(notification, observer).as_dict()
    if (
        who := notification.initiator
    ) is not None:  # words that pyCADF has no attributes for, as Keystone's notifications have them
        found["initiator"] |= {
            x: y
            for x, y in (("project_id", who.project), ("request_id", who.request_id), ("roles", list(who.roles)))
            if y
        }  # type: ignore[operator]
        if who.request:
            found["requestPath"] = who.request.partition(" ")[2]
    return found


def _event(notification: Notification, observer: str) -> event.Event:
    told, who, service = (
        notification.event,
        notification.initiator,
        resource.Resource(typeURI=_SERVICE, id=observer, name=observer),
    )
    account = (
        service
        if who is None
        else resource.Resource(
            typeURI=_ACCOUNT,
            id=who.user or cadftaxonomy.UNKNOWN,
            host=host.Host(address=who.address) if who.address else None,
        )
    )
    made = event.Event(
        eventType=cadftype.EVENTTYPE_ACTIVITY,
        id=str(uuid.uuid4()),
        eventTime=notification.at.isoformat(),
        action=_action(told.type),
        outcome=cadftaxonomy.OUTCOME_FAILURE if told.type is EventType.TASK_FAILURE else cadftaxonomy.OUTCOME_SUCCESS,
        initiator=account,
        target=resource.Resource(typeURI=_TARGETS.get(type(told), "service/storage/image/metadef"), id=subject(told)),
        observer=service,
    )
    made.add_attachment(
        attachment.Attachment(
            typeURI="mime:application/json", content=payload(told, notification.at), name=told.type.value
        )
    )
    return made


def _action(told: EventType | EventName) -> str:
    word = told.value.rpartition(".")[2]
    # an extension's words are not in the standard's list, whose words they may go on from
    return str(_ACTIONS.get("delete" if word.startswith("delete_") else word, f"update/{word}"))
