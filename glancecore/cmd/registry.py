"""glance-registry: the private metadata service, for API nodes that hold no database credentials."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.cmd import parsing, start
from glancecore.conf import review
from glancecore.conf.registry import PORT
from glancecore.domain.errors import ConfigError
from glancecore.server import checks, memory, settings, tls
from glancecore.server.judgement import Judgement

if TYPE_CHECKING:
    from glancecore.server.settings import Application

LOG = logging.getLogger(__name__)
PROG = "glance-registry"
_DESCRIPTION = """\
Serve the metadata of images to API nodes that hold no database credentials.

It reads glance-registry.conf: [database] driver and connection as in glance-api.conf, [registry] secrets, and the
server's options bind_host, bind_port (9191), cert_file, key_file, ca_file. API nodes have [database] driver = registry,
registry_urls and registry_secret. The schema is made here, by: glance-manage --config-file glance-registry.conf db sync
"""


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> None:
    words = sys.argv[1:]
    conf = _read(words)
    memory.keep_memory_small()
    settings.settings(conf)
    refuse_strangers(conf)
    tls.check(conf)
    checks.check_port(conf)
    with settings.shared_metrics():
        _build_once(conf)
        LOG.info("serving on %s port %s, database %s", conf.bind_host, conf.bind_port, conf.database.driver)
        memory.freeze_memory()
        settings.serve(conf, settings.Program(PROG, lambda: _read(words), lambda _: Judgement(PROG), _make_app))


def judge(words: list[str]) -> None:
    """As a start would, but for the sockets, which are bound. Raises what that would."""
    conf = _read(words)
    settings.settings(conf)
    refuse_strangers(conf)
    tls.check(conf)
    _build_once(conf)


def _read(words: list[str]) -> cfg.ConfigOpts:
    parser = parsing.parser(PROG, _DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    start.add_config_arguments(parser, PROG)
    conf = start.read_config(parser.parse_args(words), prog=PROG)
    conf.set_default("bind_port", PORT)
    return conf


def _build_once(conf: cfg.ConfigOpts) -> None:
    """Everything that can be wrong is found here, before a worker starts."""
    from glancecore.assembly.registry import build_registry

    service = build_registry(conf)
    service.database.ping()
    service.close()
    review.tell(conf)


def _make_app(conf: cfg.ConfigOpts) -> Application:
    from glancecore.assembly.registry import build_registry
    from glancecore.registry.app import lane_of

    service = build_registry(conf)
    return settings.Application(service.app, lane_of, service.close)


def refuse_strangers(conf: cfg.ConfigOpts) -> None:
    """Raises ConfigError when everybody on the network could read and change everything."""
    certificates = bool(conf.cert_file and conf.ca_file)
    if not conf.registry.secrets and not certificates:
        if checks.beyond_this_machine(conf):
            raise ConfigError(
                f"[registry] secrets: none is set, and bind_host = {conf.bind_host} would let everybody on the network"
                " read and change everything; set a secret (openssl rand -hex 32), or cert_file, key_file and ca_file"
                " so that each node shows a certificate, or bind to 127.0.0.1"
            )
        LOG.warning("no [registry] secrets and no ca_file: every user of this machine can read and change everything")
    elif not conf.cert_file and checks.beyond_this_machine(conf):
        LOG.warning(
            "bind_host = %s without cert_file: calls are proved by the secret, but can be read on the network",
            conf.bind_host,
        )
