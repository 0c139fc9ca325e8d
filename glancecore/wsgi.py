"""The plain WSGI application, for uWSGI, Apache and others: ``glancecore.wsgi:application``.

Configuration is found as by glance-api; ``OS_GLANCE_CONFIG_FILE`` names another file. Where the server can't prove the
end of a chunked body, such uploads are refused (411): see docs/deploying.md for the settings of each server.

Importing this module starts the service: those servers look ``application`` up in the module's dictionary, so it must
be there when the import has ended."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.conf import logs, review
from glancecore.domain.errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def make_application() -> WSGIApplication:
    """Build the service and start its background work. Raises ConfigError."""
    named = os.environ.get("OS_GLANCE_CONFIG_FILE")
    conf = configuration.new(files=[named] if named else None)
    logs.setup(conf)
    service = build(conf, serving=True)
    if service.open_to_all and not conf.allow_open_access:
        raise ConfigError(
            f"[DEFAULT] auth_strategy = {conf.auth_strategy} lets everybody who reaches the web server do everything; "
            "choose another auth_strategy, or set allow_open_access = true"
        )
    review.tell(conf)
    service.database.ping()
    service.start()
    if conf.periodic.embedded:
        service.start_jobs()
    atexit.register(service.close)  # running imports are handed over
    return service.app


application = make_application()
