"""One image for all services: as another user, with a root that can't be written to and without a network, it serves an
image up and down."""

from __future__ import annotations

import json
from pathlib import Path

import lab
import pytest
from engine import IMAGE, Containers
from waiting import until

HERE = ("--volume", f"{lab.REPO}/tests:/tests:ro")
UP_AND_DOWN = (
    "import sys; sys.path.insert(0, '/tests/packages'); import up_and_down;"
    " up_and_down.up_and_down('http://127.0.0.1:9292')"
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A volume that everybody may write to, as one of group 0 is."""
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def volumes(state: Path) -> tuple[str, ...]:
    return (
        "--volume",
        f"{state}:/var/lib/glance",
        "--env",
        "OS_DATABASE__CONNECTION=sqlite:////var/lib/glance/glance.sqlite",
    )


def test_what_the_image_says_of_itself(containers: Containers) -> None:
    [image] = json.loads(containers("image", "inspect", "--format", "json", IMAGE).stdout)
    config = image["Config"]
    assert config["User"] == "42415:0"
    assert config["Entrypoint"] == ["tini", "--"]
    assert config["Cmd"] == ["glance-api"]
    assert set(config["ExposedPorts"]) == {"9292/tcp", "9191/tcp"}
    assert image["Healthcheck"]["Test"] == ["CMD", "healthcheck"]
    assert image["Size"] < 600 << 20
    found = containers.run(
        "sh",
        "-c",
        "find / -xdev -perm /6000 -type f -path '/opt/*' ; find /opt/glance -xdev -perm /022 -not -type l; command -v"
        " pip; true",
    ).stdout
    assert found == "", "set-uid files, what others can change, an installer"


def test_an_image_goes_up_and_down(containers: Containers, state: Path) -> None:
    """Configured by a mounted file, which says what the image's own file says otherwise, and by the environment, which
    wins over both."""
    config = state / "own.conf"
    config.write_text(
        "[DEFAULT]\nbind_host = 127.0.0.1\nauth_strategy = keystone\nenabled_backends ="
        " mine:file\n[glance_store]\ndefault_backend = mine\n[mine]\nfilesystem_store_datadir = /var/lib/glance/mine\n"
    )
    options = (
        *volumes(state),
        *HERE,
        "--volume",
        f"{config}:/etc/glance/glance-api.conf:ro",
        "--env",
        "OS_DEFAULT__AUTH_STRATEGY=none",
    )
    assert "schema None -> " in containers.run("glance-manage", "db", "sync", options=options).stdout
    name = containers.start(options=options)
    until(lambda: containers.health(name).returncode == 0, lambda: containers.log(name))
    assert containers.health(name).stdout == "glance-api 200\n"
    containers("exec", name, "/opt/glance/bin/python", "-c", UP_AND_DOWN)
    assert (state / "mine").is_dir()
    assert containers("exec", name, "id", "-u").stdout == "12345\n"
    assert containers("exec", name, "touch", "/opt/glance/x", check=False).returncode != 0
    containers("stop", "--time", "60", name)
    assert containers("inspect", "--format", "{{.State.ExitCode}}", name).stdout == "0\n", containers.log(name)


def test_without_login_it_does_not_open_itself(containers: Containers, state: Path) -> None:
    containers.run("glance-manage", "db", "sync", options=volumes(state))
    refused = containers.run(options=(*volumes(state), "--env", "OS_DEFAULT__AUTH_STRATEGY=none"), check=False)
    assert refused.returncode == 1
    assert "allow_open_access" in refused.stderr + refused.stdout


def test_the_metadata_service(containers: Containers, state: Path) -> None:
    options = (*volumes(state), "--env", "OS_REGISTRY__SECRETS=0123456789abcdef0123456789abcdef")
    containers.run("glance-manage", "db", "sync", options=options)
    name = containers.start("glance-registry", options=options)
    until(lambda: containers.health(name).returncode == 0, lambda: containers.log(name))
    assert containers.health(name).stdout == "glance-registry 200\n"


def test_periodic_jobs_and_workers(containers: Containers, state: Path) -> None:
    options = (*volumes(state), "--env", "OS_DEFAULT__AUTH_STRATEGY=none")
    containers.run("glance-manage", "db", "sync", options=options)
    periodic = containers.start("glance-periodic", options=options)
    worker = containers.start(
        "glance-worker", options=(*options, "--env", f"OS_JOBBOARD__URL={lab.redis_url()}"), network="host"
    )
    until(lambda: "leading the periodic jobs" in containers.log(periodic), lambda: containers.log(periodic))
    until(lambda: "working as" in containers.log(worker), lambda: containers.log(worker))
    for name in (periodic, worker):
        assert containers.health(name).returncode == 0
        containers("stop", "--time", "60", name)
        assert containers("inspect", "--format", "{{.State.ExitCode}}", name).stdout == "0\n", containers.log(name)


def test_the_check_sees_a_service_that_is_away(containers: Containers) -> None:
    alone = containers.run("healthcheck", check=False)
    assert (alone.returncode, alone.stderr) == (1, "no service runs here\n")
    silent = containers.run(
        "bash",
        "-c",
        "(exec -a glance-api sleep 600) & until grep -q ^glance-api /proc/$!/cmdline; do sleep 0.1; done; healthcheck;"
        " code=$?; kill $!; exit $code",
        check=False,
    )
    assert silent.returncode == 1
    assert "glance-api does not answer at http://127.0.0.1:9292/healthcheck: " in silent.stderr
