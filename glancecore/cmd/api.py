"""glance-api: serve the Image API."""

from __future__ import annotations

import argparse
import atexit
import logging
import sys
from typing import TYPE_CHECKING

from glancecore import server
from glancecore.cmd import start

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

LOG = logging.getLogger(__name__)


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="glance-api", description="Serve the Image API.")
    start.add_config_arguments(parser)
    conf = start.read_config(parser.parse_args())
    server.keep_memory_small()
    server.settings(conf)
    server.check_port(conf)
    with server.shared_metrics():
        from glancecore import bootstrap

        checked = bootstrap.build(conf)  # everything that can be wrong is found here, before a worker starts
        server.refuse_open_access(conf, open_to_all=checked.open_to_all)
        checked.database.ping()
        checked.close()
        start.warn_unknown(conf)

        def make_app() -> WSGIApplication:
            service = bootstrap.build(conf, again=True, serving=True)
            service.start()
            if conf.periodic.embedded:
                service.start_jobs()
            atexit.register(service.close)  # running imports are handed over
            return service.app

        LOG.info("serving on %s port %s, stores %s", conf.bind_host, conf.bind_port, ", ".join(checked.stores.ids))
        del checked
        server.freeze_memory()
        server.serve(conf, make_app)
