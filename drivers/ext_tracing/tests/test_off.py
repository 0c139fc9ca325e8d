"""Without the extension nothing of OpenTelemetry is loaded, although it is installed; with wrong options nothing
starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH

SERVES = """
import sys
from glancecore import conf as configuration
from glancecore.assembly.build import build
from glancecore.sdk import tracing
service = build(configuration.new(["--config-file", sys.argv[1]]), serving=True)
answer = service.app.test_client().get("/versions")
assert answer.status_code == 200, answer.text
loaded = sorted(x for x in sys.modules if x.startswith(("opentelemetry", "google.protobuf", "glancecore_ext_tracing.otel")))
print(tracing.on(), len(loaded))
service.close()
assert not tracing.on()
"""


def served(config: lab.Config, folder: Path) -> subprocess.CompletedProcess[str]:
    with lab.service(config, folder=folder, start=False) as made:
        return subprocess.run(
            [sys.executable, "-c", SERVES, made.config_file], capture_output=True, text=True, check=False, timeout=120
        )


@pytest.mark.parametrize("auth", ["headers", "basic"])
def test_nothing_is_loaded_when_it_is_off(tmp_path: Path, auth: str) -> None:
    """Nor by oslo.middleware, which takes it where it finds it."""
    (tmp_path / "users").touch()
    done = served(
        {"DEFAULT": {"auth_strategy": auth}, "auth_basic": {"http_basic_auth_user_file": tmp_path / "users"}}, tmp_path
    )
    assert done.stdout.split() == ["False", "0"], done.stderr


def test_it_is_when_it_is_on(tmp_path: Path) -> None:
    on = lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"enabled_extensions": "tracing"},
            "ext_tracing": {"endpoint": "http://127.0.0.1:1/v1/traces", "drain_seconds": 0},
        },
    )
    done = served(on, tmp_path)
    assert done.stdout.split()[0] == "True", done.stderr
    assert int(done.stdout.split()[1]) > 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"headers": "authorization:Bearer secr\u00e9t"}, "[ext_tracing] headers"),
        ({"headers": "x y:secret"}, "[ext_tracing] headers"),
        ({"ca_file": "/nowhere/ca.pem"}, "[ext_tracing] ca_file = /nowhere/ca.pem"),
        ({"sampling_ratio": 1.5}, "sampling_ratio"),
    ],
)
def test_other_wrong_options_stop_it_as_well(tmp_path: Path, options: dict[str, object], said: str) -> None:
    config = lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"enabled_extensions": "tracing"},
            "ext_tracing": {"endpoint": "http://127.0.0.1:1/v1/traces", **options},
        },
    )
    with lab.service(config, folder=tmp_path, start=False) as made:
        done = lab.command("glance-api", "--config-file", made.config_file)
    assert done.returncode == 1
    assert said in done.stderr
    assert "secr" not in done.stderr


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "127.0.0.1:4318",
        "grpc://127.0.0.1:4317",
        "http://",
        "http://user:secret@127.0.0.1/",
        "http://a b/",
        "http://127.0.0.1:x/",
        "http://ü/",
    ],
)
def test_an_endpoint_that_is_none_stops_the_start(tmp_path: Path, endpoint: str | None) -> None:
    config = lab.merged(
        HEADERS_AUTH,
        {"DEFAULT": {"enabled_extensions": "tracing"}, "ext_tracing": {"endpoint": endpoint} if endpoint else {}},
    )
    with lab.service(config, folder=tmp_path, start=False) as made:
        done = lab.command("glance-api", "--config-file", made.config_file)
    assert done.returncode == 1
    assert "[ext_tracing] endpoint" in done.stderr
    assert "secret" not in done.stderr
