"""The plain WSGI application, for uWSGI, Apache and others: ``glancecore.wsgi:application``.

Configuration is found as by glance-api; ``OS_GLANCE_CONFIG_FILE`` names another file. Where the server can't prove the end
of a chunked body, such uploads are refused (411): see docs/deploying.md for the settings of each server.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oslo_log import log

from glancecore import bootstrap
from glancecore import conf as configuration

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def make_application() -> WSGIApplication:
    """Build the service and start its background work. Raises ConfigError."""
    named = os.environ.get("OS_GLANCE_CONFIG_FILE")
    conf = configuration.new(files=[named] if named else None)
    log.setup(conf, "glance")
    service = bootstrap.build(conf)
    service.database.ping()
    service.reaper.start()
    return service.app


def __getattr__(name: str) -> WSGIApplication:
    """``application`` is made when the server asks for it, not when this module is imported."""
    if name == "application":
        globals()[name] = found = make_application()
        return found
    raise AttributeError(name)
