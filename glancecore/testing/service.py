"""A whole service in the test's own process, and people who call it: no server, no network. It needs the distributions
of the drivers that it is configured with; without more to say: glancecore-db-sql, glancecore-store-file,
glancecore-auth-headers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from oslo_config import cfg
from werkzeug.test import TestResponse

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service
from glancecore.ports.repository import Database

#: Section -> option -> value.
Config = Mapping[str, Mapping[str, object]]


def merged(*configs: Config) -> dict[str, dict[str, object]]:
    """Later ones win, option by option."""
    result: dict[str, dict[str, object]] = {}
    for config in configs:
        for section, options in config.items():
            result.setdefault(section, {}).update(options)
    return result


def config_text(config: Config) -> str:
    """oslo.config's format; a list becomes a comma-separated value."""

    def value(of: object) -> str:
        if isinstance(of, bool):
            return str(of).lower()
        return ", ".join(map(str, of)) if isinstance(of, (list, tuple)) else str(of)

    return "\n".join(
        f"[{section}]\n" + "".join(f"{key} = {value(each)}\n" for key, each in options.items())
        for section, options in config.items()
    )


def basic(folder: Path, database: Mapping[str, object] | None = None) -> Config:
    """Identity by headers, one store of files and a database on SQLite, all in ``folder``; no notifiers, and no
    periodic job that begins by itself. ``database``: another section of that name."""
    return {
        "DEFAULT": {"auth_strategy": "headers", "enabled_backends": "fast:file", "notifiers": ""},
        "database": database or {"connection": f"sqlite:///{folder}/glance.sqlite"},
        "glance_store": {"default_backend": "fast"},
        "fast": {"filesystem_store_datadir": folder / "fast"},
        "periodic": {"embedded": False, "lock_path": folder / "locks"},
    }


def written(config: Config, folder: Path, name: str = "glance-api.conf") -> Path:
    """The configuration as a file there."""
    file = folder / name
    file.write_text(config_text(config))
    return file


def read(file: Path) -> cfg.ConfigOpts:
    """That file, and nothing else of this machine."""
    return configuration.new(args=[], files=[str(file)])


def synced(conf: cfg.ConfigOpts) -> None:
    """The configured database has its schema."""
    database = load_database(conf)
    try:
        database.sync()
    finally:
        database.close()


@contextlib.contextmanager
def built(conf: cfg.ConfigOpts, database: Database | None = None) -> Iterator[Service]:
    """The service, not started. ``database`` in the place of the configured one."""
    service = build(conf, database)
    try:
        yield service
    finally:
        service.close()


@dataclass(frozen=True)
class Person:
    """Somebody of a project who calls the API, where ``auth_strategy`` is ``headers``. ``app``: a WSGI application of
    Flask."""

    app: Flask
    project: str = "demo"
    roles: str = "member,reader"

    def call(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        """``body``: bytes, or what becomes JSON. ``headers``: with underscores in place of hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return self.app.test_client(use_cookies=False).open(
            path,
            method=method,
            data=raw,
            environ_base={"REMOTE_ADDR": "127.0.0.1"},
            headers={
                "X-Identity-Status": "Confirmed",
                "X-User-Id": f"user-{self.project}",
                "X-Project-Id": self.project,
                "X-Roles": self.roles,
                "Accept": "application/json",
                **named,
            },
        )

    def create(self, **fields: object) -> dict[str, Any]:
        answer = self.call("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare", **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json or {})

    def upload(self, image_id: str, data: bytes = b"data", **headers: str) -> TestResponse:
        return self.call("PUT", f"/v2/images/{image_id}/file", data, Content_Type="application/octet-stream", **headers)
