"""Two servers of one cloud."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from registries import registry
from tusing import CONFIG


@pytest.fixture(params=["mariadb", "postgresql", "registry"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[lab.Service]]:
    """Two servers of one cloud."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(lab.new_database("mariadb" if request.param == "registry" else request.param))
        shared = lab.merged(CONFIG, {"file": {"filesystem_store_datadir": tmp_path / "images"}})
        (tmp_path / "images").mkdir()
        if request.param != "registry":
            yield [stack.enter_context(lab.service(shared, database=database)) for _ in range(2)]
            return
        served = stack.enter_context(registry(database))
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            node = lab.Service(tmp_path / name, lab.free_port(), {})
            node.config = lab.merged(
                {
                    "DEFAULT": {"bind_port": node.port, "enabled_backends": "file:file"},
                    "glance_store": {"default_backend": "file"},
                    "database": served.client,
                },
                shared,
            )
            node.config_file.write_text(lab.config_text(node.config))
            node.start()
            stack.callback(node.stop)
            made.append(node)
        yield made
