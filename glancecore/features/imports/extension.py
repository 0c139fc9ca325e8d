"""Imports as a capability: in this process, in one of its own, or by workers behind a job board."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.domain.errors import ConfigError
from glancecore.domain.lease import Operation
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.imports.dispatch.boards import load_board
from glancecore.features.imports.dispatch.job_dispatcher import JobDispatcher
from glancecore.features.imports.dispatch.process import ImportProcess
from glancecore.features.imports.dispatch.runner import ImportRunner
from glancecore.features.imports.flow.logbook import Logbooks
from glancecore.features.imports.import_services import ImportServices, ImportSettings
from glancecore.features.imports.kept_secrets import KeptSecrets
from glancecore.features.imports.options import STAGING
from glancecore.features.imports.staging import Staging
from glancecore.features.imports.steps import load_steps
from glancecore.features.imports.use_cases import Imports
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.kernel.own_command import own_command
from glancecore.kernel.quiet_imports import quiet_taskflow, without_eventlet
from glancecore.kernel.transfer.signatures import Signatures
from glancecore.kernel.transfer.staged_data import StagedData
from glancecore.ports.http import Route
from glancecore.ports.import_method import ImportMethod, Source

if TYPE_CHECKING:
    from glancecore.features.imports.flow.pipeline import Pipeline


class ImportsExtension(CoreExtension):
    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        conf, images = kernel.conf, kernel.of(ImagesExtension)
        self.methods: dict[str, ImportMethod] = kernel.plugins.every("import_method")
        steps = load_steps(conf, kernel.plugins)
        _refuse_bare_tokens(conf, self.methods, kernel.signatures)
        staged_data = StagedData(
            kernel.stores,
            kernel.data_settings,
            defer_verdict=any(x.changes_data and x.takes_anything for x in steps.values()),
        )
        services = ImportServices(
            kernel.database,
            kernel.stores,
            staged_data,
            kernel.operations,
            kernel.quota,
            self.methods,
            steps,
            kernel.signatures,
            KeptSecrets(conf.imports.token_keys),
            _settings(conf, images),
        )
        #: Runs imports in this process.
        self.runner = ImportRunner(services, Logbooks(kernel.database), _make_pipeline)
        #: What hands imports to others, when there are methods: the operator's job board, or else a process of their
        #: own.
        self.board = load_board(conf) if self.methods else None
        self.process = (
            ImportProcess(own_command(conf, "glancecore.cmd.import_process"))
            if (kernel.startup.serving and self.methods and not self.board and conf.imports.own_process)
            else None
        )
        jobs = self.board or self.process
        executor = JobDispatcher(self.runner, jobs, services) if jobs else self.runner
        self.staging = Staging(kernel.database.images, kernel.policy, kernel.quota, staged_data, kernel.operations)
        self.use_cases = Imports(services, kernel.policy, executor, images.use_cases, kernel.lookups)
        kernel.on.abandoned(Operation.IMPORT, executor.resume)
        kernel.on.every_pass(self.runner.tidy)
        kernel.hooks.import_methods = tuple(self.methods)
        kernel.hooks.staged_data = staged_data if "glance-direct" in self.methods else None
        kernel.hooks.copy_image = self.use_cases.copy

    def routes(self) -> Iterable[Route]:
        from glancecore.features.imports import routes
        from glancecore.features.imports.api import ImportsApi

        return routes.routes(
            ImportsApi(
                self.staging,
                self.use_cases,
                self.kernel.conf.max_json_body,
                {name: x.schema for name, x in self.methods.items()},
            )
        )

    def stop(self) -> None:
        self.runner.stop()
        if self.process:
            self.process.close()
        if self.board:
            self.board.close()


def _refuse_bare_tokens(conf: cfg.ConfigOpts, methods: Mapping[str, ImportMethod], signatures: Signatures) -> None:
    """Raises ConfigError when imports would keep callers' tokens and nothing seals them."""
    keeping = [f"{name} ([DEFAULT] enabled_import_methods)" for name, x in methods.items() if x.wants_token]
    if signatures.wants_token and any(x.source is not Source.COPIES for x in methods.values()):
        keeping.append(f"{conf.certificate_source} ([DEFAULT] certificate_source), for imports of signed images,")
    if keeping and not conf.imports.token_keys:
        raise ConfigError(
            f"[imports] token_keys: none is set, and {keeping[0]} acts with callers' tokens, which tasks keep until an"
            " import ends; set a key, the same on each node, such as the output of: openssl rand -base64 32 | tr '+/'"
            " '-_'"
        )


def _settings(conf: cfg.ConfigOpts, images: ImagesExtension) -> ImportSettings:
    imports = conf.imports
    work_dir = imports.work_dir
    if work_dir is None and conf.enabled_import_methods and conf.staging_driver == "file":
        work_dir = f"{conf[STAGING].filesystem_store_datadir}/.work"  # the file store looks at files only
    if work_dir is None:
        work_dir = f"{tempfile.gettempdir()}/glance-imports-{os.getuid()}"
    return ImportSettings(
        imports.workers,
        imports.workers_per_project,
        imports.max_parallel_stores,
        imports.attempts,
        imports.retry_pause,
        timedelta(seconds=imports.keep_for),
        min_rate=imports.min_fetch_rate,
        rate_window=imports.fetch_rate_window,
        fetch_timeout=imports.fetch_timeout,
        takeovers=imports.max_takeovers,
        niceness=imports.niceness,
        work_dir=Path(work_dir),
        metadata=images.limits,
        check_formats=images.formats.check,
    )


def _make_pipeline(logbooks: Logbooks) -> Pipeline:
    """TaskFlow is imported with the first import only."""
    quiet_taskflow()
    with without_eventlet():
        from glancecore.features.imports.flow.pipeline import Pipeline

    return Pipeline(logbooks)
