"""The real application in-process, over each database; identity by headers."""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flask import Flask
from flask.testing import FlaskClient

sys.path.insert(0, str(Path(__file__).parents[1]))

import lab
import registries

from glancecore.assembly.build import build
from glancecore.assembly.lifecycle import Service
from glancecore.testing import service

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

DATABASES = ("sqlite", "mariadb", "postgresql", "registry")


#: Nodes that share a registry: each request goes to the next one.
NODES = 3


@contextlib.contextmanager
def built(database: str, config: lab.Config | None = None) -> Iterator[Service]:
    """The service over a fresh database of that kind; ``registry``: three nodes over a glance-registry on MariaDB."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if database == "registry":
            served = stack.enter_context(registries.registry(stack.enter_context(lab.new_database("mariadb"))))
            where = served.client
        else:
            where = {
                "connection": f"sqlite:///{folder}/glance.sqlite"
                if database == "sqlite"
                else stack.enter_context(lab.new_database(database))
            }
        file = service.written(
            service.merged(
                service.basic(folder, where),
                {
                    "DEFAULT": {"enabled_backends": "fast:file, slow:file"},
                    "fast": {"weight": 10},
                    "slow": {"filesystem_store_datadir": folder / "slow", "store_description": "the slow one"},
                },
                config or {},
            ),
            folder,
        )
        service.synced(service.read(file))
        nodes = [build(service.read(file)) for _ in range(NODES if database == "registry" else 1)]
        yield nodes[0] if len(nodes) == 1 else replace(nodes[0], made=cast("Flask", Turns([x.app for x in nodes])))
        for node in nodes:
            node.close()


class Turns:
    """Several nodes as one application, as behind a load balancer: each client and each request gets the next one."""

    def __init__(self, apps: Sequence[Flask]) -> None:
        self._turn = itertools.cycle(apps)
        self.url_map = apps[0].url_map

    def test_client(self, *, use_cookies: bool = True) -> FlaskClient:
        return next(self._turn).test_client(use_cookies=use_cookies)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return next(self._turn)(environ, start_response)
