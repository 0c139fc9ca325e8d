"""Writes events to the log: one line each, for people and for log shippers."""

from __future__ import annotations

import logging

from glancecore.domain.events import ExtensionEvent, ImageEvent, ImageSent, MemberEvent, MetadefEvent, TaskEvent
from glancecore.ports.notifier import Notification, Notifier

LOG = logging.getLogger("glancecore.events")


class LogNotifier(Notifier):
    immediate = True  # the log's lines name the request that they belong to

    def notify(self, notification: Notification) -> None:
        event = notification.event
        if isinstance(event, ImageEvent):
            LOG.info(
                "%s id=%s status=%s owner=%s",
                event.type.value,
                event.image.id,
                event.image.status.value,
                event.image.owner,
            )
        elif isinstance(event, MemberEvent):
            LOG.info(
                "%s id=%s member=%s status=%s",
                event.type.value,
                event.member.image_id,
                event.member.member,
                event.member.status.value,
            )
        elif isinstance(event, ImageSent):
            LOG.info("%s id=%s bytes=%d", event.type.value, event.image.id, event.bytes_sent)
        elif isinstance(event, TaskEvent):
            LOG.info(
                "%s id=%s image=%s status=%s",
                event.type.value,
                event.task.id,
                event.task.image_id,
                event.task.status.value,
            )
        elif isinstance(event, ExtensionEvent):
            LOG.info("%s subject=%s", event.type.value, event.subject)
        elif isinstance(event, MetadefEvent):
            LOG.info(
                "%s namespace=%s name=%s",
                event.type.value,
                event.namespace.name,
                event.part.name if event.part else "-",
            )
