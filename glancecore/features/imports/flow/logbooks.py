"""Where TaskFlow keeps how far each import is, as the operator has chosen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.domain.errors import ConfigError
from glancecore.features.imports.flow.logbook import LogbookDatabase, LogbookDocuments, Logbooks, LogbookTable
from glancecore.kernel.quiet_imports import quiet_taskflow, without_eventlet
from glancecore.ports.repository import Database

if TYPE_CHECKING:
    from glancecore.features.imports.flow.pipeline import Pipeline


def logbooks(conf: cfg.ConfigOpts, database: Database) -> Logbooks:
    """Raises ConfigError."""
    found = conf.imports.logbook or database.logbook
    if found is not None:
        return LogbookDatabase(str(found))
    if database.logbooks is not None:
        return LogbookDocuments(database.logbooks)
    if conf.enabled_import_methods:
        raise ConfigError("[imports] logbook: the database driver has no SQL database; give an SQLAlchemy URL")
    return LogbookDatabase("sqlite://")


def prepare_logbook(conf: cfg.ConfigOpts, database: Database) -> None:
    """Make TaskFlow's tables, so that the service itself need not be allowed to. Raises ConfigError, DatabaseUnavailable."""
    if not conf.enabled_import_methods:
        return
    books = logbooks(conf, database)
    try:
        make_pipeline(books).prepare()
        if isinstance(books, LogbookDatabase):
            LogbookTable(books).prepare()  # for nodes that reach the database through glance-registry
    finally:
        books.close()


def make_pipeline(books: Logbooks) -> Pipeline:
    """TaskFlow is imported with the first import only."""
    quiet_taskflow()
    with without_eventlet():
        from glancecore.features.imports.flow.pipeline import Pipeline

    return Pipeline(books)
