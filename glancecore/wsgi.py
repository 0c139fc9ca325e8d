"""The plain WSGI application, for uWSGI, Apache and others: ``glancecore.wsgi:application``.

Configuration is found as by glance-api; ``OS_GLANCE_CONFIG_FILE`` names another file. Where the server can't prove the end
of a chunked body, such uploads are refused (411): see docs/deploying.md for the settings of each server.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from oslo_log import log

from glancecore import bootstrap
from glancecore import conf as configuration
from glancecore.domain.errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Application:
    """Built by the first request, so that importing this module starts nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: WSGIApplication | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._app is None:
            with self._lock:
                self._app = self._app or make_application()
        return self._app(environ, start_response)


def make_application() -> WSGIApplication:
    """Build the service and start its background work. Raises ConfigError."""
    named = os.environ.get("OS_GLANCE_CONFIG_FILE")
    conf = configuration.new(files=[named] if named else None)
    log.setup(conf, "glance")
    service = bootstrap.build(conf)
    if service.open_to_all and not conf.allow_open_access:
        raise ConfigError("[DEFAULT] auth_strategy = none: under a foreign server this can't be kept to loopback; choose another "
                          "auth_strategy, or set allow_open_access = true")
    service.database.ping()
    service.reaper.start()
    return service.app


application = Application()
