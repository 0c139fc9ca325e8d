"""The plain WSGI application, as other servers load it."""

from __future__ import annotations

import importlib
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import lab
import pytest
from werkzeug.test import Client

from glancecore.domain.errors import ConfigError

IDENTITY = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "u",
    "X-Project-Id": "p",
    "X-Roles": "member,reader",
    "Accept": "application/json",
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lab.Config:
    with lab.service({"DEFAULT": {"auth_strategy": "headers"}}, folder=tmp_path, start=False) as service:
        monkeypatch.setenv("OS_GLANCE_CONFIG_FILE", str(service.config_file))
        return service.config


def _import() -> Any:
    """The module anew: importing it starts the service."""
    sys.modules.pop("glancecore.wsgi", None)
    return importlib.import_module("glancecore.wsgi")


@pytest.mark.usefixtures("config")
def test_importing_it_builds_it_and_it_refuses_bodies_whose_end_nobody_proves() -> None:
    client = Client(_import().application)
    made = client.post("/v2/images", json={"disk_format": "raw", "container_format": "bare"}, headers=IDENTITY)
    assert made.status_code == 201
    path = f"/v2/images/{(made.json or {})['id']}/file"
    headers = {**IDENTITY, "Content-Type": "application/octet-stream"}
    chunked = client.put(
        path,
        input_stream=BytesIO(b"data"),
        headers={**headers, "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert (chunked.status_code, (chunked.json or {})["error"]) == (411, "length_required")
    short = client.put(path, input_stream=BytesIO(b"data"), headers=headers, environ_overrides={"CONTENT_LENGTH": "10"})
    assert (short.status_code, (short.json or {})["error"]) == (400, "truncated_body")
    assert client.put(path, data=b"data", headers=headers).status_code == 204
    assert client.get(path, headers=IDENTITY).data == b"data"


def test_it_is_not_open_to_everybody_by_mistake(config: lab.Config, tmp_path: Path) -> None:
    (tmp_path / "glance-api.conf").write_text(
        lab.config_text(lab.merged(config, {"DEFAULT": {"auth_strategy": "none"}}))
    )
    with pytest.raises(ConfigError, match="allow_open_access"):
        _import()
