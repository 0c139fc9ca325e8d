"""The private metadata service, from the operator's configuration."""

from __future__ import annotations

from dataclasses import dataclass

from oslo_config import cfg

from glancecore.assembly.kernel import load_database
from glancecore.assembly.web import metrics_registry
from glancecore.domain.errors import ConfigError
from glancecore.ports.repository import Database
from glancecore.registry.app import RegistryApp, RegistrySettings
from glancecore.registry.probes import Probes

#: Characters of a secret between nodes.
SHORTEST_SECRET = 16


@dataclass(slots=True)
class RegistryService:
    """A running metadata service without its HTTP server."""

    app: RegistryApp
    database: Database

    def close(self) -> None:
        self.database.close()


def build_registry(conf: cfg.ConfigOpts, database: Database | None = None) -> RegistryService:
    """The metadata service on the configured database. Raises ConfigError."""
    if database is None and conf.database.driver == "registry":
        raise ConfigError(
            "[database] driver = registry: glance-registry itself needs a database; give it driver = sql and a"
            " connection"
        )
    for secret in conf.registry.secrets:
        if len(secret) < SHORTEST_SECRET:
            raise ConfigError(
                f"[registry] secrets: one has {len(secret)} characters; take at least {SHORTEST_SECRET}, such as the"
                " output of: openssl rand -hex 32"
            )
    database = database or load_database(conf)
    probes = Probes(
        database,
        metrics_registry(),
        conf.healthcheck.ready_cache_seconds,
        conf.metrics.allowed_networks if conf.metrics.enabled else None,
    )
    return RegistryService(
        RegistryApp(database, RegistrySettings(conf.registry.secrets, conf.registry.max_body), probes), database
    )
