"""The application that serves requests, of the routes that all capabilities bring. What needs Flask is imported when it
is made: processes that serve no requests are smaller by some 25 MiB without it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from oslo_config import cfg
from prometheus_client import REGISTRY, CollectorRegistry, multiprocess

from glancecore.assembly.extensions import Extensions
from glancecore.kernel.core import CoreKernel
from glancecore.kernel.quiet_imports import without_opentelemetry
from glancecore.sdk import tracing

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from flask import Flask

    from glancecore.http.cross_site import CrossSite
    from glancecore.http.identity import CallerIdentity

#: Headers that pages of other origins may send and read, unless [cors] says otherwise.
CORS_TAKEN = [
    "Content-MD5",
    "X-Auth-Token",
    "X-Image-Meta-Store",
    "X-Identity-Status",
    "X-Roles",
    "X-Service-Catalog",
    "X-User-Id",
    "X-Tenant-Id",
    "X-OpenStack-Request-ID",
    "X-OpenStack-Image-Size",
]
CORS_SHOWN = [
    "X-Image-Meta-Checksum",
    "X-OpenStack-Request-ID",
    "OpenStack-image-import-methods",
    "OpenStack-image-store-ids",
    "Location",
    "Content-MD5",
]


class WebMaker:
    """Makes the application when it is called. Raises ConfigError."""

    def __init__(self, kernel: CoreKernel, identity: CallerIdentity, extensions: Extensions) -> None:
        self._kernel = kernel
        self._identity = identity
        self._extensions = extensions

    def __call__(self) -> Flask:
        from glancecore.http.app import AppSettings, create_app
        from glancecore.http.entrances import Site
        from glancecore.http.health import Health
        from glancecore.http.operator import OperatorApi, OperatorSettings
        from glancecore.http.versions import Versions

        kernel, conf, auth = self._kernel, self._kernel.conf, self._identity.auth
        routes = [route for capability in kernel.made.values() for route in capability.routes()]
        operator = OperatorApi(
            Health(kernel.database, kernel.stores),
            OperatorSettings(
                conf.healthcheck.disable_by_file_path,
                conf.healthcheck.ready_cache_seconds,
                conf.metrics.enabled,
                conf.metrics.allowed_networks,
            ),
            metrics_registry(),
        )
        brought = self._extensions.routes([*routes, *operator.routes()])
        routes = [*self._extensions.in_other_words(routes), *brought]
        versions = Versions(minor for capability in kernel.made.values() for minor in capability.minors)
        cross_site = _cross_site(conf, inside=auth.open_to_all)
        app = create_app(
            routes,
            operator,
            versions,
            self._identity,
            kernel.policy,
            AppSettings(
                conf.max_request_id_length,
                conf.allow_anonymous_access,
                cross_site if auth.ambient else None,
                self._extensions.resolver,
                replace(cross_site, origins=frozenset()),
                Site(self._extensions.entrances(routes), self._extensions.site_headers()),
            ),
        )
        app.wsgi_app = _outermost(conf, app.wsgi_app)  # type: ignore[assignment, method-assign]
        if tracing.on():
            from glancecore.http.traced import Traced

            app.wsgi_app = Traced(app.wsgi_app)  # type: ignore[method-assign]
        return app


def metrics_registry() -> CollectorRegistry:
    """Metrics of all workers when they share a folder (the server sets it), else of this process."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _outermost(conf: cfg.ConfigOpts, app: WSGIApplication) -> WSGIApplication:
    """CORS, when the operator has switched it on, and what proxies in front say. Raises ConfigError."""
    with without_opentelemetry():
        from oslo_middleware import cors, http_proxy_to_wsgi

    from glancecore.http.outside import Outside, OutsideSettings

    cors.set_defaults(
        allow_headers=CORS_TAKEN,
        expose_headers=CORS_SHOWN,
        allow_methods=["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"],
    )
    conf.register_opts(cors.CORS_OPTS, group="cors")
    conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
    if conf.cors.allowed_origin:
        app = cors.CORS(app, conf)
    proxies = conf.server.proxies if conf.oslo_middleware.enable_proxy_headers_parsing else 0
    return Outside(app, OutsideSettings(conf.public_endpoint, proxies, conf.server.proxy_header == "forwarded"))


def _cross_site(conf: cfg.ConfigOpts, *, inside: bool) -> CrossSite:
    """``inside``: whoever reaches us may do everything."""
    with without_opentelemetry():
        from oslo_middleware import cors, http_proxy_to_wsgi

    from glancecore.http.cross_site import CrossSite
    from glancecore.server import checks

    conf.register_opts(cors.CORS_OPTS, group="cors")
    conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
    # a Unix socket has no name, and a proxy says its own
    inside = inside and not (
        conf.bind_host.startswith("unix:")
        or conf.oslo_middleware.enable_proxy_headers_parsing
        or checks.beyond_this_machine(conf)
    )
    return CrossSite(frozenset(conf.cors.allowed_origin or ()), conf.public_endpoint, inside)
