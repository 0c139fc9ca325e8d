"""Events as CloudEvents over HTTP, through the outbox."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from oslo_config import cfg

from glancecore.domain.errors import ConfigError
from glancecore.ports.notifier import Destination, DurableNotifier
from glancecore.ports.options import Section
from glancecore.sdk import event_types
from glancecore_notify_webhook import signing
from glancecore_notify_webhook.endpoint import Endpoint, EndpointSettings
from glancecore_notify_webhook.options import ENDPOINT_OPTIONS, OPTIONS

LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NEW_SECRET = "make one with: echo whsec_$(openssl rand -base64 32)"  # noqa: S105 (how to make one)


class WebhookNotifier(DurableNotifier):
    """To each endpoint what it wants, in order for each image, until it has taken it."""

    plugin_api = "1.0"
    options = OPTIONS

    def destinations(self) -> Sequence[Destination]:
        names = self.conf.endpoints
        if not names:
            raise ConfigError(
                "[notify_webhook] endpoints: name at least one receiver, or remove webhook from [DEFAULT] notifiers"
            )
        if len(set(names)) < len(names):
            raise ConfigError("[notify_webhook] endpoints: a name stands there twice")
        if not self.conf.source.strip():
            raise ConfigError("[notify_webhook] source: it can't be empty; take a URI such as /image")
        return [Endpoint(self._settings(x)) for x in names]

    def _settings(self, name: str) -> EndpointSettings:
        group = f"webhook_{name}"
        if not _NAME.fullmatch(name):
            raise ConfigError(f"[notify_webhook] endpoints: {name!r} is no name; take at most 64 of a-z, 0-9, _ and -")
        self.config.register_group(cfg.OptGroup(group))
        self.config.register_opts(ENDPOINT_OPTIONS, group=group)
        section: Section = self.config[group]
        url = _url(group, section.url)
        event_types.check(f"[{group}] events", section.events)
        if not section.secrets:
            LOG.warning("[%s] secrets: not set, so the receiver can't tell who sends; %s", group, _NEW_SECRET)
        for header in ("authorization",):
            if (value := section[header]) and not (value.isascii() and value.isprintable()):
                raise ConfigError(
                    f"[{group}] {header}: only printable ASCII can be sent in a header; take the other characters out"
                )
        return EndpointSettings(
            name,
            url,
            self.conf.source,
            self.conf.type_prefix,
            tuple(section.events),
            tuple(_key(group, x) for x in section.secrets),
            section.mode == "binary",
            section.timeout,
            section.authorization,
            _tls(group, section) if url.scheme == "https" else None,
        )


def _url(group: str, text: str | None) -> SplitResult:
    """Messages never show it: it may have a token in it."""

    def refused(why: str) -> NoReturn:
        raise ConfigError(f"[{group}] url: {why}; write it as https://receiver.example.org/events")

    if not text:
        refused("not set")
    if not text.isascii() or not text.isprintable() or " " in text:
        refused("only printable ASCII without blanks can stand there")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as exc:
        refused(str(exc) if "ort" in str(exc) else "it is no URL")
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        refused("it is no http or https URL")
    if "@" in url.netloc:
        refused("a user or a password can't stand in it (use the option authorization)")
    return url


def _key(group: str, secret: str) -> bytes:
    try:
        return signing.key(secret)
    except ValueError as exc:
        raise ConfigError(f"[{group}] secrets: one of them can't be used: {exc}; {_NEW_SECRET}") from None


def _tls(group: str, section: Section) -> ssl.SSLContext:
    if section.key_file and not section.cert_file:
        raise ConfigError(f"[{group}] key_file: cert_file is not set; set both, or none")
    for option in ("ca_file", "cert_file", "key_file"):
        if section[option] and not Path(section[option]).is_file():
            raise ConfigError(
                f"[{group}] {option} = {section[option]}: no such file; name one that the service may read"
            )
    try:
        made = ssl.create_default_context(cafile=section.ca_file)
    except OSError as exc:
        raise ConfigError(
            f"[{group}] ca_file = {section.ca_file}: it has no certificates that can be read ({exc}); give certificates"
            " as PEM"
        ) from exc
    if section.cert_file:
        try:
            made.load_cert_chain(section.cert_file, section.key_file, password="")
        except OSError as exc:
            raise ConfigError(
                f"[{group}] cert_file = {section.cert_file}: it can't be used with its key ({exc}); give a certificate"
                " and its own key as PEM"
            ) from exc
    return made
