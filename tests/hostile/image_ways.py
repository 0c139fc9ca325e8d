"""The ways by which a hostile image comes in."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
from api import Person

from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.assembly.kernel import load_database
from glancecore.assembly.lifecycle import Service

STEPS = "[image_decompression, image_conversion]"


@contextlib.contextmanager
def built(steps: str = "[]", config: lab.Config | None = None) -> Iterator[Service]:
    """In memory, where there is a folder of it: thousands of images are made."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        file = Path(place, "glance-api.conf")
        file.write_text(
            lab.config_text(
                lab.merged(
                    {
                        "DEFAULT": {
                            "auth_strategy": "headers",
                            "enabled_backends": "fast:file, web:http",
                            "notifiers": "",
                            "show_multiple_locations": True,
                            "image_size_cap": 64 << 20,
                        },
                        "database": {"connection": f"sqlite:///{place}/glance.sqlite"},
                        "glance_store": {"default_backend": "fast"},
                        "fast": {"filesystem_store_datadir": f"{place}/fast", "weight": 10},
                        "web": {"http_store_allowed_hosts": "127.0.0.1", "weight": -5},
                        "imports": {"own_process": False, "retry_pause": 0.01, "attempts": 2},
                        "image_import_opts": {"image_import_plugins": steps},
                        "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
                    },
                    config or {},
                )
            )
        )
        conf = configuration.new(files=[str(file)])
        database = load_database(conf)
        database.sync()
        service = build(conf, database)
        try:
            yield service
        finally:
            service.close()


def show(person: Person, image_id: str) -> dict[str, Any]:
    return dict(person.call("GET", f"/v2/images/{image_id}").json or {})


def settled(person: Person, image_id: str) -> dict[str, Any]:
    """The image once nothing is done with it any more."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        tasks = (person.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"]
        image = show(person, image_id)
        if all(x["status"] in ("success", "failure") for x in tasks) and image["status"] in (
            "queued",
            "uploading",
            "active",
            "deactivated",
        ):
            return image
        time.sleep(0.05)
    raise AssertionError(image, tasks)


def by_staging(person: Person, image_id: str, data: bytes, _url: str) -> None:
    if (
        person.call("PUT", f"/v2/images/{image_id}/stage", data, Content_Type="application/octet-stream").status_code
        == 204
    ):
        assert (
            person.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}).status_code
            == 202
        )
