"""The extension in a whole service, on each database: what it brings works, and its long work survives the death of its
process."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client
from registries import registry
from waiting import until

from glancecore.sdk.checkpoints import VARIABLE

DATA = bytes(600_000) + b"x" * 400_000
CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"enabled_extensions": "census", "workers": 1, "notifiers": "log"},
        "lease": {"ttl": 2, "reap_interval": 0.2},
        "periodic": {"embedded": False},
        "healthcheck": {"ready_cache_seconds": 0},
    },
)


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql", "registry"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(lab.new_database("mariadb" if request.param == "registry" else request.param))
        if request.param == "registry":
            made = lab.Service(tmp_path_factory.mktemp("node"), lab.free_port(), {})
            served = stack.enter_context(registry(database))
            made.config = lab.merged(
                {
                    "DEFAULT": {"bind_port": made.port, "enabled_backends": "file:file"},
                    "database": served.client,
                    "file": {"filesystem_store_datadir": made.folder / "images"},
                },
                CONFIG,
            )
            made.config_file.write_text(lab.config_text(made.config))
            made.start()
            stack.callback(made.stop)
            yield made
        else:
            yield stack.enter_context(lab.service(CONFIG, database=database))


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url)


def uploaded(client: Client, data: bytes = DATA, **fields: object) -> str:
    image_id = str(client.create(**fields)["id"])
    assert client.upload(image_id, data).status_code == 204
    return image_id


def counted(client: Client, image_id: str) -> dict[str, object]:
    until(
        lambda: client.call("GET", f"/census/{image_id}").status_code == 200,
        lambda: client.call("GET", f"/census/{image_id}").text,
    )
    return dict(client.call("GET", f"/census/{image_id}").json())


def test_an_image_is_counted(service: lab.Service, client: Client) -> None:
    image_id = uploaded(client)
    assert client.call("GET", f"/census/{image_id}").status_code == 404
    assert "census_zeros" not in client.show(image_id)
    assert client.call("POST", f"/census/{image_id}").status_code == 202
    assert counted(client, image_id) == {"image_id": image_id, "size": 1_000_000, "zeros": 600_000, "percent": 60}
    assert client.show(image_id)["census_zeros"] == 60
    listed = client.call("GET", "/v2/images?limit=1000").json()["images"]
    assert [x["census_zeros"] for x in listed if x["id"] == image_id] == [60]
    until(lambda: "census.count" in service.log.read_text())
    rows = [json.loads(x) for x in service.manage("--json", "census", "list", "--project", "demo").splitlines()]
    assert {"image_id": image_id, "size": 1_000_000, "zeros": 600_000, "percent": 60} in rows
    assert f"{image_id} 60% of 1000000 bytes" in service.manage("census", "list")
    assert client.call("POST", f"/census/{image_id}").status_code == 202, "once more, in place of the first"


def test_the_count_goes_with_its_image(service: lab.Service, client: Client) -> None:
    image_id = uploaded(client)
    assert client.call("POST", f"/census/{image_id}").status_code == 202
    counted(client, image_id)
    assert client.delete(image_id).status_code == 204
    assert client.call("GET", f"/census/{image_id}").status_code == 404
    assert image_id not in service.manage("census", "list")


def test_who_may(client: Client) -> None:
    image_id = uploaded(client)
    stranger, admin = Client(client.url, "strangers"), Client(client.url, "boss", "admin,member,reader")
    for method in ("GET", "POST"):
        assert stranger.call(method, f"/census/{image_id}").status_code == 404
    assert admin.patch(image_id, {"op": "replace", "path": "/visibility", "value": "public"}).status_code == 200
    assert stranger.call("POST", f"/census/{image_id}").status_code == 403
    assert client.call("POST", f"/census/{image_id}").status_code == 202
    counted(client, image_id)
    assert stranger.call("GET", f"/census/{image_id}").status_code == 200
    assert Client(client.url, "demo", "reader").call("POST", f"/census/{image_id}").status_code == 403


def test_what_is_no_image_or_has_no_data(client: Client) -> None:
    for path in ("/census/nothing", "/census/00000000-0000-4000-8000-000000000000"):
        assert client.call("POST", path).status_code == client.call("GET", path).status_code == 404
    empty = client.create()["id"]
    assert client.call("POST", f"/census/{empty}").status_code == 409


def test_the_key_that_it_shows_is_nobody_elses(client: Client) -> None:
    assert client.call("POST", "/v2/images", {"census_zeros": "5"}).status_code == 403
    image_id = client.create()["id"]
    answer = client.patch(image_id, {"op": "add", "path": "/census_zeros", "value": "5"})
    assert answer.status_code == 403
    assert "census_zeros" in answer.text
    schema = client.call("GET", "/v2/schemas/image").json()["properties"]["census_zeros"]
    assert schema["readOnly"] is True


def test_clients_see_that_it_is_there(client: Client) -> None:
    assert {"name": "census", "version": "1.0.0", "title": "How much of each image is zeros"} in client.call(
        "GET", "/v2/info/extensions"
    ).json()["extensions"]
    described = client.call("GET", "/openapi.json").json()["paths"]["/census/{image_id}"]
    assert set(described) >= {"get", "post"}
    labels = [x for x in client.call("GET", "/metrics").text.splitlines() if "/census/{image_id}" in x]
    assert labels, "its routes are counted like all others"


@pytest.mark.parametrize("step", ["census.begin", "census.before_finish", "census.after_finish"])
def test_killed_while_it_counts(
    service: lab.Service, client: Client, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    image_id = uploaded(client)
    service.stop()
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    with contextlib.suppress(OSError):
        client.call("POST", f"/census/{image_id}")
    service.until_killed()
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    assert counted(client, image_id)["percent"] == 60
    until(lambda: client.delete(image_id).status_code == 204)


def test_its_job_runs_like_all_others(service: lab.Service, client: Client) -> None:
    image_id = uploaded(client)
    assert client.call("POST", f"/census/{image_id}").status_code == 202
    counted(client, image_id)

    def run(*more: str) -> dict[str, object]:
        done = lab.command(
            "glance-periodic", "--config-file", service.config_file, "run", "census_forget", "--json", *more
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    assert run()["findings"] == []
    listed = lab.command("glance-periodic", "--config-file", service.config_file, "list").stdout
    assert "census_forget" in listed


def test_switched_off_it_is_not_there() -> None:
    with lab.service(HEADERS_AUTH) as service:
        client = Client(service.url)
        assert client.call("GET", "/v2/info/extensions").json() == {"extensions": []}
        assert client.call("GET", "/census/x").status_code == 404


def test_its_rows_wait_for_it() -> None:
    """An operator who switches it off and on again finds what was counted."""
    with lab.service(CONFIG) as service:
        client = Client(service.url)
        image_id = uploaded(client)
        assert client.call("POST", f"/census/{image_id}").status_code == 202
        counted(client, image_id)
        text = service.config_file.read_text()
        service.stop()
        service.config_file.write_text(text.replace("enabled_extensions = census", "enabled_extensions ="))
        service.start()
        assert "census_zeros" not in client.show(image_id)
        service.stop()
        service.config_file.write_text(text)
        service.start()
        assert client.show(image_id)["census_zeros"] == 60


def test_a_wrong_option_stops_the_start(tmp_path: Path) -> None:
    config = lab.merged(CONFIG, {"ext_census": {"keep_days": 0}})
    with pytest.raises(RuntimeError, match="keep_days"), lab.service(config, folder=tmp_path):
        raise AssertionError
